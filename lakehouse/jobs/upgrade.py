"""Brings an installation up to what this version needs: control database, layout, tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from lakehouse.control.database import ControlDatabase
from lakehouse.control.opening import has_database
from lakehouse.control.owner import this_process
from lakehouse.control.schema import HEAD
from lakehouse.control.upgrade import database_lags, upgrade_database
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import (
    check_layout,
    held_layout,
    is_marked,
    newest_layout,
    steps_to_take,
    upgrade_layout,
)
from lakehouse.storage.tables import tables_behind, upgrade_tables


@dataclass(frozen=True, slots=True)
class Lag:
    """Something that is behind: what, and what an upgrade does to it."""

    what: str
    change: str


def lags(settings: LakeSettings) -> list[Lag]:
    """Return what is behind, in the order in which it is upgraded; change nothing.

    Nothing lags where nothing was made yet. Raises `EtaError` when the database or the lake is of a
    later version of the software.
    """
    found: list[Lag] = []
    if has_database(settings) and (revision := database_lags(settings.control_url)) is not None:
        found.append(Lag("control database", f"migrated from revision {revision} to {HEAD}"))
    lake = Lake(settings)
    if held_layout(lake) > newest_layout():
        check_layout(lake)
    steps = steps_to_take(lake)
    found += [Lag("layout of the lake", step.about) for step in steps]
    if not steps and not is_marked(lake) and has_tables(lake):
        found.append(Lag("layout of the lake", f"noted in it: {newest_layout()}"))
    for table in tables_behind(lake):
        if table.columns:
            found.append(Lag(table.name, f"columns added: {', '.join(table.columns)}"))
        if table.properties:
            changed = (f"{name} = {value}" for name, value in table.properties.items())
            found.append(Lag(table.name, f"properties set: {', '.join(changed)}"))
    return found


def has_tables(lake: Lake) -> bool:
    """Whether anything was ever stored in the lake."""
    return bool(lake.folder("raw").folders())


def upgrade(settings: LakeSettings, on_change: Callable[[Lag], None] = lambda _: None) -> int:
    """Upgrade what is behind and return how many things that were; safe to kill and to repeat.

    Holds the lock of the models' runs meanwhile: raises `RunLocked` while one goes on, another
    upgrade included. `on_change` is told of each thing before the first is changed.
    """
    found = lags(settings)
    for lag in found:
        on_change(lag)
    if not found:
        return 0
    upgrade_database(settings.control_url)
    run_id = f"upgrade/{this_process().pid}"
    lake = Lake(settings)
    with (
        closing(ControlDatabase.open(settings.control_url)) as database,
        database.run_lock.kept(run_id, is_of_process=True),
    ):
        upgrade_layout(lake)
        upgrade_tables(lake)
    return len(found)
