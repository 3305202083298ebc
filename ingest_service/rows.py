"""Contract columns as table rows: provenance added, in the table's order."""

from datetime import datetime
from typing import Final

import polars as pl
import pyarrow as pa

from ingest_service.sinks.base import BatchKey
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.tables import RAW_QUARANTINE, TableSpec

SCHEMA_VERSION: Final = 1
"""Version of the contract that quarantined rows were refused by."""

PARTITION_COLUMNS: Final = ("tenant_id", "ingest_date")


def line_refs(lines: pl.Series) -> pl.Series:
    """Where rows stood in a file, written so that text order is file order."""
    digits = lines.cast(pl.String).str.zfill(10)
    return pl.select((pl.lit("line:") + pl.lit(digits)).alias("source_ref")).to_series()


def raw_rows(spec: TableSpec, accepted: pl.DataFrame, refs: pl.Series, batch: BatchKey) -> pa.Table:
    """Return accepted rows as the raw table has them, without the partition columns."""
    frame = accepted.with_columns(refs.alias("source_ref"))
    if "context" in spec.schema.names:
        present = pl.any_horizontal(pl.col(CONTEXT_FIELDS).is_not_null())
        frame = frame.with_columns(context=pl.when(present).then(pl.struct(CONTEXT_FIELDS)))
    return _table(spec, frame, batch)


def quarantine_rows(
    batch: BatchKey, raw: list[bytes], refs: pl.Series, reasons: pl.DataFrame
) -> pa.Table:
    """Return refused rows as the quarantine has them.

    `reasons` has one row per refused row, in order: a list `reasons` of code, field and message.
    """
    frame = pl.DataFrame({"raw": pl.Series(raw, dtype=pl.Binary)}).with_columns(
        refs.alias("source_ref"),
        reasons["reasons"],
        data_type=pl.lit(batch.data_type.value),
        schema_version=pl.lit(SCHEMA_VERSION, dtype=pl.Int32),
    )
    return _table(RAW_QUARANTINE, frame, batch)


def _table(spec: TableSpec, frame: pl.DataFrame, batch: BatchKey) -> pa.Table:
    constants: dict[str, str | datetime] = {
        "known_at": batch.known_at,
        "source": batch.source,
        "batch_id": batch.batch_id,
    }
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = {}
    for field in spec.schema:
        if field.name in PARTITION_COLUMNS:
            continue
        if field.name in constants:
            columns[field.name] = _constant(constants[field.name], field.type, frame.height)
        else:
            columns[field.name] = arrow.column(field.name)
    return pa.table(columns)


def _constant(value: str | datetime, kind: pa.DataType, count: int) -> pa.Array:
    scalar = pa.scalar(value, kind)
    if not pa.types.is_string(kind):
        return pa.repeat(scalar, count)
    return pa.DictionaryArray.from_arrays(
        pa.repeat(pa.scalar(0, pa.int8()), count), pa.array([value], kind)
    )
