"""Fingerprints in sorted arrays, which a batch's rows are looked up in: in memory, or on disk.

24 bytes per event. What a large batch adds goes to a file without a name in the spool folder, which
ends with the process, and is read through the page cache: a block of it is mapped while rows are
looked up in it. So memory depends neither on the batch nor on the one it is compared with.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Final, Protocol, TypeVar
from weakref import finalize

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.storage.faults import storage_errors

Numbers = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

BLOCK_ROWS: Final = 262_144
"""Rows of a file that are looked at at once: 6 MiB."""
_ODD: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
_COLUMNS: Final = 3
_BYTES: Final = 8


class _Sized(Protocol):
    @property
    def height(self) -> int: ...


S = TypeVar("S", bound=_Sized)


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints in the order of `place`, which with `high` stands for the key one to one."""

    place: Numbers
    high: Numbers
    payload: Numbers

    @property
    def height(self) -> int:
        """How many there are."""
        return len(self.place)

    def take(self, rows: npt.NDArray[np.intp] | Flags | slice) -> "Prints":
        """Return some of them; their order is to be kept."""
        return Prints(self.place[rows], self.high[rows], self.payload[rows])

    def load(self) -> "Prints":
        """Return itself: a block of rows in memory."""
        return self

    @property
    def first(self) -> np.uint64:
        """Where it begins; no block is empty."""
        return np.uint64(self.place[0])

    @property
    def last(self) -> np.uint64:
        """Where it ends."""
        return np.uint64(self.place[-1])


