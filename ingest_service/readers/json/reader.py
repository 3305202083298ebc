"""A JSON file on disk as records: an array of objects, or one object per line.

Memory does not depend on the file: lines are read in pieces, and so are the elements of an array.
A line that is not JSON is a wrong row. In an array, where one element ends and the next begins is
part of the JSON, so a fault there refuses the file with its line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.pipeline.report import FileReading
from ingest_service.readers.csv.encoding import TextSource
from ingest_service.readers.json.array import ArrayReader
from ingest_service.readers.json.rows import (
    JsonChunk,
    JsonColumns,
    JsonRecord,
    ObjectRows,
    chunk_of,
    record_of,
)
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.strict_json import MAX_BYTES, StrictDecoder

WHITE_SPACE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class _Lines:
    """Whole lines of a file; `first_line` is the number of the first."""

    data: bytes
    first_line: int


class JsonRows(ObjectRows):
    """A JSON file as a `RowFile`: the bytes decide whether it is an array or lines.

    UTF-8 with or without a byte order mark, as `TextSource` reads it. `place_unit` says what the
    places of rows count: lines, or elements of the array.
    """

    def __init__(
        self, path: Path, encoding: str | None, columns: JsonColumns, chunk_bytes: int
    ) -> None:
        self._columns = columns
        self._chunk_bytes = chunk_bytes
        self._source = TextSource(path, encoding)
        try:
            start = self._first_bytes()
        except BaseException:
            self._source.close()
            raise
        self._is_array = start.startswith(b"[")
        self.header = columns.names
        self.header_line = 1
        self.place_unit = "item" if self._is_array else "line"

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._source.position

    def pieces(self) -> Iterator[_Lines | list[JsonRecord]]:
        """Yield the file in pieces: lines, or elements that have been read."""
        if self._is_array:
            yield from ArrayReader(self._source, self._chunk_bytes).pieces()
            return
        yield from self._lines()

    def parse(self, piece: _Lines | list[JsonRecord], columns: Sequence[str]) -> JsonChunk:
        """Return the rows of a piece."""
        return chunk_of(self.records(piece), self._columns, columns)

    def records(self, piece: _Lines | list[JsonRecord]) -> list[JsonRecord]:
        """Return the rows of a piece as they stand."""
        return piece if isinstance(piece, list) else _records(piece)

    def reading(self) -> FileReading:
        """Return its encoding."""
        encoding = self._source.encoding
        return FileReading(encoding.name, encoding.confidence, encoding.how, format="json")

    def _first_bytes(self) -> bytes:
        """Return the first bytes that are no white space, and go back to the start."""
        while True:
            block = self._source.read(self._chunk_bytes)
            start = block.lstrip(WHITE_SPACE)
            if start or not block:
                break
        if not start:
            raise FileRefusedError(
                FileFault.EMPTY_FILE,
                "the file is empty",
                remedy="send an array of objects, or one object per line",
                line=1,
            )
        self._source.rewind()
        return start

    def _lines(self) -> Iterator[_Lines]:
        rest, line = b"", 1
        while block := self._source.read(self._chunk_bytes):
            rest += block
            end = rest.rfind(b"\n") + 1
            if len(rest) - end > MAX_BYTES:
                raise record_too_long(line + rest.count(b"\n"))
            if end:
                yield _Lines(rest[:end], line)
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
        if rest:
            yield _Lines(rest, line)


def record_too_long(line: int) -> FileRefusedError:
    """Return what to raise for a value that does not end."""
    return FileRefusedError(
        FileFault.RECORD_TOO_LONG,
        f"the value on line {line} is longer than {MAX_BYTES:,} bytes",
        remedy="write one object per line, or an array of objects",
        line=line,
    )


def _records(piece: _Lines) -> list[JsonRecord]:
    decoder = StrictDecoder()
    stripped = (line.strip(WHITE_SPACE) for line in piece.data.split(b"\n"))
    return [
        record_of(raw, number, number, decoder)
        for number, raw in enumerate(stripped, piece.first_line)
        if raw
    ]
