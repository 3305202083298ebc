"""What a file is, by its first bytes; and its columns' names where its format has no header."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ingest_service.readers.csv.encoding import TextSource
from ingest_service.readers.formats import can_be_cut, content_format
from ingest_service.readers.json.reader import JsonRows
from ingest_service.readers.json.rows import JsonColumns, JsonRecord
from lakehouse.contracts.file_names import format_of_name
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.tenant import FileFormat

START_BYTES: Final = 256 * 1024
_OBJECTS: Final = 5_000
_MOST_NAMES: Final = 1_000
_DEEPEST: Final = 4


def format_of(path: Path, name: str, *, is_start: bool) -> FileFormat:
    """Return what an unpacked file is written in, `name` its own.

    Raises `FileRefusedError` for what is not read, and for the start of a file that is read from
    its end.
    """
    with path.open("rb") as file:
        start = file.read(4_096)
    if is_start and not can_be_cut(start):
        raise FileRefusedError(
            FileFault.UNSUPPORTED_FORMAT,
            "a workbook, Parquet or Avro file cannot be looked at by its start alone",
            remedy="send all of it, without `start_only`",
        )
    return content_format(path, format_of_name(name))


def text_of_start(path: Path, encoding: Any, declared: str | None) -> str:
    """Return the first 256 KiB of a file as text, whatever of it cannot be read replaced."""
    source = TextSource(path, encoding, declared)
    try:
        data = source.read(START_BYTES)
    finally:
        source.close()
    return data.decode("utf-8", "replace")


def names_in_json(path: Path, encoding: str | None) -> list[str]:
    """Return the names of the objects of a JSON file, those within objects as paths, in order.

    Of a name whose value is an object both may be wanted: the object and what is in it.
    """
    names: dict[str, None] = {}
    with JsonRows(path, encoding, JsonColumns((), frozenset()), START_BYTES) as file:
        for record in islice(_records(file), _OBJECTS):
            if record.parsed is not None and isinstance(record.parsed.value, dict):
                names |= dict.fromkeys(_paths(record.parsed.value))
            if len(names) >= _MOST_NAMES:
                break
    return list(names)[:_MOST_NAMES]


def _records(file: JsonRows) -> Iterator[JsonRecord]:
    try:
        for piece in file.pieces():
            yield from file.records(piece)
    except FileRefusedError:  # where it is damaged; the trial says so
        return


def _paths(value: dict[str, Any], prefix: str = "", depth: int = 1) -> Iterator[str]:
    for name, inner in value.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(inner, dict) and depth < _DEEPEST:
            yield from _paths(inner, f"{path}.", depth + 1)
