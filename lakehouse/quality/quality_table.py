"""Reads `ops.data_quality` and the newest times of the ledger: no more than so many rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from lakehouse.contracts.tables import OPS_DATA_QUALITY, OPS_INGEST_LEDGER
from lakehouse.quality.document import Measurement
from lakehouse.quality.scoring import Shares
from lakehouse.storage.data_quality import KEYS, newest_quality
from lakehouse.storage.ledger import query

if TYPE_CHECKING:
    from lakehouse.contracts.kinds import DataType
    from lakehouse.storage.ledger import OpenTable

MOST_ROWS: Final = 400
"""Measurements of one data type; what is older is left out."""

Key = tuple[str, str]
"""Tenant and data type."""

_COLUMNS: Final = ", ".join(Measurement.model_fields)
_SHARES: Final = tuple(f"{name}_percent" for name in Shares.__dataclass_fields__)


def history(
    table: OpenTable, tenant_id: str, data_type: DataType, since: datetime
) -> tuple[list[dict[str, Any]], bool]:
    """Return the newest measurements, oldest first, and whether older ones were left out."""
    newest_first = f"order by measured_at desc limit {MOST_ROWS + 1}"
    rest = f"data_type = '{data_type}' and {_from(since)} {newest_first}"
    found = query(table, OPS_DATA_QUALITY, _COLUMNS, tenant_id, rest)
    numbers = pl.col(pl.Float64).fill_nan(None)  # JSON has no NaN
    rows = found.with_columns(numbers).sort("measured_at").tail(MOST_ROWS)
    return rows.to_dicts(), found.height > MOST_ROWS


def newest_shares(
    table: OpenTable, since: datetime, tenant_id: str | None
) -> dict[Key, tuple[datetime, Shares]]:
    """Return when and what each data type's newest measurement found, of one tenant or all."""
    newest = newest_quality(table, tenant_id, since).select(*KEYS, "measured_at", *_SHARES)
    return {
        (tenant_id, data_type): (measured_at, Shares(*shares))
        for tenant_id, data_type, measured_at, *shares in newest.iter_rows()
    }


def last_received(table: OpenTable, since: datetime, tenant_id: str | None) -> dict[Key, datetime]:
    """Return when each data type's newest batch was taken in, of one tenant or all (None)."""
    found = query(
        table,
        OPS_INGEST_LEDGER,
        "tenant_id, data_type, max(known_at) as known_at",
        tenant_id,
        f"ingest_date >= date '{since.astimezone(UTC):%Y-%m-%d}' and replay = 0 "
        "group by tenant_id, data_type",
    )
    return {(row["tenant_id"], row["data_type"]): row["known_at"] for row in found.to_dicts()}


def _from(since: datetime) -> str:
    return f"measured_at >= timestamp '{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z'"
