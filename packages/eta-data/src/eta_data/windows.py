"""Holds one shuffled window per stream and gives batches out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eta_data.errors import DataError
from eta_data.memory import to_arrow
from eta_data.order import Layout, Turned, shares
from eta_data.reading import UnitCursor, Units

GROUP_NUMBER = "group_number"
Change = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True)
class _Window:
    number: int
    rows: pa.RecordBatch
    offsets: NDArray[np.int64] | None
    """Where each group begins, and the end; None: a unit is a row."""


class Windows:
    """Batches of one epoch, read forwards; batch numbers of a stream should not fall.

    `change` is applied to each window before it is shuffled.
    """

    def __init__(
        self,
        units: Units,
        layout: Layout,
        key: Sequence[object],
        columns: Sequence[str],
        change: Change | None = None,
    ) -> None:
        self._layout = layout
        size = min(layout.batches_per_window * layout.batch_size, layout.units)
        self._turned = Turned(size, *key, "window")
        self._cursor_of = units.opened(key, columns)
        self._change = change
        self._sizes = units.sizes
        self._windows: dict[int, _Window] = {}
        self._cursors: dict[tuple[int, int], UnitCursor] = {}

    def batch(self, number: int) -> pa.RecordBatch:
        """Return a batch of the epoch; with groups it has their numbers in `group_number`."""
        stream, window, place = self._layout.place(number)
        held = self._windows.get(stream)
        if held is None or held.number != window:
            self._windows.pop(stream, None)
            held = self._windows[stream] = self._loaded(stream, window)
        size = self._layout.batch_size
        if held.offsets is None:
            return held.rows.slice(place * size, size)
        offsets = held.offsets[place * size : (place + 1) * size + 1]
        rows = held.rows.slice(offsets[0], offsets[-1] - offsets[0])
        numbers = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
        return rows.append_column(GROUP_NUMBER, to_arrow(numbers))

    def _loaded(self, stream: int, window: int) -> _Window:
        start, stop = self._layout.window(stream, window)
        before, after = shares(start, self._sizes), shares(stop, self._sizes)
        pieces, sizes = [], []
        for stratum, (first, last) in enumerate(zip(before, after, strict=True)):
            if first < last:
                for piece, rows_of in self._cursor(stream, stratum).read(first, last):
                    pieces.append(piece)
                    sizes.append(rows_of)
        order = self._turned.order(stop - start, stream, window)
        offsets = None
        if sizes and sizes[0] is not None:
            order, offsets = _spread(order, np.concatenate([s for s in sizes if s is not None]))
        table = pa.Table.from_batches(pieces)
        if self._change is not None:
            table = self._change(table)
        return _Window(window, _taken(table, order), offsets)

    def _cursor(self, stream: int, stratum: int) -> UnitCursor:
        place = (stream, stratum)
        if place not in self._cursors:
            self._cursors[place] = self._cursor_of(stratum)
        return self._cursors[place]


def _spread(
    order: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of groups in an order of the groups, and where each group begins."""
    starts = np.cumsum(sizes) - sizes
    chosen = sizes[order]
    offsets = np.concatenate([[0], np.cumsum(chosen)])
    rows = np.arange(offsets[-1]) + np.repeat(starts[order] - offsets[:-1], chosen)
    return rows, offsets


def _taken(table: pa.Table, order: NDArray[np.int64]) -> pa.RecordBatch:
    indices = to_arrow(order)
    try:
        arrays = [pc.take(_array(c), indices, boundscheck=False) for c in table.columns]
    except pa.ArrowException as error:
        raise DataError(
            f"a window of {len(order):,} rows does not fit into one Arrow array",
            remedy="read fewer columns, or give a smaller window_rows",
        ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _array(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
