"""A file of rows, whatever it is written in, as a batch sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import polars as pl

from ingest_service.pipeline.report import Finding
from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.encoding import UTF8, TextSource
from ingest_service.readers.csv.preamble import LINES, advice
from ingest_service.readers.csv.reader import HEADER_BYTES, CsvFile, blank_file
from ingest_service.readers.csv.structure import Positions
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import WARNINGS, FileFault, WarningCode


@dataclass(frozen=True, slots=True)
class FileReading:
    """How a file was read; confidence from 0 to 1.

    `…_from`: `given` by the upload or the mapping, `mark` (the file's byte order mark), `declared`
    (the request's charset), `sep_line` (the file's first line) or `detected`. A JSON file
    has no delimiter.
    """

    encoding: str
    encoding_confidence: float = 1.0
    encoding_from: str = "detected"
    delimiter: str | None = None
    delimiter_confidence: float | None = None
    delimiter_from: str | None = None


class RowChunk(Protocol):
    """Rows of a file, in order.

    `frame`: the wanted columns as texts. `lines`: the line each row starts on. `faults`: reasons
    of the rows that could not be read, whose columns are null.
    """

    @property
    def frame(self) -> pl.DataFrame:
        """The rows."""
        ...

    @property
    def lines(self) -> Positions:
        """Their lines."""
        ...

    @property
    def places(self) -> Positions:
        """What tells them apart within the file: lines, or elements of an array."""
        ...

    @property
    def faults(self) -> pl.DataFrame:
        """What could not be read."""
        ...

    @property
    def requests(self) -> pl.Series | None:
        """Numbers of the requests that the rows came with; None when all came together."""
        ...

    @property
    def traits(self) -> Traits:
        """What is known of all texts at once."""
        ...

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The bytes of these rows as the file has them."""
        ...


class RowFile(Protocol):
    """An open file: ask what it has, then iterate `pieces` once and `parse` each.

    `pieces` needs one thread; `parse` may be called for several pieces at the same time.
    """

    @property
    def place_unit(self) -> str:
        """What the places of rows count."""
        ...

    @property
    def header(self) -> tuple[str, ...]:
        """The columns it has, or may have."""
        ...

    @property
    def header_line(self) -> int:
        """Where they are named."""
        ...

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        ...

    def __enter__(self) -> Self:
        """Use it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        ...

    def pieces(self) -> Iterator[Any]:
        """Yield it in pieces."""
        ...

    def parse(self, piece: Any, columns: Sequence[str]) -> RowChunk:
        """Return the rows of a piece."""
        ...

    def reading(self) -> FileReading:
        """How it is read."""
        ...

    def layout(self, mapping_name: str) -> SourceLayout:
        """What it takes to read one of its rows alone."""
        ...

    def oddities(self, read: Sequence[str]) -> Iterator[Finding]:
        """What is odd about the file itself, when these columns are read."""
        ...

    def ending(self) -> Iterator[Finding]:
        """What is odd about its end; ask when all pieces were read."""
        ...


class CsvRows(CsvFile):
    """A CSV file as a `RowFile`; one of empty lines is refused."""

    place_unit = "line"

    def __init__(self, path: Path, options: CsvOptions, chunk_bytes: int) -> None:
        super().__init__(path, options, chunk_bytes=chunk_bytes)
        self._path = path
        if self.is_blank:
            self.close()
            raise blank_file()

    def reading(self) -> FileReading:
        """Return its encoding and delimiter."""
        encoding, delimiter = self.encoding, self.delimiter
        return FileReading(
            encoding.name,
            encoding.confidence,
            encoding.how,
            delimiter.value,
            delimiter.confidence,
            delimiter.how,
        )

    def layout(self, mapping_name: str) -> SourceLayout:
        """Return its header, delimiter and encoding."""
        return SourceLayout(
            encoding=self.encoding.name,
            delimiter=self.delimiter.value,
            escape=self.options.dialect.escape,
            columns=self.header,
            mapping=mapping_name,
        )

    def oddities(self, read: Sequence[str]) -> Iterator[Finding]:  # noqa: ARG002
        """Yield what was guessed."""
        encoding, delimiter = self.encoding, self.delimiter
        if encoding.how == "detected" and encoding.name != UTF8:
            how = f"read as {encoding.name}, confidence {encoding.confidence:.2f}"
            yield self._warning(WarningCode.DETECTED_ENCODING, how)
        if delimiter.how == "sep_line":
            how = f"read with {delimiter.value!r}, as its first line says (sep=)"
            yield Finding(1, "", WarningCode.DETECTED_DELIMITER.value, how)
        for name in self.repeated:
            meaning = WARNINGS[WarningCode.REPEATED_COLUMN].meaning
            yield self._warning(WarningCode.REPEATED_COLUMN, meaning, name)
        if self.nameless_count:
            why = f"the last {self.nameless_count} columns have no name and are not read"
            yield self._warning(WarningCode.NAMELESS_COLUMN, why)
        if delimiter.how == "detected" and delimiter.value != ",":
            how = f"read with {delimiter.value!r}, confidence {delimiter.confidence:.2f}"
            yield self._warning(WarningCode.DETECTED_DELIMITER, how)

    def explain(self, error: FileRefusedError) -> None:
        """Add to a refusal for missing columns what the file's first lines show."""
        if error.code is not FileFault.MISSING_COLUMNS or self.options.dialect.names is not None:
            return
        hint = advice(
            self._first_lines(), self.header_line, set(error.columns), self.options.wanted
        )
        if hint:
            error.remedy = f"{hint}; else {error.remedy}"

    def ending(self) -> Iterator[Finding]:
        """Yield a warning when the last line has no end."""
        if self.ends_open:
            code = WarningCode.NO_FINAL_LINE_END
            yield Finding(self.last_line, "", code.value, WARNINGS[code].meaning)

    def _first_lines(self) -> list[str]:
        source = TextSource(self._path, self.encoding)
        try:
            return source.read(HEADER_BYTES).decode("utf-8", "replace").splitlines()[:LINES]
        finally:
            source.close()

    def _warning(self, code: WarningCode, reason: str, column: str = "") -> Finding:
        return Finding(self.header_line, column, code.value, reason)
