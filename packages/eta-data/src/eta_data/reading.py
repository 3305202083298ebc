"""Reads runs of units: rows of a stratum in its permuted order, or groups of rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eta_data.order import permutation
from eta_data.source import Block, Reader, RowSource

Sizes = NDArray[np.int64] | None
"""Rows of each unit; None: one each."""


class UnitCursor(Protocol):
    """Reads the units of a stratum; forwards without reading anything twice."""

    def read(self, start: int, stop: int) -> Iterator[tuple[pa.RecordBatch, Sizes]]:
        """Yield the rows of the units from `start` to `stop`, in pieces of whole units."""
        ...


class Units(Protocol):
    """What an order is made of: strata of units."""

    @property
    def sizes(self) -> list[int]:
        """Units of each stratum."""
        ...

    def opened(self, key: Sequence[object], columns: Sequence[str]) -> Callable[[int], UnitCursor]:
        """Return what makes a reader of a stratum, whose row groups are permuted by the key."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Each row is a unit; the files of one folder are a stratum."""

    source: RowSource
    strata: tuple[tuple[Block, ...], ...]

    @classmethod
    def of(cls, source: RowSource) -> Rows:
        """Return the rows of a source; folders are told apart by the columns in their names."""
        found: dict[tuple[tuple[str, object], ...], list[Block]] = {}
        for block in source.blocks():
            found.setdefault(source.files[block.file].constants, []).append(block)
        return cls(source, tuple(map(tuple, found.values())))

    @property
    def sizes(self) -> list[int]:
        """See `Units.sizes`."""
        return [sum(block.rows for block in blocks) for blocks in self.strata]

    def opened(self, key: Sequence[object], columns: Sequence[str]) -> Callable[[int], RowCursor]:
        """See `Units.opened`."""
        reader = Reader(self.source, columns)

        def cursor(stratum: int) -> RowCursor:
            blocks = self.strata[stratum]
            order = permutation(len(blocks), *key, "row groups", stratum)
            return RowCursor(reader, [blocks[number] for number in order])

        return cursor


class RowCursor:
    """See `UnitCursor`; the units are rows of blocks in a given order."""

    def __init__(self, reader: Reader, blocks: Sequence[Block]) -> None:
        self._reader = reader
        self._blocks = blocks
        self._starts = np.cumsum([0, *(block.rows for block in blocks)]).tolist()
        self._at = -1
        self._pieces: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None

    def read(self, start: int, stop: int) -> Iterator[tuple[pa.RecordBatch, Sizes]]:
        """See `UnitCursor.read`."""
        if start != self._at:
            self._pieces, self._rest = self._from(start), None
        self._at = stop
        left = stop - start
        while left:
            piece = next(self._pieces) if self._rest is None else self._rest
            yield piece.slice(0, left), None
            self._rest = piece.slice(left) if piece.num_rows > left else None
            left -= min(left, piece.num_rows)

    def _from(self, start: int) -> Iterator[pa.RecordBatch]:
        first = bisect_right(self._starts, start) - 1
        skip = start - self._starts[first]
        for block in self._blocks[first:]:
            yield from self._reader.pieces(block, skip=skip)
            skip = 0
