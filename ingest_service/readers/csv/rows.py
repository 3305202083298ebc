"""A CSV file as the sources see every file of rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest_service.pipeline.report import FileReading, RowIssue
from ingest_service.readers.csv.beginning import HEADER_BYTES
from ingest_service.readers.csv.chunks import CsvChunk, CsvOptions, CsvPiece
from ingest_service.readers.csv.encoding import UTF8, TextSource
from ingest_service.readers.csv.preamble import LINES, advice
from ingest_service.readers.csv.reader import CsvFile, blank_file
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import WARNINGS, FileFault, WarningCode
from lakehouse.contracts.source_mapping import NO_QUOTE


class CsvRows(CsvFile):
    """A CSV file as a `RowFile`; one of empty lines is refused."""

    place_unit = "line"
    has_named_fields = False

    def __init__(self, path: Path, options: CsvOptions, chunk_bytes: int) -> None:
        super().__init__(path, options, chunk_bytes=chunk_bytes)
        self._path = path
        if self.beginning.is_blank:
            self.close()
            raise blank_file()

    def parse(self, piece: CsvPiece, columns: Sequence[str]) -> CsvChunk:
        """Return the records of a piece, warnings among their faults."""
        return super().parse(piece, columns).with_warnings(self.byte_delimiter, len(self.header))

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
            quote=_layout_quote(self.options.dialect.quote),
            columns=self.header,
            mapping=mapping_name,
        )

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:  # noqa: ARG002
        """Yield what was guessed."""
        encoding, delimiter = self.encoding, self.delimiter
        if encoding.how == "detected" and encoding.name != UTF8:
            how = f"read as {encoding.name}, confidence {encoding.confidence:.2f}"
            yield self._warning(WarningCode.DETECTED_ENCODING, how)
        if delimiter.how == "sep_line":
            how = f"read with {delimiter.value!r}, as its first line says (sep=)"
            yield RowIssue(1, "", WarningCode.DETECTED_DELIMITER.value, how)
        beginning = self.beginning
        if beginning.skipped:
            first, last = self.header_line - beginning.skipped, self.header_line - 1
            how = f"lines {first} to {last} stand before the header and are not read"
            yield RowIssue(first, "", WarningCode.SKIPPED_LINES.value, how)
        if beginning.has_damaged_header:
            meaning = WARNINGS[WarningCode.DAMAGED_HEADER].meaning
            yield self._warning(WarningCode.DAMAGED_HEADER, meaning)
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

    def ending(self) -> Iterator[RowIssue]:
        """Yield a warning when the last line has no end."""
        if self.ends_open:
            code = WarningCode.NO_FINAL_LINE_END
            yield RowIssue(self.last_line, "", code.value, WARNINGS[code].meaning)

    def _first_lines(self) -> list[str]:
        source = TextSource(self._path, self.encoding)
        try:
            return source.read(HEADER_BYTES).decode("utf-8", "replace").splitlines()[:LINES]
        finally:
            source.close()

    def _warning(self, code: WarningCode, reason: str, column: str = "") -> RowIssue:
        return RowIssue(self.header_line, column, code.value, reason)


def _layout_quote(quote: str | None) -> str | None:
    """None, the default: as RFC 4180 has it, so that layouts of before read the same."""
    return None if quote == '"' else quote or NO_QUOTE
