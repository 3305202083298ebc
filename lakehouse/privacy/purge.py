"""Removes what a deletion leaves: old versions, change data, orphans, copies.

Only files go in which an identifier was found as a value, and only in the tenant's own partitions
(of a table without such partitions, an engineer's own, what its newest version does not name).
A table's log is never touched: it has no statistics of columns that name a person and no predicate
with a value, so it names nobody. Old versions and change feeds of everybody else stay as they are;
that matters for the models, which read what changed, and for other tenants' published snapshots. A
snapshot of the tenant that needs one of these files cannot be read any more: erasure wins over time
travel.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow.fs as pafs

from lakehouse.privacy.derived import TENANT, has_tenants
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.scan import WITHOUT_END, scan_stream
from lakehouse.privacy.storage_locations import (
    CHANGES,
    DATA,
    DATABASE,
    EXPORT,
    KEYS,
    REDIS,
    UPLOAD,
    is_dbt_output,
    lake_locations,
    machine_locations,
)
from lakehouse.privacy.verify import Finding, Search
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

_PARTITION: Final = "/tenant_id="
WRITING: Final = timedelta(hours=1)
"""A file that is being written changes at least so often."""


@dataclass(slots=True)
class Removed:
    """What went, by kind of place; `live` tables hold rows, `left` is for somebody to look at."""

    files: dict[str, int] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)

    def note(self, kind: str) -> None:
        """Count a file."""
        self.files[kind] = self.files.get(kind, 0) + 1


def remove_remnants(
    settings: LakeSettings, found: Search, is_needed: Callable[[str], bool]
) -> Removed:
    """Remove the files that name people, and what dbt and Spark left of them. Safe to repeat.

    `is_needed`: whether an upload of this name is still to be taken in.
    """
    removed = Removed()
    lake, files = Lake(settings), Lake(settings).filesystem()
    for path in {finding.path for finding in found.findings}:
        if is_dbt_output(settings, path):
            Path(path).unlink(missing_ok=True)
            removed.note("what dbt writes")
    by_path = {finding.path: finding for finding in found.findings}
    _drop_data(lake, by_path.values(), removed)
    for finding in by_path.values():
        if finding.kind == KEYS:
            _delete(files, finding.path)
            removed.note(KEYS)
        elif finding.kind == EXPORT:
            _drop_export(lake, Path(finding.path))
            removed.note(EXPORT)
        elif finding.kind == UPLOAD:
            if _drop_upload(Path(finding.path), is_needed):
                removed.note(UPLOAD)
            else:
                removed.left.append("an upload is still to be taken in")
        elif finding.kind not in (DATA, CHANGES, DATABASE, REDIS) and not is_dbt_output(
            settings, finding.path
        ):
            removed.left.append(f"{finding.kind}: {finding.path} ({finding.how})")
    return removed


def files_naming(
    lake: Lake,
    tenant_id: str,
    tables: Collection[str],
    patterns: IdentifierPatterns,
    readers: Readers | None = None,
) -> list[Finding]:
    """Return the files of these tables that name somebody, of every version."""
    findings = []
    for place in lake_locations(lake, tenant_id):
        if place.table in tables and place.kind in (DATA, CHANGES):
            with suppress(FileNotFoundError), place.open() as file:
                if scan_stream(file, patterns, readers, tenant_id=tenant_id).values:
                    findings.append(Finding(place.kind, place.path, place.table, "", 1))
    return findings


def exports_naming(
    settings: LakeSettings, tenant_id: str, patterns: IdentifierPatterns, readers: Readers
) -> list[Finding]:
    """Return the files of exported sets that name somebody."""
    findings = []
    for place in machine_locations(settings, tenant_id, {}):
        if place.kind == EXPORT:
            with suppress(FileNotFoundError), place.open() as file:
                found = scan_stream(
                    file, patterns, readers, has_rows=place.has_rows, tenant_id=tenant_id
                )
                if found.values:
                    findings.append(Finding(place.kind, place.path, place.table, "", 1))
    return findings


def drop_old_files(lake: Lake, found: Iterable[Finding]) -> dict[str, int]:
    """Delete those files of a search that are of no newest version."""
    removed = Removed()
    _drop_data(lake, found, removed)
    return removed.files


def _drop_data(lake: Lake, found: Iterable[Finding], removed: Removed) -> None:
    """Delete data files and change data that the newest version of their table does not name."""
    files = lake.filesystem()
    tables: dict[str, _Table] = {}
    for finding in found:
        if finding.kind not in (DATA, CHANGES) or finding.table is None:
            continue
        if finding.table not in tables:
            tables[finding.table] = _look_at(lake, finding.table)
        table = tables[finding.table]
        if _PARTITION not in finding.path and table.is_by_tenants:
            removed.left.append(f"{finding.path} is of no tenant's partition")
        elif finding.how == WITHOUT_END and not _is_dead(files, finding.path):
            removed.left.append(f"{finding.path} may be a file that is being written")
        elif finding.path not in table.live:
            _delete(files, finding.path)
            removed.note(finding.kind)
        elif table.has_tenants:
            removed.live.add(finding.table)
        else:
            removed.left.append(f"{finding.table} does not say whose its rows are")


def _is_dead(files: pafs.FileSystem, path: str) -> bool:
    """Whether a file without an end is no writer's any more."""
    changed = files.get_file_info(path).mtime
    return changed is None or datetime.now(UTC) - changed > WRITING


def live_paths(lake: Lake, table: str) -> frozenset[str]:
    """Return the files that a table's newest version names; none where there is no table."""
    return _look_at(lake, table).live


@dataclass(frozen=True, slots=True)
class _Table:
    """What the newest version of a table says: its files, and whose rows they hold.

    An engineer's own table need not have files of one tenant each, nor a tenant at all.
    """

    live: frozenset[str] = frozenset()
    is_by_tenants: bool = True
    has_tenants: bool = True


def _look_at(lake: Lake, path: str) -> _Table:
    if (table := lake.find(path)) is None:  # nobody can say what its files are
        return _Table()
    found = pl.DataFrame(table.get_add_actions(flatten=True))
    return _Table(
        frozenset(f"{path}/{name}" for name in found["path"]),
        TENANT in table.metadata().partition_columns,
        has_tenants(table),
    )


def _drop_export(lake: Lake, path: Path) -> None:
    """Delete the exported set that a file is a part of, whole: a part of one is of no use."""
    exports = lake.home / "exports"
    inside = path.relative_to(exports).parts
    target = exports.joinpath(*inside[:2])
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)


def _drop_upload(path: Path, is_needed: Callable[[str], bool]) -> bool:
    """Delete an upload that nobody is going to take in; False when somebody is."""
    if is_needed(path.name):
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _delete(lake: pafs.FileSystem, path: str) -> None:
    with suppress(FileNotFoundError):
        lake.delete_file(path)
