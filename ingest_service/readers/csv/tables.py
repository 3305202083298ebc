"""Where in a file its table begins, and what stands between fields, told from the file's start.

With names that may be asked for, the table begins at the line that has most of them, when nothing
before it looks like a row. Without any, which is a file that is looked at, the shape of the records
decides. What is passed over is told.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import inf
from statistics import median
from typing import Final

from ingest_service.readers.csv.delimiters import (
    CANDIDATES,
    LONG_CANDIDATES,
    RARE_CANDIDATES,
    SPACED,
    Delimiter,
    detect_delimiter,
    hits,
    name_key,
)
from ingest_service.readers.csv.samples import Sample, SampleRecord, sample_of
from lakehouse.contracts.spellings import name_key as spelled
from lakehouse.contracts.spellings import sure_fields

MOST_SKIPPED: Final = 50
"""Records before the header, at most."""
_GOOD_FIT: Final = 0.8
_LEAST_FIT: Final = 0.5
_FEWEST_BY_SPACE: Final = 4
"""Columns from which a single space is believed to stand between fields."""
_AHEAD: Final = 10
_MOST_ALIKE: Final = 0.1
"""Share of the records that may have the header's number of cells where most have another."""
_NEAR: Final = 2
"""By how many cells a header may differ from its rows and still be one."""


@dataclass(frozen=True, slots=True)
class Table:
    """`skipped`: lines before the header. `width`: cells that most records have.

    `row_width`: cells of every row, where the header has another number; `ends_empty`: the cells by
    which they differ are empty.
    """

    delimiter: Delimiter
    skipped: int = 0
    width: int = 1
    row_width: int | None = None
    ends_empty: bool = False


def find_table(
    start: bytes,
    delimiter: Delimiter | None,
    wanted: Set[str],
    *,
    needed: Set[str] = frozenset(),
    comment: str | None = None,
    escape: str | None = None,
    is_looked_at: bool = False,
    may_skip: bool = True,
) -> Table:
    """Return where the table begins in the `start` of a file, which holds a record.

    `wanted`: names of columns that may be asked for, and those of them that are `needed`.
    `escape`: the sign that the file is said to have before quotes. `is_looked_at`: there are no
    names, and nothing is stored. `may_skip`: lines before the header may be passed over.
    """
    values = [delimiter.value] if delimiter else [*CANDIDATES, *LONG_CANDIDATES]
    if wanted and not delimiter:
        values += RARE_CANDIDATES
    split = partial(sample_of, start, comment=comment, escape=escape)
    samples = [split(value) for value in values]
    if is_looked_at and delimiter is None:
        sample = _best(samples, [split(value) for value in RARE_CANDIDATES])
        sample = _spaced(sample, split)
        index = _header_index(sample) if may_skip else 0
        found = Delimiter(sample.delimiter, round(max(sample.fit, 0.5), 2), "detected")
        return _with_rows(Table(found), sample, index, is_looked_at=True)
    keys = {name_key(name) for name in wanted}
    at = _line_of_names(samples, keys, needed) if may_skip else None
    sample, index = at or _by_header(samples, wanted)
    found = delimiter or detect_delimiter(
        {one.delimiter: _record_at(one, sample.records[index].line).cells for one in samples},
        wanted,
    )
    if delimiter is None:
        sample = _spaced(sample, split)
        found = replace(found, value=sample.delimiter)
    return _with_rows(Table(found), sample, index, is_looked_at=is_looked_at)


def _by_header(samples: Sequence[Sample], wanted: Set[str]) -> tuple[Sample, int]:
    first = detect_delimiter({one.delimiter: one.records[0].cells for one in samples}, wanted)
    return next(one for one in samples if one.delimiter == first.value), 0


def _record_at(sample: Sample, line: int) -> SampleRecord:
    return next((r for r in sample.records if r.line >= line), sample.records[-1])


def _line_of_names(
    samples: Sequence[Sample], keys: Set[str], needed: Set[str]
) -> tuple[Sample, int] | None:
    """The record that has more of the names than the first, and two at least.

    None behind the first row of a table that has all that is `needed`: that is no preamble.
    """
    end = _first_row(samples, needed)
    best, most = None, max(1, *(hits(one.records[0].cells, keys) for one in samples))
    for sample in samples:
        for index, record in enumerate(sample.records[: MOST_SKIPPED + 1]):
            count = hits(record.cells, keys)
            if record.line > end:
                break
            if count > most and record.is_clean and not _may_have_rows(sample, index):
                best, most = (sample, index), count
    return best


