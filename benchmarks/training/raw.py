"""Puts interactions into the raw Delta table as the service would, in commits of one piece each."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake

from benchmarks.training.generator import PIECE_ROWS
from lakehouse.contracts.identity import event_ids, payload_text
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS, TableSpec
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

KNOWN_FROM: Final = datetime(2026, 4, 1, tzinfo=UTC)
UTC_MICROS: Final = pl.Datetime("us", "UTC")
WRITER: Final = WriterProperties(compression="ZSTD", compression_level=1)


def store(
    settings: LakeSettings, tenant_id: str, pieces: Iterable[pl.DataFrame], first_batch: int = 0
) -> int:
    """Append the pieces, one commit and batch each; return the number of rows.

    Rows get the identity that the service would give them and a fixed provenance: batch n became
    known n minutes after `KNOWN_FROM`. Memory is that of one piece.
    """
    ensure_tables(Lake(settings))
    table = Lake(settings).table(RAW_INTERACTIONS)
    rows = 0
    for number, piece in enumerate(pieces, first_batch):
        _append(table, RAW_INTERACTIONS, _with_provenance(piece, tenant_id, number))
        rows += piece.height
    return rows


def store_tenants(settings: LakeSettings, pieces: Mapping[str, pl.DataFrame], batch: int) -> int:
    """Append a piece for each of many tenants in one commit; return the number of rows."""
    ensure_tables(Lake(settings))
    rows = pl.concat(_with_provenance(piece, name, batch) for name, piece in pieces.items())
    _append(Lake(settings).table(RAW_INTERACTIONS), RAW_INTERACTIONS, rows)
    return rows.height


def store_catalogue(settings: LakeSettings, tenant_id: str, items: pl.DataFrame) -> None:
    """Append catalogue rows in one commit; what they leave out is null."""
    ensure_tables(Lake(settings))
    absent = [
        pl.lit(None, kind).alias(name)
        for name, kind in (
            ("available_from", UTC_MICROS),
            ("is_active", pl.Boolean),
            ("attributes", pl.String),
            ("sent_fields", pl.List(pl.String)),
        )
    ]
    identity = _identity(DataType.ITEMS, items, 0)
    rows = _with_keys(items, tenant_id, 0).with_columns(*absent, event_id=pl.lit(identity))
    _append(Lake(settings).table(RAW_ITEMS), RAW_ITEMS, rows)


def read_news(path: Path, piece_rows: int = PIECE_ROWS) -> Iterator[pl.DataFrame]:
    """Yield the clicks of the news file, in its order, with the columns of a generated log."""
    clicks = pl.scan_parquet(path)
    rows = clicks.select(pl.len()).collect().item()
    for start in range(0, rows, piece_rows):
        yield (
            clicks.slice(start, piece_rows)
            .select(
                pl.col("user_id", "item_id").cast(pl.String),
                pl.lit("click").alias("interaction_type"),
                pl.from_epoch("timestamp_ms", "ms").cast(UTC_MICROS).alias("event_time"),
                pl.lit(None, pl.Float64).alias("rating"),
            )
            .collect()
        )


def later_events(settings: LakeSettings, tenant_id: str, user_share: float) -> pl.DataFrame:
    """Return two events each for a share of the tenant's users, after everything it has.

    They are of items that the tenant has, so no item's hour moves; the same lake, the same events.
    """
    held = pl.scan_delta(str(Lake(settings).table(RAW_INTERACTIONS).table_uri)).filter(
        pl.col("tenant_id") == tenant_id
    )
    newest, users, items = (
        held.select(column).collect(engine="streaming").to_series()
        for column in (
            pl.col("event_time").max(),
            pl.col("user_id").unique(),
            pl.col("item_id").unique(),
        )
    )
    count = max(1, round(len(users) * user_share))
    touched = users.sort().sample(count, seed=1, shuffle=True)
    return pl.DataFrame(
        {
            "user_id": pl.concat([touched, touched]),
            "item_id": items.sort().sample(2 * count, seed=2, with_replacement=True),
            "interaction_type": pl.repeat("click", 2 * count, eager=True),
            "event_time": pl.select(
                pl.lit(newest.item()) + pl.duration(milliseconds=pl.int_range(1, 2 * count + 1))
            ).to_series(),
            "rating": pl.repeat(None, 2 * count, eager=True, dtype=pl.Float64),
        }
    )


def _with_provenance(piece: pl.DataFrame, tenant_id: str, batch: int) -> pl.DataFrame:
    identity = _identity(DataType.INTERACTIONS, piece, batch)
    context = RAW_INTERACTIONS.schema.field("context").type
    nothing = pl.struct(pl.lit(None, pl.String).alias(field.name) for field in context)
    return _with_keys(piece, tenant_id, batch).with_columns(
        event_id=pl.lit(identity), context=nothing
    )


def _identity(data_type: DataType, rows: pl.DataFrame, batch: int) -> pl.Series:
    return event_ids(payload_text(data_type, rows), round(_known_at(batch).timestamp() * 1e6), None)


def _known_at(batch: int) -> datetime:
    return KNOWN_FROM + timedelta(minutes=batch)


def _with_keys(rows: pl.DataFrame, tenant_id: str, batch: int) -> pl.DataFrame:
    known_at = _known_at(batch)
    return (
        rows.with_row_index("line", offset=2)
        .with_columns(
            tenant_id=pl.lit(tenant_id),
            ingest_date=pl.lit(known_at.date()),
            known_at=pl.lit(known_at).cast(UTC_MICROS),
            source=pl.lit("benchmark"),
            batch_id=pl.lit(f"batch-{batch:05}"),
            source_ref=pl.format("line:{}", "line"),
        )
        .drop("line")
    )


def _append(table: DeltaTable, spec: TableSpec, rows: pl.DataFrame) -> None:
    arrow = rows.select(spec.schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    write_deltalake(table, arrow.cast(spec.schema), mode="append", writer_properties=WRITER)
