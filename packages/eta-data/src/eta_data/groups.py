"""A positive with its negatives as one unit, though they lie in files of their own.

An export's files are in order of time, so a range of times is a run of rows of each file. Ranges
are the blocks of the order. Once, two narrow columns are read to count the groups of each range;
then a range is read whole, and its rows are put together by user and anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eta_data.errors import DamagedError, DataError
from eta_data.footers import read_footers
from eta_data.memory import to_arrow, to_numpy
from eta_data.order import permutation
from eta_data.reading import Sizes
from eta_data.source import Block, Reader, RowSource

RANGE_ROWS: Final = 131_072
"""Rows of a range of times, about."""
MOST_ROWS: Final = 32 * RANGE_ROWS
_KEYS: Final = ("user_id", "anchor_item_id", "draw_index", "label")


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows of a row group, counted among those that count."""

    block: Block
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Range:
    """The rows of a range of times; `groups` of them are a positive or an explicit negative."""

    runs: tuple[_Run, ...]
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """See `reading.Units`: one stratum, as each group has its own labels."""

    source: RowSource
    ranges: tuple[_Range, ...]

    @classmethod
    def of(cls, source: RowSource, range_rows: int = RANGE_ROWS) -> Groups:
        """Find the groups of a source; refuse rows that are not in order of time."""
        if missing := [name for name in (*_KEYS, "event_time") if name not in source.schema.names]:
            raise DataError(
                f"groups need the columns {', '.join(missing)}, which the data does not have",
                remedy="export the snapshot with `eta export --format parquet`, or leave group off",
            )
        cuts = _cuts(source, range_rows)
        runs: list[list[_Run]] = [[] for _ in range(len(cuts) + 1)]
        groups = np.zeros(len(cuts) + 1, np.int64)
        reader = Reader(source, ["event_time", "draw_index"])
        for block in source.blocks():
            bounds, heads = _counted(reader, block, cuts, source)
            groups += heads
            for number, (start, stop) in enumerate(pairwise(bounds)):
                if start < stop:
                    runs[number].append(_Run(block, start, stop))
        found = [_Range(tuple(r), int(g)) for r, g in zip(runs, groups, strict=True) if r]
        for one in found:
            _check_size(one)
        return cls(source, tuple(found))

    @property
    def sizes(self) -> list[int]:
        """See `reading.Units.sizes`."""
        return [sum(one.groups for one in self.ranges)]

    def opened(self, key: Sequence[object], columns: Sequence[str]) -> Callable[[int], GroupCursor]:
        """See `reading.Units.opened`."""
        order = permutation(len(self.ranges), *key, "ranges")
        ranges = [self.ranges[number] for number in order]
        return lambda _: GroupCursor(self.source, ranges, columns)


class GroupCursor:
    """See `reading.UnitCursor`."""

    def __init__(
        self,
        source: RowSource,
        ranges: Sequence[_Range],
        columns: Sequence[str],
    ) -> None:
        self._reader = Reader(source, list(dict.fromkeys([*columns, *_KEYS])))
        self._source = source
        self._columns = list(columns)
        self._ranges = ranges
        self._starts = np.cumsum([0, *(one.groups for one in ranges)])
        self._held = -1
        self._rows: pa.RecordBatch | None = None
        self._offsets = np.zeros(1, np.int64)

    def read(self, start: int, stop: int) -> Iterator[tuple[pa.RecordBatch, Sizes]]:
        """See `reading.UnitCursor.read`."""
        while start < stop:
            number = int(np.searchsorted(self._starts, start, "right")) - 1
            self._hold(number)
            base = int(self._starts[number])
            end = min(stop, int(self._starts[number + 1]))
            offsets = self._offsets[start - base : end - base + 1]
            assert self._rows is not None
            yield self._rows.slice(offsets[0], offsets[-1] - offsets[0]), np.diff(offsets)
            start = end

    def _hold(self, number: int) -> None:
        if self._held == number:
            return
        pieces = [piece for run in self._ranges[number].runs for piece in self._run(run)]
        table = pa.Table.from_batches(pieces).combine_chunks()
        order, sizes = _arranged(table, self._source.folder.path)
        arrays = [table.column(n).combine_chunks().take(to_arrow(order)) for n in self._columns]
        self._rows = pa.RecordBatch.from_arrays(arrays, self._columns)
        self._offsets = np.concatenate([[0], np.cumsum(sizes)])
        self._held = number

    def _run(self, run: _Run) -> Iterator[pa.RecordBatch]:
        left = run.stop - run.start
        for piece in self._reader.pieces(run.block, skip=run.start):
            yield piece.slice(0, left)
            left -= min(left, piece.num_rows)
            if not left:
                return


