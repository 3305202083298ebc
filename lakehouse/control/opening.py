"""Opens the control database where there is one: before a tenant was added there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings


def has_database(settings: LakeSettings) -> bool:
    """Whether a database was ever made, or one is named."""
    return settings.database_url is not None or (settings.home_dir / "control.db").is_file()


@contextmanager
def existing_database(settings: LakeSettings) -> Iterator[ControlDatabase | None]:
    """The control database, closed at the end; None where no tenant was ever added."""
    if not has_database(settings):
        yield None
        return
    from lakehouse.control.database import ControlDatabase

    with closing(ControlDatabase.open(settings.control_url)) as database:
        yield database
