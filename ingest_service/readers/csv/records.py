"""A file's text cut into whole records, with the line that each piece begins on."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.damage import Repair, lines_alone
from ingest_service.readers.csv.encoding import UTF8, TextSource, not_utf8, nul_byte
from ingest_service.readers.csv.notation import PLAIN_NOTATION, Notation, has_old_line_ends
from ingest_service.readers.csv.structure import (
    Marks,
    Positions,
    check_quotes,
    find_marks,
    is_utf8,
)
from lakehouse.contracts.layout import UNIT_SEPARATOR
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

PEEKED_BYTES: Final = 64 * 1024
_END_OF_FILE: Final = re.compile(rb"(?<![^\n])[ \t]*\x1a+\s*\Z")
"""A last line of Ctrl-Z, which DOS programs write."""


class Records:
    """Reads on from where it is; `line` is the next line, from 1.

    `ended`: all of the file is read. `ends_open`: and it ends without a line end. When `header` is
    set, damaged quotes are set aside where the options allow it; `damaged` are such records of the
    newest piece. `delimiter` is the one byte between fields, and `notation` says what of the file
    was rewritten to have one.
    """

    def __init__(self, source: TextSource, options: CsvOptions, record_bytes: int) -> None:
        self._source = source
        self._options = options
        self._record_bytes = record_bytes
        self._rest = b""
        self.notation = PLAIN_NOTATION
        self.delimiter = ","
        self.line = 1
        self.ended = self.ends_open = False
        self.header: Sequence[str] | None = None
        self._before: bytes | None = None
        self._is_over = False
        self.damaged: Positions = np.empty(0, dtype=np.int64)

    @property
    def is_at_end(self) -> bool:
        """Whether nothing follows."""
        return self.ended and not self._rest

    def skip_blank_lines(self) -> bool:
        """Go to the next line that is not empty; return False when there is none."""
        skipped = 0
        while True:
            block = self._rest or self._source.read(4096)
            kept = block.lstrip(b"\r\n")
            skipped += block[: len(block) - len(kept)].count(b"\n")
            self._rest = kept
            if kept or not block:
                break
        self.line += skipped
        return bool(kept)

    def rewind(self) -> None:
        """Go back to the start of the file."""
        self._source.rewind()
        self._rest = b""
        self.line = 1
        self.ended = self.ends_open = False

    def follow_line_ends(self) -> None:
        """Take carriage returns for line ends if the file begins so; call it at the start."""
        if has_old_line_ends(self._peeked()):
            self._rewrite(replace(self.notation, has_old_line_ends=True))

    def quote_with(self, quote: str | None) -> None:
        """Take this for the quote around texts, None for none; call it at the start."""
        if quote != self.notation.quote:
            self._rewrite(replace(self.notation, quote=quote))

    def divide_by(self, delimiter: str) -> None:
        """Take this for what stands between fields."""
        value = delimiter.encode()
        self.delimiter = delimiter
        if len(value) > 1:
            self.delimiter = UNIT_SEPARATOR
            self._rewrite(replace(self.notation, long_delimiter=value))

    def peek(self) -> bytes:
        """Return whole lines from here on, 64 KiB at most, or the start of a longer one."""
        start = self._peeked()
        if self.ended and len(start) == len(self._rest):
            return start
        return start[: start.rfind(b"\n") + 1] or start

    def peek_line(self) -> bytes:
        """Return the next line with its end, or its first 64 KiB; nothing at the end."""
        while b"\n" not in self._rest and len(self._rest) < PEEKED_BYTES and not self.ended:
            self._rest += self._read(4096)
        line, end, _ = self._rest.partition(b"\n")
        return line + end

    def drop_line(self) -> bool:
        """Go to the next line; return False where there is none."""
        while b"\n" not in self._rest:
            self._rest = self._read(PEEKED_BYTES)
            if self.ended and b"\n" not in self._rest:
                self._rest = b""
                return False
        self._rest = self._rest.partition(b"\n")[2]
        self.line += 1
        return True

    def next_header(self, most_bytes: int) -> Marks:
        """Return the next record, of which there is one; raises `FileRefusedError`.

        Where a quote is out of place, the line stays the next one.
        """
        size, escape = 4096, self._options.dialect.escape
        while True:
            while len(self._rest) < size and not self.ended:
                self._rest += self._read(size - len(self._rest))
            is_open = self.ended and not self._rest.endswith(b"\n")
            marks = find_marks(self._rest + b"\n" * is_open, escape)
            if len(marks.record_ends):
                break
            if self.ended:
                check_quotes(marks, ord(self.delimiter), self.line, is_last=True)
            if len(self._rest) > most_bytes:
                raise header_too_long(self.line, most_bytes)
            size *= 4
        marks = marks.until(int(marks.record_ends[0]))
        check_quotes(marks, ord(self.delimiter), self.line, is_last=True)
        if len(marks.data) > most_bytes:
            raise header_too_long(self.line, most_bytes)
        self._check_text(marks.data)
        self.ends_open = len(marks.data) > len(self._rest)
        self._rest = self._rest[len(marks.data) :]
        return marks

    def next_piece(self, size: int) -> Marks | None:
        """Return the next whole records, None at the end; what follows them is kept."""
        data = self._rest
        wanted = size
        while True:
            data += self._read(wanted - len(data))
            if self.ended and b"\x1a" in data[-64:]:
                data = _END_OF_FILE.sub(b"", data)
            if not data:
                return None
            if self.ended and not data.endswith(b"\n"):
                self.ends_open = True
                data += b"\n"
            self._check_text(data)
            marks = self._marks(data)
            if len(marks.record_ends):
                self._before = marks.data
                return self._cut(data, marks)
            if self.ended:
                raise self.record_too_long(self.line)
            if len(data) > self._record_bytes:
                raise self.record_too_long(self.line)
            wanted = 2 * len(data) + size  # not quadratic where a record is long

    def _marks(self, data: bytes) -> Marks:
        self.damaged = np.empty(0, dtype=np.int64)
        if self._is_over:
            marks, self.damaged = lines_alone(data)
            return marks
        marks = find_marks(data, self._options.dialect.escape)
        try:
            check_quotes(marks, ord(self.delimiter), self.line, is_last=self.ended)
        except FileRefusedError as fault:
            return self._repaired(data, fault, marks)
        return marks

    def _repaired(self, data: bytes, fault: FileRefusedError, marks: Marks) -> Marks:
        """Return the marks with damaged lines as records of their own; raises the fault if not.

        Without a record when more has to be read first.
        """
        if self.header is None or not self._options.keeps_going:
            raise fault
        escape = self._options.dialect.escape
        result = Repair(
            data,
            self.delimiter,
            self.header,
            fault,
            before=self._before,
            is_last=self.ended,
            escape=escape,
        ).run()
        if result.is_short:
            if self.ended or len(data) > self._record_bytes:
                raise fault
            return replace(marks, record_ends=marks.record_ends[:0])
        self._is_over = result.is_over
        repaired, self.damaged = result.marks(data, escape)
        return repaired

    def record_too_long(self, line: int) -> FileRefusedError:
        """Return what to raise for a record without an end."""
        return FileRefusedError(
            FileFault.RECORD_TOO_LONG,
            f"the record on line {line} is longer than {self._record_bytes:,} bytes, or never ends",
            remedy="look for a quote that is opened there and never closed",
            line=line,
        )

    def _peeked(self) -> bytes:
        if len(self._rest) < PEEKED_BYTES:
            self._rest += self._read(PEEKED_BYTES - len(self._rest))
        return self._rest[:PEEKED_BYTES]

    def _rewrite(self, notation: Notation) -> None:
        """Rewrite what comes; it was not rewritten in this way so far."""
        rest = self.notation.original(self._rest)
        self.notation = notation
        self._rest = self._rewritten(rest)

    def _read(self, size: int) -> bytes:
        data = self._read_source(size)
        return data if self.notation.is_plain else self._rewritten(data)

    def _rewritten(self, data: bytes) -> bytes:
        notation = self.notation
        notation.refuse_separators(data, self.line)
        data = notation.rewritten(data)
        while notation.may_go_on(data) and (more := self._read_source(1)):
            notation.refuse_separators(more, self.line + data.count(b"\n"))
            data = notation.rewritten_end(data, more)
        return data

    def _read_source(self, size: int) -> bytes:
        parts = []
        while size > 0 and not self.ended:
            part = self._source.read(size)
            if not part:
                self.ended = True
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _cut(self, data: bytes, marks: Marks) -> Marks:
        last = int(marks.record_ends[-1])
        self._rest = data[last + 1 :]
        return marks.until(last) if self._rest else marks

    def _check_text(self, data: bytes) -> None:
        if not self._options.keeps_going and (nul := data.find(0)) >= 0:
            raise nul_byte(self.line + data.count(b"\n", 0, nul))
        if self._options.expects_damage or self._source.encoding.name != UTF8 or data.isascii():
            return
        # The last character may be cut by the chunk's end: it is looked at with the next chunk.
        whole = data if self.ended else data[: data.rfind(b"\n") + 1]
        if not is_utf8(whole):
            is_end = self.ended and self.ends_open
            raise not_utf8(whole[:-1] if is_end else whole, self.line, is_end=is_end)


def header_too_long(line: int, most_bytes: int) -> FileRefusedError:
    """Return what to raise for a header that never ends."""
    return FileRefusedError(
        FileFault.HEADER_TOO_LONG,
        f"the header on line {line} is longer than {most_bytes:,} bytes",
        remedy="make sure that the file begins with the names of its columns, and leave out those "
        "that the source mapping does not read",
        line=line,
    )
