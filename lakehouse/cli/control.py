"""What a command has from its environment: the settings, the control database, who types it.

Nearly every command imports this module, also where it only shows its help. So the libraries of
settings and databases are imported by the functions that need them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings


def lake_settings() -> "LakeSettings":
    """The settings of this process's environment."""
    from lakehouse.settings import LakeSettings

    return LakeSettings()


@contextmanager
def control_database() -> "Iterator[ControlDatabase]":
    """The control database that the settings name, closed at the end."""
    from lakehouse.control.database import ControlDatabase

    database = ControlDatabase.open(lake_settings().control_url)
    try:
        yield database
    finally:
        database.close()


def operator() -> str:
    """Who the audit log says has done it: the user of this machine."""
    try:
        return f"cli:{getuser()}"
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "cli:unknown"
