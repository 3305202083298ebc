"""Opens the control database for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase


@contextmanager
def control_database() -> "Iterator[ControlDatabase]":
    """The control database that the settings name, closed at the end."""
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings

    database = ControlDatabase.open(LakeSettings().control_url)
    try:
        yield database
    finally:
        database.close()


def operator() -> str:
    """Who the audit log says has done it: the user of this machine."""
    from getpass import getuser

    try:
        return f"cli:{getuser()}"
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "cli:unknown"
