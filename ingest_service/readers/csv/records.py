"""A file's text cut into whole records, with the line that each piece begins on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.damage import Repair
from ingest_service.readers.csv.encoding import UTF8, not_utf8, nul_byte
from ingest_service.readers.csv.preamble import carriage_returns_end_lines, old_line_ends
from ingest_service.readers.csv.quotes import Source
from ingest_service.readers.csv.structure import (
    Marks,
    Positions,
    check_quotes,
    find_marks,
    is_utf8,
)
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

PEEKED_BYTES: Final = 64 * 1024


class Records:
    """Reads on from where it is; `line` is the next line, from 1.

    `ended`: all of the file is read. `ends_open`: and it ends without a line end. When `header` is
    set, damaged quotes are set aside where the options allow it; `damaged` are such records of the
    newest piece.
    """

    def __init__(self, source: Source, options: CsvOptions, record_bytes: int) -> None:
        self._source = source
        self._options = options
        self._record_bytes = record_bytes
        self._rest = b""
        self.line = 1
        self.ended = self.ends_open = False
        self.header: Sequence[str] | None = None
        self._is_first = True
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

    def peek_line(self) -> bytes:
        """Return the next line with its end, or its first 64 KiB; nothing at the end."""
        while b"\n" not in self._rest and len(self._rest) < PEEKED_BYTES and not self.ended:
            self._rest += self._read(4096)
        if carriage_returns_end_lines(self._rest):
            raise old_line_ends()
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

    def put_back(self, marks: Marks) -> None:
        """Let the records of a piece, which was the last one, be read again."""
        self._rest = marks.data + self._rest

    def next_piece(
        self, size: int, delimiter: str | None, *, one_record: bool = False
    ) -> Marks | None:
        """Return the next whole records, None at the end; what follows them is kept.

        Quotes are not checked without a `delimiter`.
        """
        data = self._rest
        wanted = size
        while True:
            data += self._read(wanted - len(data))
            if not data:
                return None
            if self.ended and not data.endswith(b"\n"):
                self.ends_open = True
                data += b"\n"
            self._check_text(data)
            marks = find_marks(data, self._options.dialect.escape)
            self.damaged = np.empty(0, dtype=np.int64)
            if delimiter is not None:
                try:
                    check_quotes(marks, ord(delimiter), self.line, is_last=self.ended)
                except FileRefusedError as fault:
                    marks = self._repaired(data, delimiter, fault, marks)
            if len(marks.record_ends):
                self._is_first &= self.header is None
                return self._cut(data, marks, one_record=one_record)
            if self.ended:
                check_quotes(marks, ord(","), self.line, is_last=True)
                raise self.record_too_long(self.line)
            if len(data) > self._record_bytes:
                raise self.record_too_long(self.line)
            wanted = len(data) + size

    def _repaired(
        self, data: bytes, delimiter: str, fault: FileRefusedError, marks: Marks
    ) -> Marks:
        """Return the marks with damaged lines as records of their own; raises the fault if not.

        Without a record when more has to be read first.
        """
        if self.header is None or not self._options.keeps_going or marks.escape is not None:
            raise fault
        repair = Repair(
            data,
            delimiter,
            self.header,
            fault,
            is_first=self._is_first,
            is_last=self.ended,
        )
        result = repair.run()
        if result.is_short:
            if self.ended or len(data) > self._record_bytes:
                raise fault
            return replace(marks, record_ends=marks.record_ends[:0])
        repaired, self.damaged = result.marks(data)
        return repaired

    def record_too_long(self, line: int) -> FileRefusedError:
        """Return what to raise for a record without an end."""
        return FileRefusedError(
            FileFault.RECORD_TOO_LONG,
            f"the record on line {line} is longer than {self._record_bytes:,} bytes, or never ends",
            remedy="look for a quote that is opened there and never closed",
            line=line,
        )

    def _read(self, size: int) -> bytes:
        parts = []
        while size > 0 and not self.ended:
            part = self._source.read(size)
            if not part:
                self.ended = True
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _cut(self, data: bytes, marks: Marks, *, one_record: bool) -> Marks:
        last = int(marks.record_ends[0 if one_record else -1])
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
