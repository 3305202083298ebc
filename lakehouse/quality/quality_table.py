"""Reads `ops.data_quality` and the newest times of the ledger: no more than so many rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import OPS_DATA_QUALITY, OPS_INGEST_LEDGER
from lakehouse.quality.arrivals import COMMIT, split_stored
from lakehouse.quality.document import Measurement
from lakehouse.quality.scoring import Shares
from lakehouse.storage.data_quality import KEYS, newest_quality
from lakehouse.storage.ledger import SETTLED, OpenTable, query

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
    found = query(table(OPS_DATA_QUALITY), _COLUMNS, tenant_id, rest)
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


def last_received(
    table: OpenTable, since: datetime, tenant_id: str | None, now: datetime
) -> dict[Key, datetime]:
    """Return when each data type's newest batch was taken in, of one tenant or all (None).

    A batch that was killed before raw had it was not taken in, though the ledger has a row of it.
    """
    first_day = f"ingest_date >= date '{since.astimezone(UTC):%Y-%m-%d}' and replay = 0"
    young = f"known_at > timestamp '{(now - SETTLED).isoformat()}'"
    old = query(
        table(OPS_INGEST_LEDGER),
        "tenant_id, data_type, max(known_at) as known_at",
        tenant_id,
        f"{first_day} and not ({young}) group by tenant_id, data_type",
    )
    columns = ", ".join(("tenant_id", "data_type", *COMMIT, "known_at", "stored"))
    rows = query(table(OPS_INGEST_LEDGER), columns, tenant_id, f"{first_day} and {young}")
    found = pl.concat([old, _newest_stored(rows, table, now).select(old.columns)])
    return {
        (row["tenant_id"], row["data_type"]): row["known_at"]
        for row in found.sort("known_at").to_dicts()
    }


def _newest_stored(rows: pl.DataFrame, table: OpenTable, now: datetime) -> pl.DataFrame:
    """Return the newest row per tenant and data type whose batch raw has: the newest are asked."""
    kept = [rows.clear()]
    while rows.height:
        newest = rows.sort("known_at").group_by(KEYS).last().select(rows.columns)
        dated = newest.with_columns(committed_at="known_at")
        stored = split_stored(dated, table, now, SETTLED)[0].select(rows.columns)
        kept.append(stored)
        rows = rows.join(newest, on=COMMIT, how="anti").join(stored, on=KEYS, how="anti")
    return pl.concat(kept)


def _from(since: datetime) -> str:
    return f"measured_at >= timestamp '{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z'"
