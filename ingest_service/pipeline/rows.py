"""Contract columns as table rows: provenance added, in the table's order."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Final

import polars as pl
import pyarrow as pa

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.identity import placed_ids
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    TableSpec,
)

SCHEMA_VERSION: Final = 1
"""Version of the contract that quarantined rows were refused by."""

_REASONS: Final = pl.List(pl.Struct(dict.fromkeys(("code", "field", "message"), pl.String)))

PARTITION: Final = ("tenant_id", "ingest_date")
SINK_COLUMNS: Final = (*PARTITION, "attempt")
"""What the sink adds: the partition, and which attempt at the batch wrote a row."""
LEDGER_REF: Final = "ledger"


def raw_rows(
    spec: TableSpec,
    accepted: pl.DataFrame,
    refs: pa.Array,
    batch: BatchKey,
    others: Mapping[str, pa.Array] = MappingProxyType({}),
) -> pa.Table:
    """Return accepted rows as the raw table has them, without what the sink adds.

    `others`: columns in the place of what all rows of a batch share, its id or its time.
    """
    return _table(spec, accepted, {**others, "source_ref": refs}, batch)


def with_places(rows: pl.DataFrame, is_state: pl.Series | None, refs: pa.Array) -> pl.DataFrame:
    """Return rows with ids that tell an item's equal states in one batch apart."""
    if is_state is None:
        return rows
    return rows.with_columns(placed_ids(rows["event_id"], is_state, pl.Series(refs)))


def quarantine_rows(
    batch: BatchKey,
    raw: Sequence[bytes],
    refs: pa.Array,
    reasons: pl.Series | list[list[dict[str, str]]],
    layout: SourceLayout,
    others: Mapping[str, pa.Array] = MappingProxyType({}),
) -> pa.Table:
    """Return refused rows as the quarantine has them; the arguments are in the rows' order.

    `raw` holds their bytes in the layout's encoding, `reasons` per row a list of
    `code, field, message`; `others`: see `raw_rows`.
    """
    frame = pl.DataFrame(
        {
            "raw": pl.Series(raw, dtype=pl.Binary),
            "reasons": pl.Series(reasons, dtype=_REASONS),
            "schema_version": pl.repeat(SCHEMA_VERSION, len(raw), dtype=pl.Int32, eager=True),
        }
    )
    columns = {
        **others,
        "data_type": _constant(batch.data_type.value, len(raw)),
        "reasons": frame["reasons"].to_arrow(compat_level=pl.CompatLevel.oldest()),
        "source_ref": refs,
        "layout": _constant(layout.to_text(), len(raw)),
    }
    return _table(RAW_QUARANTINE, frame, columns, batch)


def reasons_by_row(reasons: pl.DataFrame) -> pl.DataFrame:
    """Return `row, reasons` from a validator's reasons: every reason of a row in one list."""
    one = pl.struct("code", "field", "message").alias("reasons")
    return reasons.group_by("row", maintain_order=True).agg(one)


def outcome_rows(
    batch: BatchKey, refs: pl.Series, outcomes: pl.Series, is_edited: pl.Series
) -> pa.Table:
    """Return what a replay made of rows as `ops.replay_outcomes` has it."""
    frame = pl.DataFrame(
        {
            "source_ref": refs,
            "outcome": outcomes,
            "is_edited": is_edited,
            "replay": pl.repeat(batch.replay, len(refs), dtype=pl.Int32, eager=True),
        }
    )
    columns = {"data_type": _constant(batch.data_type.value, len(refs))}
    return _table(OPS_REPLAY_OUTCOMES, frame, columns, batch)


def ledger_rows(entries: Sequence[tuple[BatchKey, int, Counts]]) -> pa.Table:
    """Return what became of batches as the ledger has it: of each the attempt and its counts."""
    rows = [
        {
            "data_type": batch.data_type.value,
            "replay": batch.replay,
            "attempt": attempt,
            **asdict(counts),
            "known_at": batch.known_at,
            "source": batch.source,
            "batch_id": batch.batch_id,
            "source_ref": LEDGER_REF,
        }
        for batch, attempt, counts in entries
    ]
    names = [name for name in OPS_INGEST_LEDGER.schema.names if name not in PARTITION]
    frame = pl.DataFrame(rows, schema_overrides={"replay": pl.Int32}).select(names)
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _table(
    spec: TableSpec, frame: pl.DataFrame, given: Mapping[str, pa.Array], batch: BatchKey
) -> pa.Table:
    """Put columns of `frame`, `given` ones and the batch's own into the table's order.

    Texts stay string views, as polars has them: Parquet is written from those without a copy.
    """
    constants: dict[str, str | datetime] = {
        "known_at": batch.known_at,
        "source": batch.source,
        "batch_id": batch.batch_id,
    }
    columns = dict(given)
    for field in spec.schema:
        if field.name in SINK_COLUMNS or field.name in columns:
            continue
        if field.name in constants:
            columns[field.name] = _constant(constants[field.name], frame.height)
        elif field.name == "context":
            columns[field.name] = _context(frame)
        elif pa.types.is_list(field.type):
            # As in a struct: lists of string views cannot be sliced.
            columns[field.name] = _arrow(frame.get_column(field.name)).cast(field.type)
        else:
            columns[field.name] = _arrow(frame.get_column(field.name))
    names = [name for name in spec.schema.names if name in columns]
    return pa.table({name: columns[name] for name in names})


def _context(frame: pl.DataFrame) -> pa.Array:
    """The context, null where none of its fields has a value."""
    parts = frame.select(CONTEXT_FIELDS)
    empty = parts.select(pl.all_horizontal(pl.all().is_null())).to_series()
    return pa.StructArray.from_arrays(
        # Within a struct the Parquet writer cannot slice string views.
        [_arrow(part).cast(pa.string()) for part in parts.iter_columns()],
        names=list(CONTEXT_FIELDS),
        mask=empty.to_arrow(),
    )


def _arrow(column: pl.Series) -> pa.Array:
    return column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())


def _constant(value: str | datetime, count: int) -> pa.Array:
    # Through polars: pyarrow's own constructors import pandas, 60 MB and a second for nothing.
    if isinstance(value, datetime):
        kind = pl.Datetime("us", "UTC")
        return pl.repeat(value, count, dtype=kind, eager=True).to_arrow()
    first = pl.Series([value]).to_arrow(compat_level=pl.CompatLevel.newest()).cast(pa.string())
    zeros = pl.repeat(0, count, dtype=pl.Int8, eager=True).to_arrow()
    return pa.DictionaryArray.from_arrays(zeros, first)
