"""A stray quote set aside with its line, so that the rest of the file is read.

A quote out of place leaves open which of the lines around it are rows and which are text within
quotes. Here a line after the damage is taken for a row only when the next quotes show that it lies
outside a quoted field; lines that may be text are set aside as a block, line by line. Nothing is
guessed about what the damaged line was meant to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ingest_service.readers.csv.structure import Marks, Positions, find_marks
from lakehouse.contracts.mapping import FileRefusedError

MOST_BLOCKS: Final = 1_000
"""Damaged places in one piece, beyond which the file is something else than damaged CSV."""
FEW_BLOCKS: Final = 10
MOST_DAMAGED: Final = 0.1
"""Share of the lines that may be damaged where there are more than a few such places."""
ENOUGH_LINES: Final = 20
"""So many lines on end that have all columns, and no quote, are rows rather than text."""
_ENOUGH_FIELDS: Final = 3
"""From so many fields on, lines that all have them are rows rather than text."""


@dataclass(slots=True)
class Repaired:
    """Records of a piece; `damaged` are those, each one line, that are set aside.

    `is_short`: more of the file is needed to tell. `is_over`: another table begins, so all that
    follows is set aside.
    """

    ends: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    is_short: bool = False
    is_over: bool = False

    def marks(self, data: bytes, escape: str | None) -> tuple[Marks, Positions]:
        """Return the marks up to the last record, quotes of damaged ones left out."""
        ends = np.array(self.ends, dtype=np.int64)
        found = find_marks(data[: int(ends[-1]) + 1], escape)
        damaged = np.array(self.damaged, dtype=np.int64)
        is_good = ~np.isin(np.searchsorted(ends, found.quotes), damaged)
        marks = replace(found, quotes=found.quotes[is_good], record_ends=ends)
        return marks, damaged


def lines_alone(data: bytes) -> tuple[Marks, Positions]:
    """Return the whole lines of a piece as records, all of them damaged."""
    found = find_marks(data[: data.rfind(b"\n") + 1])
    marks = replace(found, quotes=found.quotes[:0], record_ends=found.line_ends)
    return marks, np.arange(len(found.line_ends), dtype=np.int64)


class Repair:
    """Goes through a piece that begins at the start of a record and holds a quote out of place.

    `before`: the piece before it, None where the header is. `is_last`: the file ends with it.
    `fault` is raised where rows that were handed out before may have been text.
    """

    def __init__(
        self,
        data: bytes,
        delimiter: str,
        header: Sequence[str],
        fault: FileRefusedError,
        *,
        before: bytes | None,
        is_last: bool,
        escape: str | None = None,
    ) -> None:
        # What stands behind an escape is text, whatever it is.
        hidden = (
            None if escape is None else re.compile(re.escape(escape.encode()) + b".", re.DOTALL)
        )
        self._data = data if hidden is None else hidden.sub(b"xx", data)
        self._columns = len(header)
        self._header = ",".join(header).encode()
        self._fault = fault
        self._before = before if hidden is None or before is None else hidden.sub(b"xx", before)
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
        self._wants_line = False
        """Whether the next record has to be one line: the newest block may be part of a text."""

    def run(self) -> Repaired:
        """Return the piece's records."""
        at, end = 0, self._data.rfind(b"\n") + 1
        while at < end:
            found = self._record.match(self._data, at)
            if found is not None and self._is_trusted(found.group()):
                if self._is_header(found.group()):
                    self._set_aside(at, end)
                    self._result.is_over = True
                    break
                self._result.ends.append(found.end() - 1)
                self._wants_line = False
                if self._is_certain(found.group()):
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
                self._refuse_another_dialect()
                at = block_end
        self._result.is_short = not self._result.ends
        return self._result

    def _is_trusted(self, record: bytes) -> bool:
        """A record of several lines has to have the columns; a ragged one may be two halves."""
        if self._wants_line:
            return record.count(b"\n") == 1 and self._fields(record) == self._columns
        return record.count(b"\n") == 1 or self._fields(record) == self._columns

    def _is_certain(self, record: bytes) -> bool:
        """Whether it shows that it lies outside quotes: one of several lines may be two halves."""
        is_line = record.count(b"\n") == 1
        return is_line and b'"' in record and self._fields(record) == self._columns

    def _is_header(self, record: bytes) -> bool:
        """A header again begins another table, which may be written in another way."""
        return record.replace(b'"', b"").replace(self._delimiter, b",").strip() == self._header

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

    def _refuse_another_dialect(self) -> None:
        share = len(self._result.damaged) / len(self._result.ends)
        if self._blocks > MOST_BLOCKS or (self._blocks > FEW_BLOCKS and share > MOST_DAMAGED):
            raise self._fault

    def _doubt_before(self, at: int) -> None:
        """Set records aside that may be text, if the damaged line `at` ends a quoted field.

        They are those since the newest quote that is sure, or since enough lines on end that have
        all columns. A line that has all columns, after lines that have them, holds a stray quote
        rather than the end of a text.
        """
        line = self._data[at : self._line_end(at)]
        if not self._may_end_text(line):
            return
        ends = self._result.ends
        is_row, run = self._has_all_columns(line), 0
        first = len(ends)
        while first > self._certain and run < ENOUGH_LINES:
            first -= 1
            start = ends[first - 1] + 1 if first else 0
            run = run + 1 if self._has_all_columns(self._data[start : ends[first] + 1]) else 0
        if run == ENOUGH_LINES:
            self._doubt(first + run)
        elif first or self._before is None:
            if not (is_row and run == len(ends) - first):
                self._doubt(first)
        elif run + self._run_before(ENOUGH_LINES - run) < ENOUGH_LINES:
            raise self._fault
        else:
            self._doubt(run)

    def _doubt(self, first: int) -> None:
        """Set the records from this one on aside, line by line."""
        ends = self._result.ends
        start, stop = ends[first - 1] + 1 if first else 0, ends[-1] + 1 if ends else 0
        del ends[first:]
        self._result.damaged = [record for record in self._result.damaged if record < first]
        while start < stop:
            self._result.damaged.append(len(ends))
            start = self._line_end(start)
            ends.append(start - 1)

    def _run_before(self, wanted: int) -> int:
        """How many lines have all columns and no quote at the end of the piece before."""
        run, end = 0, len(self._before or b"") - 1
        while run < wanted and end > 0 and self._before is not None:
            start = self._before.rfind(b"\n", 0, end) + 1
            line = self._before[start : end + 1]
            if b'"' in line or not self._has_all_columns(line):
                return wanted if b'"' in line and self._is_whole(line) else run
            run, end = run + 1, start - 1
        return run

    def _is_whole(self, line: bytes) -> bool:
        return self._record.fullmatch(line) is not None and self._is_certain(line)

    def _has_all_columns(self, line: bytes) -> bool:
        """Whether a record is one line of all columns, quotes left aside."""
        is_line = line.find(b"\n") == len(line) - 1
        enough = self._columns >= _ENOUGH_FIELDS
        return enough and is_line and line.count(self._delimiter) + 1 == self._columns

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
            if quote < 0 or self._data.find(b"\n", quote) < 0:
                return self._without_more_quotes(end, is_open=is_open)
            start = self._data.rfind(b"\n", 0, quote) + 1
            stop = self._line_end(quote)
            line = self._data[start:stop]
            if self._begins_field(line) and not self._may_end_text(line):
                return self._rows_from(end, start) if is_open else end
            if not is_open:
                if not self._may_end_text(line):
                    return end
                between = self._data[at:stop].splitlines(keepends=True)
                if all(self._has_all_columns(one) for one in between):
                    return end
            is_open = self._ends_within_quotes(line, is_open=True)
            at, end = start, stop

    def _without_more_quotes(self, end: int, *, is_open: bool) -> int | None:
        if not is_open:
            return end
        stop = self._data.rfind(b"\n") + 1
        found = self._rows_from(end, stop)
        if found < stop or self._is_last:
            return found
        return None

    def _rows_from(self, start: int, stop: int) -> int:
        """Where rows begin in the lines before `stop`, which may be text; `stop` if not sure."""
        first, run = stop, 0
        while first > start:
            before = self._data.rfind(b"\n", start, first - 1) + 1 or start
            if not self._has_all_columns(self._data[before:first]):
                break
            first, run = before, run + 1
        self._wants_line = True
        return first if run >= ENOUGH_LINES else stop

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
