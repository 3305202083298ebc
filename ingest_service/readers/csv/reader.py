"""A CSV file on disk as batches of text columns, each a whole number of records.

Memory depends on the chunk size, not on the file. RFC 4180 with LF or CRLF, in any of the known
encodings. Empty lines hold no record, except in a file of one column, where they are an empty
value. Anything else that is not plain CSV is refused with the line it stands on.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.readers.csv.beginning import empty, find_beginning
from ingest_service.readers.csv.chunks import CsvChunk, CsvOptions, CsvPiece
from ingest_service.readers.csv.delimiters import name_key
from ingest_service.readers.csv.encoding import TextSource
from ingest_service.readers.csv.faults import RecordFaults, find_faults
from ingest_service.readers.csv.last_lines import WithoutLastLines
from ingest_service.readers.csv.records import Records
from ingest_service.readers.csv.structure import (
    Marks,
    Positions,
    blank_records,
    open_quote,
    records_that_begin_with,
    without,
)
from ingest_service.readers.csv.values import read_values
from ingest_service.readers.open_file import OpenFile
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault, ReasonCode

CHUNK_BYTES: Final = 4 * 1024 * 1024
RECORD_BYTES: Final = 4 * 1024 * 1024


class CsvFile(OpenFile):
    """An open CSV file; read its `header`, then iterate `pieces` once.

    `pieces` needs one thread; `parse` may be called for several pieces at the same time.
    `encoding`, `delimiter` and `beginning` say what was given or found out.
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
        self._source = _source_of(path, self.options)
        self._records = Records(self._source, self.options, record_bytes)
        self.encoding = self._source.encoding
        try:
            self.beginning = find_beginning(self._records, self.options)
        except BaseException:
            self.close()
            raise
        self._header = self.beginning.header
        self.titles = self.beginning.titles
        self.delimiter = self.beginning.delimiter

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
    def byte_delimiter(self) -> str:
        """What stands between fields once the text is plain CSV."""
        return self._records.delimiter

    @property
    def header_line(self) -> int:
        """Where the header is."""
        return self.beginning.header_line

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
        records = self._records
        if not any(name[:1] == name[-1:] == "'" for name in self.header):
            records.header = self.header
        while (marks := records.next_piece(self._chunk_bytes)) is not None:
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
            ord(self._records.delimiter),
            len(self.header),
            lines,
            ends_open=piece.ends_open,
            is_text=not self.options.expects_damage,
            damaged=np.flatnonzero(damaged),
        )
        if not (self.options.keeps_going or self.options.lists_faults):
            faults.refuse()
        nameless = self._header.nameless
        unasked = [name for name in nameless if name not in columns]
        frame = self._values(marks, faults, [*columns, *unasked])
        if nameless:
            frame = self._without_nameless(frame, faults).drop(unasked)
        if frame.height != len(lines):
            raise RuntimeError(f"{frame.height} records parsed, {len(lines)} found")
        return CsvChunk(
            frame, lines, faults.reasons(), marks, self.encoding.name, self._records.notation
        )

    def _no_records(self, marks: Marks, lines: Positions) -> npt.NDArray[np.bool_]:
        """True for empty lines and comments."""
        dropped = np.zeros(len(lines), dtype=np.bool_)
        if len(self.header) > 1:
            dropped |= blank_records(marks, ord(self._records.delimiter))
        comment = self.options.dialect.comment
        if comment is not None:
            comments = records_that_begin_with(marks, self._records.notation.swap(comment.encode()))
            for row in np.flatnonzero(comments).tolist():
                record = marks.data[marks.record_starts[row] : marks.record_ends[row]]
                if b"\n" in record:
                    raise open_quote(int(lines[row]))
                if self._is_other_header(record):
                    comments[row] = False
            dropped |= comments
        return dropped

    def _is_other_header(self, comment: bytes) -> bool:
        """Whether a comment has the columns in another order: rows behind it are other ones."""
        text = comment.decode("utf-8", "replace").lstrip(self.options.dialect.comment)
        names = [name_key(cell.strip("\"' ")) for cell in text.split(self._records.delimiter)]
        own = [name_key(name) for name in self.header]
        return 1 < len(names) == len(own) and names != own and set(names) == set(own)

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
        if not (self.options.keeps_going or self.options.lists_faults):
            faults.refuse()
        if not faults.found:
            return frame
        is_bad = pl.Series(faults.mask)
        return frame.select(pl.when(~is_bad).then(pl.all()))

    def _values(self, marks: Marks, faults: RecordFaults, columns: Sequence[str]) -> pl.DataFrame:
        """Parse the good records; the others become rows of nulls in their places."""
        bad = faults.mask if faults.found else None
        good = marks if bad is None else without(marks, bad)
        frame = read_values(good, self.header, columns, self._records.delimiter)
        frame = self._records.notation.original_texts(frame)
        if bad is None:
            return frame
        places = pl.Series(np.cumsum(~bad) - 1, dtype=pl.Int64)
        return frame.select(pl.all().gather(places.set(pl.Series(bad), None)))


def _source_of(path: Path, options: CsvOptions) -> TextSource:
    count = options.dialect.skip_last_lines
    if count:
        return WithoutLastLines(path, options.encoding, options.declared, count)
    return TextSource(path, options.encoding, options.declared)


def blank_file() -> FileRefusedError:
    """Return what to raise for a file of empty lines."""
    return empty("the file holds only empty lines")


def no_rows(line: int = 1) -> FileRefusedError:
    """Return what to raise for a file whose header, on `line`, is followed by no record at all."""
    return FileRefusedError(
        FileFault.NO_ROWS,
        "the file has a header and no rows",
        remedy="add at least one row below the header",
        line=line,
    )
