"""A stray quote set aside with its line, so that the rest of the file is read.

A quote out of place leaves open which of the lines around it are rows and which are text within
quotes. Here a line after the damage is taken for a row only when the next quotes show that it lies
outside a quoted field; lines that may be text are set aside as a block, line by line. Nothing is
guessed about what the damaged line was meant to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ingest_service.readers.csv.structure import Marks, Positions
from lakehouse.contracts.mapping import FileRefusedError

MOST_BLOCKS: Final = 1_000
"""Damaged places in one piece, beyond which the file is something else than damaged CSV."""
FEW_BLOCKS: Final = 10
MOST_DAMAGED: Final = 0.1
"""Share of the lines that may be damaged where there are more than a few such places."""
_ENOUGH_FIELDS: Final = 3
"""From so many fields on, lines that all have them are rows rather than text."""


@dataclass(slots=True)
class Repaired:
    """Records of a piece; `damaged` are those, each one line, that are set aside.

    `is_short`: more of the file is needed to tell.
    """

    ends: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    is_short: bool = False

    def marks(self, data: bytes) -> tuple[Marks, Positions]:
        """Return the marks up to the last record, quotes of damaged ones left out."""
        ends = np.array(self.ends, dtype=np.int64)
        last = int(ends[-1])
        view = np.frombuffer(data[: last + 1], dtype=np.uint8)
        quotes, line_ends = np.flatnonzero(view == ord('"')), np.flatnonzero(view == ord("\n"))
        damaged = np.array(self.damaged, dtype=np.int64)
        is_good = ~np.isin(np.searchsorted(ends, quotes), damaged)
        return Marks(data[: last + 1], quotes[is_good], line_ends, ends), damaged


class Repair:
    """Goes through a piece that begins at the start of a record and holds a quote out of place.

    `is_first`: the piece follows the header. `is_last`: the file ends with it. `fault` is raised
    where rows that were handed out before may have been text.
    """

    def __init__(
        self,
        data: bytes,
        delimiter: str,
        header: Sequence[str],
        fault: FileRefusedError,
        *,
        is_first: bool,
        is_last: bool,
    ) -> None:
        self._data = data
        self._columns = len(header)
        self._header = ",".join(header).encode()
        self._fault = fault
        self._is_first = is_first
        self._is_last = is_last
        self._delimiter = delimiter.encode()
        between = re.escape(self._delimiter)
        quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
        value = rb"(?:" + quoted + rb'|[^"\n' + between + rb"]*+)"
        self._record = re.compile(value + rb"(?:" + between + value + rb")*+\r?\n")
        self._cut_record = re.compile(rb"(?:" + value + between + rb')*+"[^"]*+(?:""[^"]*+)*+"?\Z')
        self._quoted = re.compile(quoted)
        self._result = Repaired()
        self._blocks = 0
        self._certain = 0
        """How many of the records lie before the newest quote that shows where fields are."""

    def run(self) -> Repaired:
        """Return the piece's records."""
        at, end = 0, self._data.rfind(b"\n") + 1
        while at < end:
            found = self._record.match(self._data, at)
            if found is not None and self._is_trusted(found.group()):
                self._refuse_another_table(found.group())
                self._result.ends.append(found.end() - 1)
                if b'"' in found.group() and self._fields(found.group()) == self._columns:
                    self._certain = len(self._result.ends)
                at = found.end()
            elif not self._is_last and self._cut_record.match(self._data, at):
                break
            else:
                block_end = self._block_end(at)
                if block_end is None:
                    break
                self._doubt_before(at)
                self._set_aside(at, block_end)
                at = block_end
        self._result.is_short = not self._result.ends
        return self._result

    def _is_trusted(self, record: bytes) -> bool:
        """A record of several lines has to have the columns; a ragged one may be two halves."""
        return record.count(b"\n") == 1 or self._fields(record) == self._columns

    def _refuse_another_table(self, record: bytes) -> None:
        """A header again begins another table: too much is out of order to go on."""
        plain = record.replace(b'"', b"").replace(self._delimiter, b",").strip()
        if plain == self._header:
            raise self._fault

    def _fields(self, record: bytes) -> int:
        return self._quoted.sub(b"", record).count(self._delimiter) + 1

    def _line_end(self, at: int) -> int:
        return self._data.index(b"\n", at) + 1

    def _set_aside(self, start: int, end: int) -> None:
        while start < end:
            self._result.damaged.append(len(self._result.ends))
            start = self._line_end(start)
            self._result.ends.append(start - 1)
        self._certain = len(self._result.ends)
        self._blocks += 1
        share = len(self._result.damaged) / len(self._result.ends)
        if self._blocks > MOST_BLOCKS or (self._blocks > FEW_BLOCKS and share > MOST_DAMAGED):
            raise self._fault

    def _doubt_before(self, at: int) -> None:
        """Set records aside that may be text, if the damaged line `at` ends a quoted field.

        They are those since the newest quote that is sure. A line that has all columns, after
        lines that have them, holds a stray quote rather than the end of a text.
        """
        line = self._data[at : self._line_end(at)]
        if not self._may_end_text(line):
            return
        ends = self._result.ends
        starts = [0, *(end + 1 for end in ends)]
        doubtful = range(self._certain, len(ends))
        if self._certain == 0 and not self._is_first:
            raise self._fault
        rows = [self._data[starts[n] : ends[n] + 1] for n in doubtful]
        if not self._have_all_columns([*rows, line]):
            self._result.damaged.extend(doubtful)

    def _have_all_columns(self, lines: list[bytes]) -> bool:
        return self._columns >= _ENOUGH_FIELDS and all(
            line.count(self._delimiter) + 1 == self._columns for line in lines
        )

    def _may_end_text(self, line: bytes) -> bool:
        """Whether the first quote of a line may close a field that was opened before it."""
        at = line.find(b'"')
        return line[at + 1 : at + 2] in (self._delimiter, b"\r", b"\n", b'"')

    def _begins_field(self, line: bytes) -> bool:
        at = line.find(b'"')
        return at == 0 or line[at - 1 : at] == self._delimiter

    def _block_end(self, at: int) -> int | None:
        """Where the lines end that have to be set aside with the one `at`; None: not in sight."""
        end = self._line_end(at)
        is_open = self._ends_within_quotes(self._data[at:end])
        while True:
            quote = self._data.find(b'"', end)
            if quote < 0:
                return self._without_more_quotes(end, is_open=is_open)
            start = self._data.rfind(b"\n", 0, quote) + 1
            if b"\n" not in self._data[quote:]:
                return self._without_more_quotes(end, is_open=is_open)
            stop = self._line_end(quote)
            line = self._data[start:stop]
            if self._begins_field(line) and not self._may_end_text(line):
                return start if is_open else end
            if not is_open:
                if not self._may_end_text(line):
                    return end
                between = self._data[at:stop].splitlines(keepends=True)
                if self._have_all_columns(between):
                    return end
            is_open = self._ends_within_quotes(line, is_open=True)
            at, end = start, stop

    def _without_more_quotes(self, end: int, *, is_open: bool) -> int | None:
        if not is_open:
            return end
        return len(self._data) if self._is_last else None

    def _ends_within_quotes(self, line: bytes, *, is_open: bool = False) -> bool:
        """Whether a reader that forgives stray quotes would be within quotes at the line's end."""
        rest = b'"' + line if is_open else line
        while True:
            if rest.startswith(b'"'):
                closing = self._closing(rest)
                if closing is None:
                    return True
                rest = rest[closing + 1 :]
            _, delimiter, rest = rest.partition(self._delimiter)
            if not delimiter:
                return False

    def _closing(self, text: bytes) -> int | None:
        """The quote that ends the field that `text` begins with: what follows ends fields."""
        at = 1
        while (at := text.find(b'"', at)) >= 0:
            if text[at + 1 : at + 2] == b'"':
                at += 2
            elif text[at + 1 : at + 2] in (self._delimiter, b"\r", b"\n", b""):
                return at
            else:
                at += 1
        return None
