"""What stands in the lake before and after a run, read from Delta logs alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.contracts.tables import (
    OPS_SHARED_DEVICES,
    OPS_TENANT_SETTINGS,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_USERS,
    SERVICE_TABLES,
)
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import row_count
from lakehouse.storage.tables import model_tables

SOURCES: Final = (
    RAW_INTERACTIONS.full_name,
    RAW_ITEMS.full_name,
    RAW_USERS.full_name,
    RAW_CLICKSTREAM.full_name,
    OPS_TENANT_SETTINGS.full_name,
    OPS_SHARED_DEVICES.full_name,
)
"""The tables that the models read and do not write."""

BUILT: Final = ("ops", "staging", "features", "training")
"""Schemas whose tables a run writes; evaluation snapshots are another run."""

_NO_INPUT: Final = frozenset(spec.full_name for spec in SERVICE_TABLES) - set(SOURCES)
_CODE: Final = ("dbt_project.yml", "dbt_project/models", "macros")


def table_versions(lake: Lake) -> dict[str, int]:
    """Return the newest version of every table that a run reads or writes, by name."""
    tables = lake.tables(("raw", *BUILT), _NO_INPUT)
    return {name: table.version() for name, table in tables}


def rows_written(lake: Lake, since: Mapping[str, int]) -> dict[str, dict[str, int | float]]:
    """Return what the commits after the versions `since` did to each derived table.

    Table → `inserted`, `updated`, `deleted` rows and `seconds` of their commits, and `rows`, the
    number of rows that the table has now. Those of before plus `inserted` minus `deleted` are
    `rows`: what a commit's metrics leave out (a table that was replaced whole) is put right by
    counting.
    """
    found: dict[str, dict[str, int | float]] = {}
    for name, table in model_tables(lake, BUILT):
        first = since.get(name, -1)
        if first > table.version():  # dropped since, and made again
            first = -1
        commits = table.version() - first
        history = table.history(commits) if commits > 0 else []
        changes = _sum_of(commit.get("operationMetrics", {}) for commit in history)
        rows = row_count(table)
        before = _rows_at(lake, name, first) if commits > 0 else rows
        if before is not None:
            missing = rows - before - int(changes["inserted"] - changes["deleted"])
            changes["inserted" if missing > 0 else "deleted"] += abs(missing)
        found[name] = {**changes, "rows": rows}
    return found


def _rows_at(lake: Lake, name: str, version: int) -> int | None:
    """Return the rows of a version of a table; None when its log does not go back so far."""
    if version < 0:
        return 0
    try:
        return row_count(lake.table(name, version))
    except DeltaError:
        return None


def tenants_since(lake: Lake, versions: Mapping[str, int]) -> list[str] | None:
    """Return the tenants whose sources changed since `versions`; None when that is not known.

    The clickstream is a source of those alone that map it to interactions, or ever did.
    """
    found: set[str] = set()
    for name in SOURCES:
        try:
            now = _files(lake.table(name))
            known = _files(lake.table(name, versions[name])).keys()
        except (KeyError, DeltaError):  # never noted, or its log was shortened
            return None
        changed = {tenant_id for file, (tenant_id, _) in now.items() if file not in known}
        if changed and name == RAW_CLICKSTREAM.full_name:
            changed &= _clickstream_tenants(lake)
        found |= changed
    return sorted(found)


def tenants_received(lake: Lake, first: date, last: date | None) -> list[str]:
    """Return the tenants that sent rows from day `first` to `last` (None: until now), UTC."""
    found: set[str] = set()
    for spec in (RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, RAW_CLICKSTREAM):
        sent = {
            tenant_id
            for tenant_id, day in _files(lake.table(spec)).values()
            if day is not None and first <= day and (last is None or day <= last)
        }
        if sent and spec is RAW_CLICKSTREAM:
            sent &= _clickstream_tenants(lake)
        found |= sent
    return sorted(found)


def _clickstream_tenants(lake: Lake) -> set[str]:
    """Return the tenants that map their clickstream, or ever did: see `clickstream_tenants.sql`."""
    rows = lake.table(OPS_TENANT_SETTINGS).to_pyarrow_table().to_pylist()
    # a table of an earlier release lacks the column
    return {row["tenant_id"] for row in rows if row.get("clickstream") is not None}


def code_fingerprint(project_dir: Path) -> str:
    """Return a hash over the models and macros: a run with other code is another run."""
    digest = hashlib.sha256()
    for place in _CODE:
        root = project_dir / place
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(project_dir)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _files(table: DeltaTable) -> dict[str, tuple[str, date | None]]:
    """Return each file's tenant and day of arrival."""
    actions = table.get_add_actions(flatten=True)
    names = actions.schema.names
    paths = actions["path"].to_pylist()
    tenants = actions["partition.tenant_id"].to_pylist()
    has_days = "partition.ingest_date" in names
    days = actions["partition.ingest_date"].to_pylist() if has_days else [None] * len(paths)
    return {
        path: (tenant, _day(day)) for path, tenant, day in zip(paths, tenants, days, strict=True)
    }


def _day(value: date | str | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _sum_of(commits: Iterable[Mapping[str, str]]) -> dict[str, int | float]:
    found: dict[str, int | float] = {"inserted": 0, "updated": 0, "deleted": 0, "seconds": 0.0}
    for metrics in commits:
        inserted = ("numTargetRowsInserted", "numOutputRows", "num_added_rows")
        deleted = ("numTargetRowsDeleted", "numDeletedRows", "num_deleted_rows")
        found["inserted"] += _first(metrics, *inserted)
        found["updated"] += _first(metrics, "numTargetRowsUpdated", "numUpdatedRows")
        found["deleted"] += _first(metrics, *deleted)
        found["seconds"] += int(metrics.get("executionTimeMs") or 0) / 1000
    return found


def _first(metrics: Mapping[str, str], *names: str) -> int:
    """Return the first of a commit's metrics that it has; each operation has its own names."""
    return next((int(metrics[name]) for name in names if metrics.get(name) is not None), 0)
