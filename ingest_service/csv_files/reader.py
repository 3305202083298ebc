"""A CSV file on disk as batches of text columns, each a whole number of records.

Memory depends on the chunk size, not on the file. RFC 4180 with LF or CRLF, in any of the known
encodings. Empty lines hold no record, except in a file of one column, where they are an empty
value. Anything else that is not plain CSV is refused with the line it stands on.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import polars as pl

from ingest_service.csv_files.chunks import CsvChunk, CsvOptions, CsvPiece
from ingest_service.csv_files.delimiters import Delimiter, detect_delimiter, given_delimiter
from ingest_service.csv_files.encoding import UTF8, TextSource, not_utf8, nul_byte
from ingest_service.csv_files.faults import RecordFaults, find_faults
from ingest_service.csv_files.header import header_names, header_text
from ingest_service.csv_files.structure import (
    Marks,
    blank_records,
    check_quotes,
    find_marks,
    is_utf8,
    without,
)
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

CHUNK_BYTES: Final = 4 * 1024 * 1024
RECORD_BYTES: Final = 4 * 1024 * 1024
HEADER_BYTES: Final = 64 * 1024


class CsvFile:
    """An open CSV file; read its `header`, then iterate `pieces` once.

    `pieces` needs one thread; `parse` may be called for several pieces at the same time.
    `encoding` and `delimiter` say what was given or found out, `header_line` where the header is;
    `is_blank`: the file holds empty lines alone.
    Raises `FileRefusedError` at a fault, `NotUtf8Error` when nobody said that it is UTF-8.
    """

    def __init__(
        self,
        path: Path,
        options: CsvOptions | None = None,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        record_bytes: int = RECORD_BYTES,
    ) -> None:
        self._options = options or CsvOptions()
        self._chunk_bytes = chunk_bytes
        self._record_bytes = record_bytes
        self._source = TextSource(path, self._options.encoding, self._options.declared)
        self.encoding = self._source.encoding
        self._rest = b""
        self._line = 1
        self._ended = False
        self.ends_open = self.is_blank = False
        try:
            self.delimiter, self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._source.position

    @property
    def last_line(self) -> int:
        """The last line that was read."""
        return self._line - 1

    def pieces(self) -> Iterator[CsvPiece]:
        """Yield the file's records in pieces."""
        while (marks := self._next_piece(self._chunk_bytes)) is not None:
            is_last = self._ended and not self._rest
            piece = CsvPiece(marks, self._line, self.ends_open and is_last)
            self._line += len(marks.line_ends)
            yield piece

    def parse(self, piece: CsvPiece, columns: Sequence[str]) -> CsvChunk:
        """Return the records of a piece, only `columns` of them parsed.

        A piece of empty lines has no records.
        """
        marks, first_line = piece.marks, piece.first_line
        lines = first_line + np.searchsorted(marks.line_ends, marks.record_starts)
        too_long = marks.record_ends - marks.record_starts > self._record_bytes
        if too_long.any():
            raise self._record_too_long(int(lines[too_long][0]))
        if len(self.header) > 1 and (blank := blank_records(marks)).any():
            marks, lines = without(marks, blank), lines[~blank]
        faults = find_faults(
            marks,
            ord(self.delimiter.value),
            len(self.header),
            lines,
            ends_open=piece.ends_open,
            is_text=not self._options.expects_damage,
        )
        if not self._options.keeps_going:
            faults.refuse()
        frame = self._values(marks, faults, columns)
        if frame.height != len(lines):
            raise RuntimeError(f"{frame.height} records parsed, {len(lines)} found")
        return CsvChunk(frame, lines, faults.reasons(), marks, self.encoding.name)

    def _values(self, marks: Marks, faults: RecordFaults, columns: Sequence[str]) -> pl.DataFrame:
        """Parse the good records; the others become rows of nulls in their places."""
        bad = faults.mask if faults.found else None
        good = marks if bad is None else without(marks, bad)
        frame = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        if len(good.record_ends):
            frame = pl.read_csv(
                good.data,
                has_header=False,
                schema=dict.fromkeys(self.header, pl.String),
                columns=[self.header.index(name) for name in columns],
                separator=self.delimiter.value,
                quote_char='"',
            )
        if bad is None:
            return frame
        places = pl.Series(np.cumsum(~bad) - 1, dtype=pl.Int64)
        return frame.select(pl.all().gather(places.set(pl.Series(bad), None)))

    def _read_header(self) -> tuple[Delimiter, tuple[str, ...]]:
        self._skip_blank_lines()
        given = self._options.delimiter
        delimiter = given_delimiter(given) if given is not None else None
        marks = self._next_piece(
            HEADER_BYTES, delimiter=delimiter.value if delimiter else None, one_record=True
        )
        if marks is None:
            raise FileRefusedError(
                FileFault.EMPTY_FILE,
                "the file is empty",
                remedy="send a file with a header and at least one row",
                line=1,
            )
        text = header_text(marks, self._line)
        if delimiter is None:
            delimiter = detect_delimiter(text, self._options.wanted)
            check_quotes(marks, ord(delimiter.value), self._line, is_last=True)
        names = header_names(text, delimiter.value, self._line)
        self.header_line = self._line
        self._line += len(marks.line_ends)
        return delimiter, names

    def _skip_blank_lines(self) -> None:
        """Go to the header; a file of nothing but empty lines has an empty one."""
        while True:
            block = self._rest or self._source.read(4096)
            kept = block.lstrip(b"\r\n")
            self._line += block[: len(block) - len(kept)].count(b"\n")
            self._rest = kept
            if kept or not block:
                break
        if not self._rest and self._line > 1:
            self._source.rewind()
            self._line = 1
            self.is_blank = True

    def _next_piece(
        self, size: int, *, delimiter: str | None = None, one_record: bool = False
    ) -> Marks | None:
        """Return the next whole records, None at the end; what follows them is kept."""
        data = self._rest
        wanted = size
        while True:
            data += self._read(wanted - len(data))
            if not data:
                return None
            if self._ended and not data.endswith(b"\n"):
                self.ends_open = True
                data += b"\n"
            self._check_text(data)
            marks = find_marks(data)
            known = delimiter if one_record else self.delimiter.value
            if known is not None:
                check_quotes(marks, ord(known), self._line, is_last=self._ended)
            if len(marks.record_ends):
                return self._cut(marks, one_record=one_record)
            if self._ended:
                check_quotes(marks, ord(","), self._line, is_last=True)
            if len(data) > self._record_bytes:
                raise self._record_too_long(self._line)
            wanted = len(data) + size

    def _read(self, size: int) -> bytes:
        parts = []
        while size > 0 and not self._ended:
            part = self._source.read(size)
            if not part:
                self._ended = True
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _cut(self, marks: Marks, *, one_record: bool) -> Marks:
        last = int(marks.record_ends[0 if one_record else -1])
        self._rest = marks.data[last + 1 :]
        if not self._rest:
            return marks
        return Marks(
            marks.data[: last + 1],
            marks.quotes[marks.quotes <= last],
            marks.line_ends[marks.line_ends <= last],
            marks.record_ends[marks.record_ends <= last],
        )

    def _check_text(self, data: bytes) -> None:
        if not self._options.keeps_going and (nul := data.find(0)) >= 0:
            raise nul_byte(self._line + data.count(b"\n", 0, nul))
        if self._options.expects_damage or self.encoding.name != UTF8 or data.isascii():
            return
        # The last character may be cut by the chunk's end: it is looked at with the next chunk.
        whole = data if self._ended else data[: data.rfind(b"\n") + 1]
        if not is_utf8(whole):
            is_end = self._ended and self.ends_open
            raise not_utf8(whole[:-1] if is_end else whole, self._line, is_end=is_end)

    def _record_too_long(self, line: int) -> FileRefusedError:
        return FileRefusedError(
            FileFault.RECORD_TOO_LONG,
            f"the record on line {line} is longer than {self._record_bytes:,} bytes",
            remedy="look for a quote that is opened there and never closed",
            line=line,
        )


def blank_file() -> FileRefusedError:
    """Return what to raise for a file of empty lines."""
    return FileRefusedError(
        FileFault.EMPTY_FILE,
        "the file holds only empty lines",
        remedy="send a file with a header and at least one row",
        line=1,
    )


def no_rows(line: int = 1) -> FileRefusedError:
    """Return what to raise for a file whose header, on `line`, is followed by no record at all."""
    return FileRefusedError(
        FileFault.NO_ROWS,
        "the file has a header and no rows",
        remedy="add at least one row below the header",
        line=line,
    )
