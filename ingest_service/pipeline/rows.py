"""Contract columns as table rows: provenance added, in the table's order."""

from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ingest_service.sinks.base import BatchKey
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.identity import placed_ids
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import OPS_REPLAY_OUTCOMES, RAW_QUARANTINE, TableSpec

SCHEMA_VERSION: Final = 1
"""Version of the contract that quarantined rows were refused by."""

_REASONS: Final = pl.List(pl.Struct(dict.fromkeys(("code", "field", "message"), pl.String)))
_DIGITS: Final = 10

SINK_COLUMNS: Final = ("tenant_id", "ingest_date", "attempt")
"""What the sink adds: the partition, and which attempt at the batch wrote a row."""


def line_refs(lines: npt.NDArray[np.int64], unit: str = "line", digits: int = _DIGITS) -> pa.Array:
    """Where rows stood in a file (`line:0000000042`), written so that text order is file order."""
    head = f"{unit}:".encode()
    width = len(head) + digits
    text = np.empty((len(lines), width), dtype=np.uint8)
    text[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    rest = lines.astype(np.int64)
    for place in range(width - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        text[:, place] = digit + ord("0")
    offsets = np.arange(0, (len(lines) + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(lines), buffers)


def raw_rows(
    spec: TableSpec,
    accepted: pl.DataFrame,
    refs: pa.Array,
    batch: BatchKey,
    batch_ids: pa.Array | None = None,
    known_at: pa.Array | None = None,
) -> pa.Table:
    """Return accepted rows as the raw table has them, without what the sink adds.

    `batch_ids` are those of rows that are not all of one batch, `known_at` the times of rows that
    did not all become known with it.
    """
    given = {"source_ref": refs, "batch_id": batch_ids, "known_at": known_at}
    given = {name: column for name, column in given.items() if column is not None}
    return _table(spec, accepted, given, batch)


def with_places(rows: pl.DataFrame, is_state: pl.Series | None, refs: pa.Array) -> pl.DataFrame:
    """Return rows with ids that tell an item's equal states in one batch apart."""
    if is_state is None:
        return rows
    return rows.with_columns(placed_ids(rows["event_id"], is_state, pl.Series(refs)))


def quarantine_rows(
    batch: BatchKey,
    raw: list[bytes],
    refs: pa.Array,
    reasons: pl.Series | list[list[dict[str, str]]],
    layout: SourceLayout,
    batch_ids: pa.Array | None = None,
) -> pa.Table:
    """Return refused rows as the quarantine has them; the arguments are in the rows' order.

    `raw` holds their bytes in the layout's encoding, `reasons` per row a list of
    `code, field, message`.
    """
    frame = pl.DataFrame(
        {
            "raw": pl.Series(raw, dtype=pl.Binary),
            "reasons": pl.Series(reasons, dtype=_REASONS),
            "schema_version": pl.repeat(SCHEMA_VERSION, len(raw), dtype=pl.Int32, eager=True),
        }
    )
    columns = {
        "data_type": _constant(batch.data_type.value, len(raw)),
        "reasons": frame["reasons"].to_arrow(compat_level=pl.CompatLevel.oldest()),
        "source_ref": refs,
        "layout": _constant(layout.to_text(), len(raw)),
    } | ({} if batch_ids is None else {"batch_id": batch_ids})
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


def _table(
    spec: TableSpec, frame: pl.DataFrame, given: dict[str, pa.Array], batch: BatchKey
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
