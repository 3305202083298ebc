"""Frames of polars as tables of Arrow that can be put together, written and sliced."""

from __future__ import annotations

import polars as pl
import pyarrow as pa


def arrow_of(rows: pl.DataFrame) -> pa.Table:
    """Return the rows with plain types, as `ParquetWriter` and the IPC writer take them.

    Lists that are all empty may come out of polars as a part behind the end of a buffer of no
    bytes. It is a valid array, and `pyarrow` (26) refuses to put it together with any other
    (`ArrowIndexError`: buffer slice would exceed buffer length). Such values are made anew.
    """
    return settled(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def settled(table: pa.Table) -> pa.Table:
    """Return the same table without parts of empty buffers, see `arrow_of`."""
    for place, column in enumerate(table.columns):
        if not _is_list(column.type):
            continue
        if any(_is_beyond(chunk) for chunk in column.chunks):
            chunks = [_anew(chunk) if _is_beyond(chunk) else chunk for chunk in column.chunks]
            table = table.set_column(
                place, table.schema.field(place), pa.chunked_array(chunks, column.type)
            )
    return table


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_beyond(chunk: pa.Array) -> bool:
    return len(chunk.values) == 0 and bool(chunk.values.offset)


def _anew(chunk: pa.Array) -> pa.Array:
    """Return lists that are all empty or null, with values of their own."""
    empty: list[list[object] | None] = [
        None if is_null else [] for is_null in chunk.is_null().to_pylist()
    ]
    return pa.array(empty, chunk.type)
