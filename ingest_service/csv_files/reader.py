"""A CSV file on disk as batches of text columns, each a whole number of records.

Memory depends on the chunk size, not on the file. RFC 4180 with LF or CRLF, UTF-8 with or without
a byte order mark. Empty lines hold no record, except in a file of one column, where they are an
empty value. Anything else that is not plain CSV is refused with the line it stands on.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, StringIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ingest_service.csv_files.structure import (
    Marks,
    Positions,
    blank_records,
    byte_traits,
    check_carriage_returns,
    check_quotes,
    check_widths,
    find_marks,
)
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

CHUNK_BYTES: Final = 4 * 1024 * 1024
RECORD_BYTES: Final = 4 * 1024 * 1024
HEADER_BYTES: Final = 64 * 1024
MAX_COLUMNS: Final = 1_000


@dataclass(frozen=True, slots=True)
class CsvChunk:
    """Records of a file, in order.

    `frame`: the wanted columns as strings; an unquoted empty field is null, a quoted one "".
    `lines`: the line of the file that each record starts on, from 1.
    """

    frame: pl.DataFrame
    lines: Positions
    _marks: Marks

    @property
    def traits(self) -> Traits:
        """What its bytes say about all texts at once."""
        return byte_traits(self._marks)

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The records of these rows as the file has them, without their line end."""
        marks = self._marks
        starts, ends = marks.record_starts, marks.record_ends
        return [marks.data[starts[row] : ends[row]].removesuffix(b"\r") for row in rows]


@dataclass(frozen=True, slots=True)
class CsvPiece:
    """Whole records of a file, not parsed yet; `first_line` is the line the first starts on."""

    marks: Marks
    first_line: int


