"""The measures of quality as readers see them (`ops.data_quality`): the newest, and their history.

Rows are appended by `eta quality refresh`; docs/quality.md says what each column means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from lakehouse.contracts.tables import OPS_DATA_QUALITY
from lakehouse.storage.ledger import OpenTable, query

COLUMNS: Final = tuple(OPS_DATA_QUALITY.schema.names)
KEYS: Final = ("tenant_id", "data_type")


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a data type as it was measured, 0 to 100; None where it could not be."""

    data_type: str
    score: float | None
    measured_at: datetime


def read_marker(name: str) -> str:
    """Return the application transaction that says up to which version a table was measured."""
    return f"read:{name}"


def quality_rows(
    table: OpenTable, tenant_id: str | None = None, since: datetime | None = None
) -> pl.DataFrame:
    """Return the rows measured after `since` (None: all), oldest first, with every column.

    Of one tenant, or of all (None). Columns and units are those of `contracts.tables.DATA_QUALITY`.
    """
    found = query(table(OPS_DATA_QUALITY), ", ".join(COLUMNS), tenant_id, _after(since))
    return found.sort("measured_at", "tenant_id", "data_type")


def newest_quality(
    table: OpenTable, tenant_id: str | None = None, since: datetime | None = None
) -> pl.DataFrame:
    """Return the newest row (after `since`) of each tenant and data type, with every column.

    `freshness_hours` and `score` are as of `measured_at`: time has gone on since.
    """
    newest = ", ".join(
        f"last_value({name} order by measured_at) as {name}" for name in COLUMNS if name not in KEYS
    )
    rest = f"{_after(since)} group by tenant_id, data_type"
    found = query(table(OPS_DATA_QUALITY), f"tenant_id, data_type, {newest}", tenant_id, rest)
    return found.select(COLUMNS).sort(KEYS)


def scores_at(table: OpenTable, tenant_id: str, moment: datetime) -> list[Score]:
    """Return the newest score of each of a tenant's data types that was measured by a moment."""
    columns = ", ".join(
        f"last_value({name} order by measured_at) as {name}" for name in ("score", "measured_at")
    )
    rest = f"measured_at <= timestamp '{moment.isoformat()}' group by data_type"
    found = query(table(OPS_DATA_QUALITY), f"data_type, {columns}", tenant_id, rest)
    scores = found.with_columns(pl.col("score").fill_nan(None)).sort("data_type")
    return [Score(**row) for row in scores.to_dicts()]


def _after(since: datetime | None) -> str:
    return "true" if since is None else f"measured_at > timestamp '{since.isoformat()}'"
