"""Deletes files of the models' tables that nobody needs; without a commit, Spark is their writer.

Kept are the files of the newest version, those that left it within `KEPT_HOURS` (for readers and
change feeds) and those of versions that a published snapshot pins. Spark's own VACUUM knows no
pinned versions; delta-rs' does, and is asked for its list alone. It takes deletion vectors for
orphans, so only files are deleted that the log says were removed; the vectors (some hundred bytes
each) stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow.fs as pafs

from lakehouse.storage.lake import Lake
from lakehouse.storage.stores import table_filesystem
from lakehouse.storage.tables import model_tables

if TYPE_CHECKING:
    from deltalake import DeltaTable

_CHANGES: Final = "_change_data"


def clean_derived(
    lake: Lake,
    pinned: Mapping[str, Collection[int]],
    kept_hours: int,
    *,
    dry_run: bool = False,
) -> list[tuple[str, int]]:
    """Delete what left a table more than `kept_hours` ago; return the files per table.

    `pinned` has versions by path in the lake, whose files stay.
    """
    moment = datetime.now(UTC) - timedelta(hours=kept_hours)
    found = []
    for name, table in model_tables(lake):
        files = table_filesystem(table)
        removed = _removed(table, pinned.get(name.replace(".", "/"), ()), kept_hours)
        unneeded = _present(files, removed) + _old_changes(files, moment)
        if not dry_run:
            for path in unneeded:
                files.delete_file(path)
        found.append((name, len(unneeded)))
    return found


def _removed(table: DeltaTable, pinned: Collection[int], kept_hours: int) -> list[str]:
    options: dict[str, Any] = {"keep_versions": sorted(pinned)} if pinned else {}
    listed = table.vacuum(retention_hours=kept_hours, dry_run=True, full=False, **options)
    live = set(table.get_add_actions(flatten=True)["path"].to_pylist())
    return sorted({*listed} - live)


def _present(files: pafs.FileSystem, names: list[str]) -> list[str]:
    """Return those that are there: the log names what was removed long after it is deleted."""
    if not names:
        return []
    return [info.path for info in files.get_file_info(names) if info.type is pafs.FileType.File]


def _old_changes(files: pafs.FileSystem, before: datetime) -> list[str]:
    """Return the files of the change feed that are older than what a feed promises."""
    selector = pafs.FileSelector(_CHANGES, allow_not_found=True, recursive=True)
    return [
        info.path
        for info in files.get_file_info(selector)
        if info.type is pafs.FileType.File and info.mtime < before
    ]
