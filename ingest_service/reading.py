"""How a file was read, for the report: what was given, what was found out, and what is odd."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest_service.csv_files.encoding import UTF8
from ingest_service.csv_files.reader import CsvFile
from ingest_service.report import Finding
from lakehouse.contracts.characters import folded
from lakehouse.contracts.reasons import WARNINGS, WarningCode


@dataclass(frozen=True, slots=True)
class FileReading:
    """The encoding and delimiter a file was read with; confidence from 0 to 1.

    `…_from`: `given` by the upload or the mapping, `mark` (the file's byte order mark) or
    `detected`.
    """

    encoding: str
    encoding_confidence: float
    encoding_from: str
    delimiter: str
    delimiter_confidence: float
    delimiter_from: str


def reading_of(file: CsvFile) -> FileReading:
    """Return how an open file is being read."""
    encoding, delimiter = file.encoding, file.delimiter
    return FileReading(
        encoding.name,
        encoding.confidence,
        encoding.how,
        delimiter.value,
        delimiter.confidence,
        delimiter.how,
    )


def oddities_of(file: CsvFile, read: Sequence[str]) -> Iterator[Finding]:
    """Yield what is odd about a file itself; `read` are the columns that are read."""
    encoding, delimiter = file.encoding, file.delimiter
    if encoding.how == "detected" and encoding.name != UTF8:
        yield _warning(
            WarningCode.DETECTED_ENCODING,
            file.header_line,
            reason=f"read as {encoding.name}, confidence {encoding.confidence:.2f}",
        )
    if delimiter.how == "detected" and delimiter.value != ",":
        yield _warning(
            WarningCode.DETECTED_DELIMITER,
            file.header_line,
            reason=f"read with {delimiter.value!r}, confidence {delimiter.confidence:.2f}",
        )
    names = {folded(name): name for name in read}
    for name in file.header:
        if name not in read and folded(name) in names:
            reason = f"ignored, though it is nearly {names[folded(name)]!r}"
            yield _warning(WarningCode.SIMILAR_COLUMN, file.header_line, name, reason)


def open_end(file: CsvFile) -> Finding:
    """Return the warning for a file without a last line end."""
    return _warning(WarningCode.NO_FINAL_LINE_END, file.last_line)


def _warning(code: WarningCode, line: int, column: str = "", reason: str | None = None) -> Finding:
    return Finding(line, column, code.value, reason or WARNINGS[code].meaning)