def sorted_prints(rows: pl.DataFrame) -> tuple[Prints, npt.NDArray[np.intp]]:
    """Return a frame's fingerprints (`key`, and `payload` if it has one), and which row each was.

    Keys are spread evenly: their low half times an odd number.
    """
    key = pl.col("key")
    halves = rows.select(
        low=key.cast(pl.UInt64, strict=False, wrap_numerical=True),
        high=(key // 2**64).cast(pl.UInt64),
    )
    high = halves["high"].to_numpy()
    place = halves["low"].to_numpy() * _ODD
    payload = rows["payload"].to_numpy() if "payload" in rows.columns else place
    order = np.argsort(place, kind="stable")
    return Prints(place, high, payload).take(order), order


class _PrintFile:
    """A file without a name that goes with the last segment that is in it."""

    def __init__(self, folder: Path | None) -> None:
        with storage_errors("the spool folder"):
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        finalize(self, self.file.close)

    def append(self, rows: Prints) -> "_FileBlock":
        with storage_errors("the spool folder"):
            offset = self.file.seek(0, os.SEEK_END)
            for column in (rows.place, rows.high, rows.payload):
                self.file.write(column.tobytes())
            self.file.flush()
        return _FileBlock(self, offset, rows.height, rows.first, rows.last)


@dataclass(frozen=True, slots=True)
class _FileBlock:
    """Rows of a file, mapped while somebody holds what `load` returns."""

    file: _PrintFile
    offset: int
    height: int
    first: np.uint64
    last: np.uint64

    def load(self) -> Prints:
        mapped = np.memmap(
            self.file.file, np.uint64, "r", self.offset, shape=(_COLUMNS, self.height)
        )
        place, high, payload = (np.asarray(column) for column in mapped)
        return Prints(place, high, payload)


@dataclass(frozen=True, slots=True)
class Segment:
    """Fingerprints of one or several batches: blocks of rows, one behind the other by `place`.

    `gone`: which rows, counted over all blocks, do not count any more, None for no row.
    """

    blocks: tuple[Prints | _FileBlock, ...]
    gone: Flags | None = None

    @classmethod
    def of(cls, rows: Prints) -> "Segment":
        """Return rows, of which there is at least one, as a segment in memory."""
        return cls((rows,))

    @property
    def height(self) -> int:
        """How many events it knows."""
        gone = 0 if self.gone is None else int(self.gone.sum())
        return sum(block.height for block in self.blocks) - gone

    @property
    def rows_in_memory(self) -> int:
        """How many rows it has that are not on disk."""
        return sum(block.height for block in self.blocks if isinstance(block, Prints))

    @property
    def rows_on_disk(self) -> int:
        """How many rows it has on disk."""
        return sum(block.height for block in self.blocks if isinstance(block, _FileBlock))

    def compare(self, rows: Prints) -> tuple[Flags, Flags]:
        """Return for each row whether its key is known, and whether with this payload."""
        is_known, is_same = np.zeros(rows.height, np.bool_), np.zeros(rows.height, np.bool_)
        for at, number, block, found in self._matches(rows):
            is_here = block.payload[found] == rows.payload[at]
            if self.gone is not None:
                counts = ~self.gone[number + found]
                is_known[at[counts]] = True
                is_same[at[counts & is_here]] = True
            else:
                is_known[at] = True
                is_same[at[is_here]] = True
        return is_known, is_same

    def without(self, rows: Prints) -> "Segment":
        """Return the segment without the rows' keys."""
        gone: Flags | None = None
        for _, number, _, found in self._matches(rows):
            if gone is None:
                count = sum(block.height for block in self.blocks)
                gone = np.zeros(count, np.bool_) if self.gone is None else self.gone.copy()
            gone[number + found] = True
        return self if gone is None else Segment(self.blocks, gone)

    def between(self, least: int, most: int) -> Iterator[Prints]:
        """Yield the rows that count whose place is from `least` to `most`."""
        number = 0
        for block in self.blocks:
            if block.first <= most and block.last >= least:
                rows = block.load()
                start = int(np.searchsorted(rows.place, np.uint64(least), "left"))
                end = int(np.searchsorted(rows.place, np.uint64(most), "right"))
                some = rows.take(slice(start, end))
                if self.gone is not None:
                    some = some.take(~self.gone[number + start : number + end])
                yield some
            number += block.height

    def _matches(
        self, rows: Prints
    ) -> Iterator[tuple[npt.NDArray[np.intp], int, Prints, npt.NDArray[np.intp]]]:
        """Yield where the same key stands: rows, the block's number of the first row, its rows."""
        number = 0
        for one in self.blocks:
            start = int(np.searchsorted(rows.place, one.first, "left"))
            end = int(np.searchsorted(rows.place, one.last, "right"))
            if start < end:
                block = one.load()
                at, found = _pairs(rows.place[start:end], block.place)
                at += start
                is_match = rows.high[at] == block.high[found]
                if is_match.any():
                    yield at[is_match], number, block, found[is_match]
            number += one.height


def _pairs(wanted: Numbers, held: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return all pairs of equal values of two sorted arrays, by their positions."""
    first = np.searchsorted(held, wanted, "left")
    at = np.flatnonzero(held[np.minimum(first, len(held) - 1)] == wanted)
    if not len(at):
        return at, at
    first = first[at]
    counts = np.searchsorted(held, wanted[at], "right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(at, counts), np.repeat(first, counts) + within


@dataclass(frozen=True, slots=True)
class Storage:
    """Where segments are kept: of more than `rows_in_memory` rows in files of the folder."""

    rows_in_memory: int
    folder: Path | None = None

    def merged(self, segments: Sequence[Segment]) -> Segment:
        """Return one segment of all rows that count, of which there is at least one."""
        if len(segments) == 1 and segments[0].gone is None:
            (only,) = segments
            if only.rows_in_memory <= self.rows_in_memory:
                return only
        total = sum(segment.height for segment in segments)
        if total <= self.rows_in_memory:
            return Segment.of(_gathered_range(segments, 0, 2**64 - 1))
        file = _PrintFile(self.folder)
        count = -(-total // BLOCK_ROWS)
        bounds = [2**64 * number // count for number in range(count + 1)]
        parts = (_gathered_range(segments, least, after - 1) for least, after in pairwise(bounds))
        return Segment(tuple(file.append(part) for part in parts if part.height))


def _gathered_range(segments: Sequence[Segment], least: int, most: int) -> Prints:
    nothing = np.zeros(0, np.uint64)
    parts = [part for segment in segments for part in segment.between(least, most)]
    parts = parts or [Prints(nothing, nothing, nothing)]
    place = np.concatenate([part.place for part in parts])
    high = np.concatenate([part.high for part in parts])
    payload = np.concatenate([part.payload for part in parts])
    return Prints(place, high, payload).take(np.argsort(place, kind="stable"))


def gathered(
    segments: Sequence[S], merged: Callable[[Sequence[S]], S], most: int | None = None
) -> list[S]:
    """Put small segments together, so that there are few however small the batches are.

    Each is more than twice the next, so a row is copied as often as its number has binary digits;
    none grows over `most` rows.
    """
    found = list(segments)
    while len(found) > 1 and found[-2].height <= 2 * found[-1].height:
        if most is not None and found[-2].height + found[-1].height > most:
            break
        found[-2:] = [merged(found[-2:])]
    return found
