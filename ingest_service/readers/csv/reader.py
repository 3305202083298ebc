"""A CSV file on disk as batches of text columns, each a whole number of records.

Memory depends on the chunk size, not on the file. RFC 4180 with LF or CRLF, in any of the known
encodings. Empty lines hold no record, except in a file of one column, where they are an empty
value. Anything else that is not plain CSV is refused with the line it stands on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.readers.csv.chunks import CsvChunk, CsvOptions, CsvPiece
from ingest_service.readers.csv.delimiters import (
    Delimiter,
    delimiter_by_count,
    detect_delimiter,
    given_delimiter,
)
from ingest_service.readers.csv.encoding import TextSource
from ingest_service.readers.csv.faults import RecordFaults, find_faults
from ingest_service.readers.csv.header import (
    Header,
    first_record,
    header_text,
    joined_names,
    read_header,
)
from ingest_service.readers.csv.preamble import separator_of
from ingest_service.readers.csv.quotes import EditedText, swapped, swapped_names, swapped_texts
from ingest_service.readers.csv.records import Records
from ingest_service.readers.csv.structure import (
    Marks,
    Positions,
    blank_records,
    check_quotes,
    open_quote,
    records_that_begin_with,
    without,
)
from ingest_service.readers.csv.values import read_values
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault, ReasonCode

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
        self.options = options or CsvOptions()
        self._chunk_bytes = chunk_bytes
        self._record_bytes = record_bytes
        dialect = self.options.dialect
        text = TextSource(path, self.options.encoding, self.options.declared)
        self._source = EditedText(text, dialect.quote, dialect.skip_last_lines)
        self._records = Records(self._source, self.options, record_bytes)
        self.encoding = self._source.encoding
        self._quote = dialect.quote
        self._comment = swapped((dialect.comment or "").encode(), dialect.quote)
        self.is_blank = False
        self.header_line = 1
        try:
            self.delimiter, self._header = self._find_header()
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
        return self._records.line - 1

    @property
    def header(self) -> tuple[str, ...]:
        """The columns, each with a name of its own."""
        return self._header.names

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names that come more than once, of columns that are not read."""
        return self._header.repeated

    @property
    def single(self) -> tuple[str, ...]:
        """The names that the header itself gives to one column each."""
        return self._header.single

    @property
    def nameless_count(self) -> int:
        """How many columns at the end have no name."""
        return len(self._header.nameless)

    @property
    def ends_open(self) -> bool:
        """Whether the file ends without a line end; known when all of it is read."""
        return self._records.ends_open

    def pieces(self) -> Iterator[CsvPiece]:
        """Yield the file's records in pieces."""
        records, delimiter = self._records, self.delimiter.value
        if not any(name[:1] == name[-1:] == "'" for name in self.header):
            records.header = self.header
        while (marks := records.next_piece(self._chunk_bytes, delimiter)) is not None:
            ends_open = records.ends_open and records.is_at_end
            piece = CsvPiece(marks, records.line, ends_open, records.damaged)
            records.line += len(marks.line_ends)
            yield piece

    def parse(self, piece: CsvPiece, columns: Sequence[str]) -> CsvChunk:
        """Return the records of a piece, only `columns` of them parsed.

        A piece of empty lines has no records.
        """
        marks, first_line = piece.marks, piece.first_line
        lines = first_line + np.searchsorted(marks.line_ends, marks.record_starts)
        too_long = marks.record_ends - marks.record_starts > self._record_bytes
        if too_long.any():
            raise self._records.record_too_long(int(lines[too_long][0]))
        damaged = np.zeros(len(lines), dtype=np.bool_)
        damaged[piece.damaged] = True
        if (dropped := self._no_records(marks, lines) & ~damaged).any():
            marks, lines, damaged = without(marks, dropped), lines[~dropped], damaged[~dropped]
        faults = find_faults(
            marks,
            ord(self.delimiter.value),
            len(self.header),
            lines,
            ends_open=piece.ends_open,
            is_text=not self.options.expects_damage,
            damaged=np.flatnonzero(damaged),
        )
        if not self.options.keeps_going:
            faults.refuse()
        nameless = self._header.nameless
        unasked = [name for name in nameless if name not in columns]
        frame = self._values(marks, faults, [*columns, *unasked])
        if nameless:
            frame = self._without_nameless(frame, faults).drop(unasked)
        if frame.height != len(lines):
            raise RuntimeError(f"{frame.height} records parsed, {len(lines)} found")
        return CsvChunk(frame, lines, faults.reasons(), marks, self.encoding.name, self._quote)

    def _no_records(self, marks: Marks, lines: Positions) -> npt.NDArray[np.bool_]:
        """True for empty lines and comments."""
        dropped = np.zeros(len(lines), dtype=np.bool_)
        if len(self.header) > 1:
            dropped |= blank_records(marks, ord(self.delimiter.value))
        if self._comment:
            comments = records_that_begin_with(marks, self._comment)
            for row in np.flatnonzero(comments).tolist():
                if b"\n" in marks.data[marks.record_starts[row] : marks.record_ends[row]]:
                    raise open_quote(int(lines[row]))
            dropped |= comments
        return dropped

    def _without_nameless(self, frame: pl.DataFrame, faults: RecordFaults) -> pl.DataFrame:
        """Refuse records with a value in a column without a name."""
        for name in self._header.nameless:
            has_value = frame[name].fill_null("").str.strip_chars() != ""
            number = self.header.index(name) + 1
            faults.add(
                has_value.arg_true().to_numpy().astype(np.int64),
                ReasonCode.RAGGED_ROW,
                f"it has a value in column {number}, which the header gives no name",
            )
        if not self.options.keeps_going:
            faults.refuse()
        if not faults.found:
            return frame
        is_bad = pl.Series(faults.mask)
        return frame.select(pl.when(~is_bad).then(pl.all()))

    def _values(self, marks: Marks, faults: RecordFaults, columns: Sequence[str]) -> pl.DataFrame:
        """Parse the good records; the others become rows of nulls in their places."""
        bad = faults.mask if faults.found else None
        good = marks if bad is None else without(marks, bad)
        frame = read_values(good, self.header, columns, self.delimiter.value)
        frame = swapped_texts(frame, self._quote)
        if bad is None:
            return frame
        places = pl.Series(np.cumsum(~bad) - 1, dtype=pl.Int64)
        return frame.select(pl.all().gather(places.set(pl.Series(bad), None)))

    def _find_header(self) -> tuple[Delimiter, Header]:
        """Skip what stands before the header, and read it."""
        records, dialect = self._records, self.options.dialect
        for _ in range(dialect.skip_lines):
            if not records.drop_line():
                raise _empty("the file has no more lines than `skip_lines` says to skip")
        comment = self._comment
        separator = separator_of(records.peek_line()) if records.line == 1 else None
        if separator is not None:
            records.drop_line()
        while records.skip_blank_lines() and comment and records.peek_line().startswith(comment):
            records.drop_line()
        if not records.peek_line() and records.line > 1:
            if comment or dialect.skip_lines or separator is not None:
                raise _empty("the file ends before its header")
            records.rewind()
            self.is_blank = True
        self.header_line = records.line
        return self._read_header(separator)

    def _read_header(self, separator: str | None) -> tuple[Delimiter, Header]:
        records, dialect = self._records, self.options.dialect
        delimiter = self._known_delimiter(separator)
        marks = records.next_piece(
            HEADER_BYTES, delimiter.value if delimiter else None, one_record=True
        )
        if marks is None:
            raise _empty("the file is empty")
        text = header_text(marks, records.line)
        if delimiter is None:
            delimiter = (
                detect_delimiter(text, self.options.wanted)
                if dialect.names is None
                else delimiter_by_count(text, len(dialect.names))
            )
            check_quotes(marks, ord(delimiter.value), records.line, is_last=True)
        if dialect.header_lines:
            found = self._header_names(text, delimiter.value, marks)
            if dialect.names is None:
                return delimiter, read_header(found, self.header_line, self.options.wanted)
            if len(found) != len(dialect.names):
                raise _other_names(len(found), len(dialect.names), self.header_line)
        else:
            records.put_back(marks)
        assert dialect.names is not None  # a mapping without a header has them
        return delimiter, Header(dialect.names, single=dialect.names)

    def _header_names(self, text: str, delimiter: str, marks: Marks) -> list[str]:
        """Return the names in the header, of which one record was read, and read the others."""
        records, dialect = self._records, self.options.dialect
        found = [first_record(text, delimiter, dialect.escape)]
        records.line += len(marks.line_ends)
        while len(found) < dialect.header_lines:
            more = records.next_piece(HEADER_BYTES, delimiter, one_record=True)
            if more is None:
                raise _empty("the file ends within the lines that `header` says it has")
            found.append(first_record(header_text(more, records.line), delimiter, dialect.escape))
            records.line += len(more.line_ends)
        names = found[0] if len(found) == 1 else joined_names(found)
        return swapped_names(names, dialect.quote)

    def _known_delimiter(self, separator: str | None) -> Delimiter | None:
        given = self.options.delimiter
        if given is not None:
            return given_delimiter(given)
        if separator is not None:
            return replace(given_delimiter(separator), how="sep_line")
        return None


def _other_names(found: int, given: int, line: int) -> FileRefusedError:
    return FileRefusedError(
        FileFault.RAGGED_ROW,
        f"the header has {found:,} columns, and the source mapping has {given:,} `names` for them",
        remedy="name every column in `names`, in order",
        line=line,
    )


def _empty(message: str) -> FileRefusedError:
    return FileRefusedError(
        FileFault.EMPTY_FILE,
        message,
        remedy="send a file with a header and at least one row",
        line=1,
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
