"""Compares what two snapshots do not share, in ranges of times, as an export sorts its rows.

Memory does not grow with the change. With histories the lists are compared as well, and a row that
both snapshots have at the same place is read when its list may have changed.

What was read proves itself: the content hash is a sum, so that of the base, less the rows of the
base that were read, plus those of the result, has to be the result's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.training.content_hash import SHOWN_POSITION, ContentHash
from lakehouse.training.export.delta_document import ADDED, CHANGED, KINDS, REMOVED
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import (
    HASHED,
    HISTORY_COLUMNS,
    HISTORY_KEY,
    ORDER,
    ChosenFeatures,
    Ranges,
    histories_missing,
    last_of_histories,
    not_as_named,
    range_starts,
    with_histories,
)
from lakehouse.training.sample_weights import TYPE_WEIGHT, with_sample_weights
from lakehouse.training.version_changes import FileRows, TableChanges

_HISTORY_RANGES: Final = 4
"""Ranges are so many times smaller where lists are compared."""
_MOST_RANGES: Final = 200
"""A range is up to three open files. 100 million rows have as many, 25 million where lists
are compared; of more rows the ranges are larger."""
Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


@dataclass(frozen=True, slots=True)
class DeltaPlan:
    """What a delta would read, known from logs and the ends of files."""

    base: Manifest
    result: Manifest
    chosen: ChosenFeatures | None
    fields: tuple[pa.Field, ...]
    """The columns that were chosen, with their types in a file."""
    rows: TableChanges
    histories: TableChanges | None
    base_rows: int
    """Rows of the base to compare; lists aside, at most so many were changed or removed."""
    result_rows: int
    """Rows of the result to compare; lists aside, at most so many were added or changed."""


class Comparison:
    """The rows of both snapshots that they do not share, compared range by range."""

    def __init__(
        self, plan: DeltaPlan, spill: Path, range_rows: int, on_rows: Callable[[int], None]
    ) -> None:
        self._plan = plan
        self._spill = spill
        self._on_rows = on_rows
        chosen = plan.chosen.columns if plan.chosen else ()
        self._columns = [*HASHED, *chosen, TYPE_WEIGHT, SHOWN_POSITION]
        self._history = plan.chosen.history if plan.chosen else 0
        self._range_rows = range_rows // (_HISTORY_RANGES if self._history else 1) or 1
        self._starts = self._range_starts()

    def changes(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield what became of rows, and the rows: each kind in `ORDER`, range by range."""
        found = self._compared()
        yield from self._with_lists(found) if self._history else found

    def _range_starts(self) -> pl.Series | None:
        """Return where ranges begin; None when all there is to compare fits in memory."""
        plan = self._plan
        sides = [plan.rows.base, plan.rows.result]
        if plan.histories is not None:
            sides += [plan.histories.base, plan.histories.result]
        total = sum(side.row_count() for side in sides)
        if total <= self._range_rows:
            return None
        times = chain.from_iterable(side.batches(["event_time"]) for side in sides)
        return range_starts(times, max(self._range_rows, total // _MOST_RANGES))

    def _ranges(self, name: str) -> Ranges:
        return Ranges(self._starts, self._spill / name)

    def _compared(self) -> Iterator[tuple[str, pl.DataFrame]]:
        plan = self._plan
        base, result = self._ranges("base"), self._ranges("result")
        lists = [self._ranges("base-lists"), self._ranges("result-lists")]
        for frame in self._read(plan.rows.base):
            base.add(frame)
        for frame in self._read(plan.rows.result):
            result.add(frame)
        if plan.histories is not None:
            lists[0].fill(self._histories(plan.histories.base))
            lists[1].fill(self._histories(plan.histories.result))
            for frame in self._shared(_hashes(plan.histories.result.batches(HISTORY_KEY))):
                base.add(frame)
                result.add(frame)
        base.close()
        result.close()
        contents = ContentHash(start=plan.base.content_hash)
        rows = plan.base.row_count
        for number in sorted({*base.numbers(), *result.numbers()}):
            before, after = (taken(side, number) for side in (base, result))
            if before is not None:
                contents.remove(before)
                rows -= before.height
            if after is not None:
                contents.update(after)
                rows += after.height
            changed = _changed_lists(*(taken(ranges, number) for ranges in lists))
            weighted = (
                None if frame is None else with_sample_weights(frame, plan.result)
                for frame in (before, after)
            )
            yield from compared(*weighted, lists=changed)
        if (rows, contents.hexdigest()) != (plan.result.row_count, plan.result.content_hash):
            raise not_as_named(plan.result)

    def _read(self, side: FileRows) -> Iterator[pl.DataFrame]:
        for frame in side.batches(self._columns):
            self._on_rows(frame.height)
            yield _completed(frame)

    def _histories(self, side: FileRows) -> Iterator[pl.DataFrame]:
        for frame in side.batches([*HISTORY_KEY, *HISTORY_COLUMNS.values()]):
            yield last_of_histories(frame, self._history)

    def _shared(self, touched: Hashes) -> Iterator[pl.DataFrame]:
        """Yield shared rows whose list may have changed: they are compared with themselves."""
        if touched.size:
            for frame in self._plan.rows.shared.batches(self._columns):
                yield _completed(_hashed_in(frame, touched))

    def _with_lists(
        self, found: Iterator[tuple[str, pl.DataFrame]]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """Put rows aside until it is known which lists they need; then join these."""
        kinds = {kind: self._ranges(kind) for kind in KINDS}
        needed: list[Hashes] = []
        for kind, frame in found:
            kinds[kind].add(frame)
            if kind != REMOVED:
                needed.append(_hashes([frame]))
        for ranges in kinds.values():
            ranges.close()
        missing = np.unique(np.concatenate(needed)) if needed else _hashes(())
        lists = self._ranges("lists")
        lists.fill(self._needed_lists(missing))
        for number in sorted({n for ranges in kinds.values() for n in ranges.numbers()}):
            joined = taken(lists, number)
            for kind, ranges in kinds.items():
                for piece in _joined(taken(ranges, number), joined, has_lists=kind != REMOVED):
                    yield kind, piece

    def _needed_lists(self, missing: Hashes) -> Iterator[pl.DataFrame]:
        """Yield lists of the result: first of files that it has alone, then of others if needed."""
        histories = self._plan.histories
        assert histories is not None
        for side in (histories.result, histories.shared):
            if not missing.size:
                return
            seen = [_hashes(())]
            for frame in self._histories(side):
                kept = _hashed_in(frame, missing)
                seen.append(_hashes([kept]))
                yield kept
            missing = np.setdiff1d(missing, np.concatenate(seen))


def compared(
    base: pl.DataFrame | None, result: pl.DataFrame | None, *, lists: pl.DataFrame | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of one range by what became of them, in `ORDER`; None has no row.

    `lists` are the keys of histories that changed. Raises `EtaError` when two rows have one key.
    """
    for frame in (base, result):
        if frame is not None and frame.select(ORDER).is_duplicated().any():
            raise EtaError(
                "two rows of a training set have the same user, item, time and draw",
                remedy="take the whole export, and report this",
            )
    if result is None:
        if base is not None:
            yield REMOVED, base.select(ORDER).sort(ORDER)
        return
    if base is None:
        yield ADDED, result.sort(ORDER)
        return
    yield REMOVED, base.join(result, on=ORDER, how="anti").select(ORDER).sort(ORDER)
    yield ADDED, result.join(base, on=ORDER, how="anti").sort(ORDER)
    before, after = (
        one.join(other, on=ORDER, how="semi").sort(ORDER)
        for one, other in ((base, result), (result, base))
    )
    is_changed = pl.repeat(value=False, n=after.height, eager=True)
    for name in after.columns:
        is_changed |= after.get_column(name).ne_missing(before.get_column(name))
    if lists is not None:
        flagged = after.join(
            lists.with_columns(is_changed=True),
            on=list(HISTORY_KEY),
            how="left",
            maintain_order="left",
        )
        is_changed |= flagged.get_column("is_changed").fill_null(value=False)
    yield CHANGED, after.filter(is_changed)


def _joined(
    rows: pl.DataFrame | None, lists: pl.DataFrame | None, *, has_lists: bool
) -> Iterator[pl.DataFrame]:
    """Yield rows of a range with their lists; `has_lists`: whether rows of their kind have any."""
    if rows is None or not rows.height:
        return
    if not has_lists:
        yield rows
    elif lists is None:
        raise histories_missing()
    else:
        yield from with_histories(rows, lists)


def taken(ranges: Ranges, number: int) -> pl.DataFrame | None:
    """Return a range's rows, which are kept no longer; None when it has none."""
    return ranges.take(number) if number in ranges.numbers() else None


def _changed_lists(base: pl.DataFrame | None, result: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return the keys of the histories of one range that both have, with other lists."""
    if base is None or result is None:
        return None
    before, after = (
        one.join(other, on=HISTORY_KEY, how="semi").sort(HISTORY_KEY)
        for one, other in ((base, result), (result, base))
    )
    is_changed = pl.repeat(value=False, n=after.height, eager=True)
    for name in HISTORY_COLUMNS:
        is_changed |= after.get_column(name).ne_missing(before.get_column(name))
    return after.filter(is_changed).select(HISTORY_KEY)


def _completed(rows: pl.DataFrame) -> pl.DataFrame:
    """A version without weights has the weight 1, one without shown negatives no positions."""
    weight = pl.col(TYPE_WEIGHT).cast(pl.Float64).fill_null(1.0)
    return rows.with_columns(weight, pl.col(SHOWN_POSITION).cast(pl.Int32))


def _hashes(frames: Iterable[pl.DataFrame]) -> Hashes:
    """Return a hash of the key of each history, sorted; 8 bytes each."""
    found = [frame.select(HISTORY_KEY).hash_rows().to_numpy() for frame in frames]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *found]))


def _hashed_in(frame: pl.DataFrame, hashes: Hashes) -> pl.DataFrame:
    """Return the rows whose history may be among the hashed ones."""
    is_in = np.isin(frame.select(HISTORY_KEY).hash_rows().to_numpy(), hashes)
    return frame.filter(pl.Series(is_in))
