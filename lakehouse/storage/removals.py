"""Rows that left a table by age or by erasure, counted per batch, so that the ledger adds up.

Counted before they go: a row of `ops.removals` holds from the moment on at which the table they
left has its application transaction. One that was killed in between does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lakehouse.contracts.tables import OPS_REMOVALS, SERVICE_TABLES, TableSpec
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import OpenTable, query

EXPIRED: Final = "expired"
ERASED: Final = "erased"
ASKED: Final = timedelta(days=29)
"""How far back a table can be asked: application transactions are kept for 30 days."""
_COLUMNS: Final = (
    "tenant_id, batch_id, table_name, reason, removal_id, attempt, row_count, known_at"
)


def removed_rows(
    table: OpenTable, tenant_id: str | None, now: datetime, condition: str = "true"
) -> pl.DataFrame:
    """Return `tenant_id, batch_id, table_name, reason, row_count` of rows that are gone.

    `condition` is the program's own SQL over the columns of `ops.removals`.
    """
    found = query(table(OPS_REMOVALS), _COLUMNS, tenant_id, condition)
    gone = found.join(_not_done(found, table, now), on=("removal_id", "attempt"), how="anti")
    return gone.select("tenant_id", "batch_id", "table_name", "reason", "row_count")


def left_by_batch(table: OpenTable, tenant_id: str, now: datetime) -> dict[str, int]:
    """Return batch → how many of its rows have left raw or the quarantine, by age or erasure."""
    found = removed_rows(table, tenant_id, now).group_by("batch_id").agg(pl.col("row_count").sum())
    return dict(found.iter_rows())


@dataclass(frozen=True, slots=True)
class Removal:
    """Rows that are about to go together: `counts` has tenant, day, batch and `row_count`."""

    removal_id: str
    attempt: int
    counts: pl.DataFrame


def record_removal(
    lake: Lake,
    spec: TableSpec,
    counts: pl.DataFrame,
    *,
    reason: str,
    removal_id: str,
    attempt: int,
    now: datetime,
    expired_before: datetime | None = None,
) -> None:
    """Append what a removal is about to take: `counts` has tenant, day, batch and `row_count`.

    It counts once the caller has committed the removal to the table together with the application
    transaction (`removal_id`, `attempt`).
    """
    about = Removal(removal_id, attempt, counts)
    record_removals(lake, spec, [about], reason=reason, now=now, expired_before=expired_before)


def record_removals(
    lake: Lake,
    spec: TableSpec,
    removals: Sequence[Removal],
    *,
    reason: str,
    now: datetime,
    expired_before: datetime | None = None,
) -> None:
    """Append what several removals are about to take, in one commit; see `record_removal`."""
    rows = [
        {
            **row,
            "table_name": spec.full_name,
            "reason": reason,
            "removal_id": one.removal_id,
            "attempt": one.attempt,
            "expired_before": expired_before,
            "known_at": now,
        }
        for one in removals
        for row in one.counts.to_dicts()
    ]
    table = lake.table(OPS_REMOVALS)
    write_deltalake(table, pa.Table.from_pylist(rows, OPS_REMOVALS.schema), mode="append")


def forget_undone(lake: Lake, spec: TableSpec, now: datetime) -> None:
    """Drop what killed removals from `spec` had counted; none of them may be under way."""
    found = query(lake.table(OPS_REMOVALS), _COLUMNS, None, f"table_name = '{spec.full_name}'")
    undone = _not_done(found, lake.table, now)["attempt"].unique().to_list()
    if undone:
        numbers = ", ".join(str(int(attempt)) for attempt in undone)
        lake.table(OPS_REMOVALS).delete(
            f"table_name = '{spec.full_name}' and attempt in ({numbers})"
        )


def _not_done(found: pl.DataFrame, table: OpenTable, now: datetime) -> pl.DataFrame:
    """Return the (`removal_id`, `attempt`) that the tables they were about have not taken."""
    specs: Mapping[str, TableSpec] = {spec.full_name: spec for spec in SERVICE_TABLES}
    asked = found.filter(pl.col("known_at") > now - ASKED)
    undone = []
    for name, removal, attempt in (
        asked.select("table_name", "removal_id", "attempt").unique().iter_rows()
    ):
        handle: DeltaTable = table(specs[name])
        if handle.transaction_version(removal) != attempt:
            undone.append((removal, attempt))
    schema = {"removal_id": pl.String, "attempt": pl.Int64}
    return pl.DataFrame(undone, schema=schema, orient="row")
