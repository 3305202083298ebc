"""The first records of a file, split as a given delimiter would have them; nothing is refused."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

MOST_RECORDS: Final = 200
_OTHERS: Final = re.compile(rb"[;\t|]")
_EMPTY_LINES: Final = re.compile(rb"[\r\n]+")
_NUMBER: Final = re.compile(r"[-+(]?[\d$€£%][\d.,:/TZ $€£%()-]*")


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """`line`: where it begins, from 0. `is_clean`: its quotes are where they should be.

    `cells`: without their quotes. A cell without quotes `has_foreign`, a character that is another
    file's delimiter. `spaced`: cells behind the first that begin with a space before any quote.
    """

    line: int
    cells: tuple[str, ...]
    is_clean: bool
    has_foreign: bool = False
    spaced: int = 0

    @property
    def width(self) -> int:
        """How many cells it has."""
        return len(self.cells)

    @property
    def filled(self) -> int:
        """How many of them hold something."""
        return sum(bool(cell.strip()) for cell in self.cells)

    @property
    def trimmed(self) -> int:
        """How many cells it has up to the last that holds something."""
        return max((n for n, cell in enumerate(self.cells, 1) if cell.strip()), default=0)

    @property
    def has_numbers(self) -> bool:
        """Whether a cell is a number, an amount, a date or a time."""
        return any(_NUMBER.fullmatch(cell.strip()) for cell in self.cells)


@dataclass(frozen=True)
class Sample:
    """The records that are not empty lines, at most 200 of them."""

    delimiter: str
    records: Sequence[SampleRecord]

    @cached_property
    def width(self) -> int:
        """How many cells most records have that have several; 1 when there are none."""
        counts = Counter(r.width for r in self.records if r.is_clean and r.width > 1)
        return max(counts, key=lambda width: (counts[width], width)) if counts else 1

    @cached_property
    def whole(self) -> float:
        """Share of the records that are clean and have that width, of several cells."""
        good = sum(r.is_clean and r.width == self.width > 1 for r in self.records)
        return good / len(self.records)

    @cached_property
    def fit(self) -> float:
        """The same, where records that hold another delimiter count half."""
        foreign = sum(
            r.is_clean and r.width == self.width > 1 and r.has_foreign for r in self.records
        )
        return self.whole - foreign / 2 / len(self.records)


def sample_of(
    data: bytes, delimiter: str, comment: str | None = None, escape: str | None = None
) -> Sample:
    """Split the start of a file, which holds a record at least; comments are none."""
    records = _records(data, delimiter.encode(), (escape or "").encode())
    kept = (r for r in records if comment is None or not r.cells[0].startswith(comment))
    return Sample(delimiter, list(islice(kept, MOST_RECORDS)))


def _records(data: bytes, delimiter: bytes, escape: bytes = b"") -> Iterator[SampleRecord]:
    between = re.escape(delimiter)
    quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
    if escape:
        sign = re.escape(escape)
        quoted = rb'"(?:' + sign + rb'[\s\S]|[^"' + sign + rb']|"")*+"'
    unquoted = rb'[^"\r\n' + between + rb"]*+"
    if len(delimiter) > 1:
        unquoted = rb"(?:(?!" + between + rb')[^"\r\n])*+'
    cell = re.compile(rb"(" + quoted + rb"|" + unquoted + rb")(" + between + rb"|\r?\n|\r?\Z)")
    at = line = 0
    while at < len(data):
        empty = _EMPTY_LINES.match(data, at)
        if empty is not None:
            line += data.count(b"\n", at, empty.end())
            at = empty.end()
            continue
        parts, end = _record(data, at, cell)
        is_clean = parts is not None
        if parts is None:
            end = data.find(b"\n", at) + 1 or len(data)
            parts = data[at:end].rstrip(b"\r\n").split(delimiter)
        foreign = is_clean and any(one[:1] != b'"' and _OTHERS.search(one) for one in parts)
        spaced = sum(one[:1] == b" " for one in parts[1:])
        cells = tuple(_text(one if is_clean else one.strip(b" ")) for one in parts)
        yield SampleRecord(line, cells, is_clean, foreign, spaced)
        line += data.count(b"\n", at, end)
        at = end


def _record(data: bytes, at: int, cell: re.Pattern[bytes]) -> tuple[list[bytes] | None, int]:
    """The cells of the record that begins `at`, and its end; None when a quote is out of place."""
    cells: list[bytes] = []
    while True:
        found = cell.match(data, at)
        if found is None:
            return None, at
        cells.append(found[1])
        at = found.end()
        if found[2][-1:] in (b"\n", b"\r", b""):
            return cells, at


def _text(cell: bytes) -> str:
    if cell[:1] == b'"' == cell[-1:] and len(cell) > 1:
        cell = cell[1:-1].replace(b'""', b'"')
    return cell.decode("utf-8", "replace")