class CsvFile:
    """An open CSV file; read its `header`, then iterate `pieces` once.

    `pieces` needs one thread; `parse` may be called for several pieces at the same time.
    """

    def __init__(
        self,
        path: Path,
        delimiter: str = ",",
        *,
        chunk_bytes: int = CHUNK_BYTES,
        record_bytes: int = RECORD_BYTES,
    ) -> None:
        if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
            raise FileRefusedError(
                FileFault.UNKNOWN_MAPPED_FIELD,
                "the source mapping's delimiter cannot be used",
                remedy="use one ASCII character that is no quote and no line end",
            )
        self._delimiter = delimiter
        self._chunk_bytes = chunk_bytes
        self._record_bytes = record_bytes
        self._file: BufferedReader = path.open("rb", buffering=0)  # type: ignore[assignment]
        self._rest = b""
        self._line = 1
        self._ended = False
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def pieces(self) -> Iterator[CsvPiece]:
        """Yield the file's records in pieces; raises `FileRefusedError` at a fault."""
        while (marks := self._next_piece(self._chunk_bytes)) is not None:
            piece = CsvPiece(marks, self._line)
            self._line += len(marks.line_ends)
            yield piece

    def parse(self, piece: CsvPiece, columns: Sequence[str]) -> CsvChunk:
        """Return the records of a piece, only `columns` of them parsed.

        A piece of empty lines has no records. Raises `FileRefusedError` at a fault.
        """
        marks, first_line = piece.marks, piece.first_line
        check_carriage_returns(marks, first_line)
        lines = first_line + np.searchsorted(marks.line_ends, marks.record_starts)
        too_long = marks.record_ends - marks.record_starts > self._record_bytes
        if too_long.any():
            raise self._record_too_long(int(lines[too_long][0]))
        if len(self.header) > 1 and (blank := blank_records(marks)).any():
            marks, lines = _without(marks, blank), lines[~blank]
        check_widths(marks, ord(self._delimiter), len(self.header), lines)
        if not len(lines):
            return CsvChunk(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), lines, marks)
        frame = pl.read_csv(
            marks.data,
            has_header=False,
            schema=dict.fromkeys(self.header, pl.String),
            columns=[self.header.index(name) for name in columns],
            separator=self._delimiter,
            quote_char='"',
        )
        if frame.height != len(lines):
            raise RuntimeError(f"{frame.height} records parsed, {len(lines)} found")
        return CsvChunk(frame, lines, marks)

    def _read_header(self) -> tuple[str, ...]:
        start = self._file.read(len(codecs.BOM_UTF8))
        self._rest = start.removeprefix(codecs.BOM_UTF8)
        self._skip_blank_lines()
        marks = self._next_piece(HEADER_BYTES, one_record=True)
        if marks is None:
            raise FileRefusedError(
                FileFault.EMPTY_FILE,
                "the file is empty",
                remedy="send a file with a header and at least one row",
            )
        check_carriage_returns(marks, self._line)
        text = marks.data.decode("utf-8")
        names = next(csv.reader(StringIO(text, newline=""), delimiter=self._delimiter, strict=True))
        _check_header(names)
        self._line += len(marks.line_ends)
        return tuple(names)

    def _skip_blank_lines(self) -> None:
        while True:
            block = self._rest or self._file.read(4096)
            kept = block.lstrip(b"\r\n")
            self._line += block[: len(block) - len(kept)].count(b"\n")
            self._rest = kept
            if kept or not block:
                return

    def _next_piece(self, size: int, *, one_record: bool = False) -> Marks | None:
        """Return the next whole records, None at the end; what follows them is kept."""
        data = self._rest
        wanted = size
        while True:
            data += self._read(wanted - len(data))
            if not data:
                return None
            if self._ended and not data.endswith(b"\n"):
                data += b"\n"
            self._check_text(data)
            marks = find_marks(data)
            check_quotes(marks, ord(self._delimiter), self._line, is_last=self._ended)
            if len(marks.record_ends):
                return self._cut(marks, one_record=one_record)
            if len(data) > self._record_bytes:
                raise self._record_too_long(self._line)
            wanted = len(data) + size

    def _read(self, size: int) -> bytes:
        parts = []
        while size > 0 and not self._ended:
            part = self._file.read(size)
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
        nul = data.find(0)
        if nul >= 0:
            line = self._line + data.count(b"\n", 0, nul)
            raise FileRefusedError(
                FileFault.NUL_BYTE,
                f"line {line} holds a NUL byte",
                remedy="export the file as UTF-8 text (a UTF-16 file is full of NUL bytes)",
                line=line,
            )
        if data.isascii():
            return
        # The last character may be cut by the chunk's end: it is looked at with the next chunk.
        whole = data if self._ended else data[: data.rfind(b"\n") + 1]
        offsets = pa.py_buffer(np.array([0, len(whole)], dtype=np.int64))
        text = pa.Array.from_buffers(pa.large_utf8(), 1, [None, offsets, pa.py_buffer(whole)])
        try:
            text.validate(full=True)
        except pa.ArrowInvalid:
            raise self._not_utf8(whole) from None

    def _not_utf8(self, data: bytes) -> FileRefusedError:
        at = 0
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            at = error.start
        line = self._line + data.count(b"\n", 0, at)
        return FileRefusedError(
            FileFault.NOT_UTF8,
            f"line {line} holds bytes that are not UTF-8",
            remedy="export the file as UTF-8",
            line=line,
        )

    def _record_too_long(self, line: int) -> FileRefusedError:
        return FileRefusedError(
            FileFault.RECORD_TOO_LONG,
            f"the record on line {line} is longer than {self._record_bytes:,} bytes",
            remedy="look for a quote that is opened there and never closed",
            line=line,
        )


def no_rows() -> FileRefusedError:
    """Return what to raise for a file whose pieces hold no record at all."""
    return FileRefusedError(
        FileFault.NO_ROWS,
        "the file has a header and no rows",
        remedy="add at least one row below the header",
    )


def _without(marks: Marks, blank: npt.NDArray[np.bool_]) -> Marks:
    kept = [
        marks.data[start : end + 1]
        for start, end in zip(
            marks.record_starts[~blank].tolist(), marks.record_ends[~blank].tolist(), strict=True
        )
    ]
    return find_marks(b"".join(kept))


def _check_header(names: Sequence[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise FileRefusedError(
            FileFault.TOO_MANY_COLUMNS,
            f"the header has {len(names):,} columns, more than {MAX_COLUMNS:,}",
            remedy="leave out the columns that the source mapping does not read",
            line=1,
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        shown = ", ".join(repr(name) for name in twice)
        raise FileRefusedError(
            FileFault.DUPLICATE_HEADER,
            f"the header names a column more than once: {shown}",
            remedy="give every column its own name",
            line=1,
            columns=twice,
        )