def _first_row(samples: Sequence[Sample], needed: Set[str]) -> float:
    """The line of the first row below a header that has all that is needed; infinite if none."""
    lines = [inf]
    for sample in samples if needed else ():
        for header, row in pairwise(sample.records[: MOST_SKIPPED + 1]):
            is_row = row.width == header.width and row.filled * 2 > row.width
            if is_row and _has_all(header.cells, needed):
                lines.append(row.line)
                break
    return min(lines)


def _has_all(cells: Sequence[str], needed: Set[str]) -> bool:
    """Whether cells name all that is needed; in another spelling, if they name two columns.

    A title and its value (`product,shoes`) name one.
    """
    if hits(cells, {name_key(name) for name in needed}) == len(needed):
        return True
    known = sure_fields()
    meant = [known.get(spelled(cell), frozenset()) for cell in cells]
    if sum(map(bool, meant)) < min(2, len(cells)):
        return False
    fields = frozenset[str]().union(*meant)
    return all(known.get(spelled(name), frozenset()) & fields for name in needed)


def _may_have_rows(sample: Sample, index: int) -> bool:
    """Whether a record before this one looks like a row of the same table."""
    width = sample.records[index].width
    return any(r.width == width and r.filled * 2 > width for r in sample.records[:index])


def _best(samples: Sequence[Sample], rare: Sequence[Sample]) -> Sample:
    """The split by which most records have one number of cells."""
    single = [one for one in samples if one.delimiter in CANDIDATES]
    best = max(single, key=lambda one: (one.fit, one.width))
    long = max(
        (one for one in samples if one.delimiter in LONG_CANDIDATES), key=lambda one: one.fit
    )
    if long.fit >= max(_LEAST_FIT, best.fit):
        return long
    if best.fit >= _GOOD_FIT:
        return best
    believed = [one for one in rare if one.delimiter != " " or one.width >= _FEWEST_BY_SPACE]
    other = max(believed, key=lambda one: (one.fit, one.width), default=best)
    return other if other.fit > best.fit + 0.1 else best


def _spaced(sample: Sample, split: Callable[[str], Sample]) -> Sample:
    """The split by the delimiter with a space behind it, if that is what stands in the records."""
    header, records = sample.records[0], sample.records
    if sample.delimiter not in SPACED or not header.spaced == header.width - 1 > 0:
        return sample
    spaced = split(f"{sample.delimiter} ")
    padded = sum(r.spaced for r in spaced.records) / sum(r.width for r in spaced.records)
    share = sum(r.spaced for r in records) / max(1, sum(r.width - 1 for r in records))
    is_better = spaced.whole >= max(_GOOD_FIT, sample.whole) or share >= _GOOD_FIT
    return spaced if is_better and len(records) > 1 and padded < _MOST_ALIKE else sample


def _header_index(sample: Sample) -> int:
    """Which record is the header, by the shape of the records alone."""
    records, width = sample.records, sample.width
    if width == 1:
        return 0
    filled = [r.filled for r in records if r.is_clean and r.width == width]
    least = max(1, median(filled) / 2)
    for index, record in enumerate(records[: MOST_SKIPPED + 1]):
        if record.width != width or not record.is_clean:
            continue
        ahead = records[index + 1 : index + 1 + _AHEAD]
        if sum(r.width == width for r in ahead) < 0.6 * len(ahead):
            continue
        is_title = record.filled < record.width and (not ahead or not ahead[0].filled)
        if (record.filled > least or (width == 2 and record.filled)) and not is_title:
            return index - (index > 0 and _is_header_of(records[index - 1], record, index))
    return 0


def _is_header_of(before: SampleRecord, row: SampleRecord, index: int) -> bool:
    """Whether the record before the first whole one is its header, with another width."""
    if before.has_numbers or before.width < 2 or not (row.has_numbers or index == 1):
        return False
    if before.trimmed == row.width:
        return True
    return before.filled >= before.trimmed - 1 and abs(before.width - row.width) <= _NEAR


def _with_rows(table: Table, sample: Sample, index: int, *, is_looked_at: bool) -> Table:
    """Say how the rows differ from the header, when all of them differ in the same way."""
    header = sample.records[index]
    rows = [r for r in sample.records[index + 1 :] if r.is_clean]
    table = replace(table, skipped=header.line, width=sample.width)
    alike = sum(r.width == header.width for r in rows)
    if len(rows) < 2 or alike > (_MOST_ALIKE * len(rows) if is_looked_at else 0):
        return table
    width = rows[0].width
    if all(r.width == width for r in rows):
        is_empty = header.trimmed <= width and all(r.trimmed <= header.width for r in rows)
        if is_empty and not any(r.spaced for r in rows):
            return replace(table, row_width=width, ends_empty=True)
    if is_looked_at:
        return replace(table, row_width=sample.width)
    return table