def _cuts(source: RowSource, range_rows: int) -> NDArray[np.int64]:
    """Return the times at which one range ends and the next begins, in order."""
    footers = read_footers(source.folder, [file.name for file in source.files], ["event_time"])
    reader = Reader(source, ["event_time"])
    starts = []
    for block in source.blocks():
        found = footers[source.files[block.file].name].ranges["event_time"][block.group]
        if found is not None and isinstance(found[0], datetime):
            starts.append((_microseconds(found[0]), block.rows))
        else:
            starts.append((min(int(_times(p).min()) for p in reader.pieces(block)), block.rows))
    cuts: list[int] = []
    held = 0
    for start, rows in sorted(starts):
        if held >= range_rows and (not cuts or start > cuts[-1]):
            cuts.append(start)
            held = 0
        held += rows
    return np.array(cuts, np.int64)


def _microseconds(moment: datetime) -> int:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(
        0, UTC
    )
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _times(piece: pa.RecordBatch) -> NDArray[np.int64]:
    return to_numpy(piece.column(0).cast(pa.int64())).astype(np.int64, copy=False)


def _counted(
    reader: Reader, block: Block, cuts: NDArray[np.int64], source: RowSource
) -> tuple[list[int], NDArray[np.int64]]:
    """Return where the ranges begin and end in a row group, and how many groups each has there."""
    pieces = list(reader.pieces(block))
    times = np.concatenate([_times(piece) for piece in pieces])
    if np.any(times[1:] < times[:-1]):
        name = source.files[block.file].name
        raise DataError(
            f"{name} is not in order of event_time, so groups cannot be found in it",
            remedy="export the snapshot with `eta export --format parquet` and read the export",
        )
    draws = np.concatenate([to_numpy(piece.column(1)) for piece in pieces])
    bounds = np.concatenate([[0], np.searchsorted(times, cuts), [len(times)]])
    heads = np.concatenate([[0], np.cumsum(draws == 0)])
    return bounds.tolist(), np.diff(heads[bounds])


def _check_size(one: _Range) -> None:
    rows = sum(run.stop - run.start for run in one.runs)
    if rows > MOST_ROWS:
        raise DataError(
            f"{rows:,} rows of one range of times would have to be held in memory",
            remedy="the files overlap in time, or one moment has them all: leave group off, or "
            "export the snapshot again",
        )


def _arranged(table: pa.Table, place: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order that puts negatives behind their positives, and the rows of each group."""
    draws = to_numpy(table.column("draw_index"))
    is_head = draws == 0
    is_anchor = is_head & (to_numpy(table.column("label")) == 1.0)
    user, anchor = (_codes(table.column(name)) for name in ("user_id", "anchor_item_id"))
    keys = user * (int(anchor.max(initial=0)) + 1) + anchor
    groups = np.empty(len(draws), np.int64)
    heads = int(is_head.sum())
    groups[is_head] = np.arange(heads)
    anchors = np.flatnonzero(is_anchor)
    by_key = anchors[np.argsort(keys[anchors], kind="stable")]
    known, wanted = keys[by_key], keys[~is_head]
    found = np.searchsorted(known, wanted)
    is_lost = found == len(known)
    if is_lost.any() or np.any(known[found] != wanted) or np.any(known[1:] == known[:-1]):
        raise DamagedError(
            f"{place} has negatives without their one positive",
            remedy="files are missing or of two exports: export the snapshot into a new folder",
        )
    groups[~is_head] = groups[by_key[found]]
    return np.lexsort((draws, groups)), np.bincount(groups, minlength=heads)


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    array = column.combine_chunks()
    array = array.dictionary_encode()
    codes: NDArray[np.float64] = to_numpy(array.indices)
    return np.nan_to_num(codes, nan=len(array.dictionary)).astype(np.int64)
