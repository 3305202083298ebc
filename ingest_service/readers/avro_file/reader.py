"""An Avro object container file as rows: each record as a JSON object of its fields."""

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from io import BytesIO
from itertools import chain, islice
from math import isfinite
from pathlib import Path
from typing import Any, Final

import polars as pl

from ingest_service.pipeline.report import FileReading, RowIssue
from ingest_service.readers.avro_file.container import Block, Container, damaged_avro
from ingest_service.readers.avro_file.schema import has_bytes, record_schema
from ingest_service.readers.avro_singles import shortest_of
from ingest_service.readers.json.rows import JsonChunk, JsonColumns, JsonRecord, chunk_of
from ingest_service.readers.table.chunk import TableRows, fault_frame, table_reading
from ingest_service.readers.table.columns import (
    LARGEST_EXACT,
    TableColumns,
    about_identifier,
    cell_too_long,
)
from ingest_service.readers.table.no_json import (
    NoNumber,
    NoText,
    about_no_json,
    holds_no_json,
    kept,
)
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.json_rows import CONTEXT, EITHER, pick
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault, ReasonCode, WarningCode
from lakehouse.contracts.strict_json import MAX_BYTES, Number, Parsed, dumps
from lakehouse.contracts.times import typed_time

PIECE_RECORDS: Final = 5_000


class AvroRows(TableRows):
    """An Avro file as a `RowFile`; `places` and lines are the numbers of its records."""

    place_unit = "record"

    def __init__(self, path: Path, columns: JsonColumns, asked: TableColumns) -> None:
        self._columns = replace(columns, unread=None)  # told once, of the schema
        self._asked = asked
        self._commas = asked.numbers if asked.decimal_comma else frozenset()
        self._container = Container(path)
        try:
            self._schema, self._read = record_schema(self._container.schema)
            self._shorten = shortest_of(self._schema)
            self._has_bytes = has_bytes(self._schema)
            self.kept = tuple(field["name"] for field in self._schema["fields"])
            self.header = tuple(
                dict.fromkeys(
                    (*(name for name in columns.names if _has(name, set(self.kept))), *self.kept)
                )
            )
            self.single = self.kept
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._container.position

    def pieces(self) -> Iterator[list[JsonRecord]]:
        """Yield the records in pieces; raises `FileRefusedError` at one that cannot be read."""
        records = chain.from_iterable(map(self._records, self._container.blocks()))
        while piece := list(islice(records, PIECE_RECORDS)):
            yield piece

    def parse(self, piece: list[JsonRecord], columns: Sequence[str]) -> JsonChunk:
        """Return the rows of a piece."""
        chunk = chunk_of(piece, self._columns, columns)
        faults = chunk.faults
        looked_at = columns if self._has_bytes else self._asked.objects.intersection(columns)
        found = [*_unread(piece, looked_at), *_odd_identifiers(piece, self._asked)]
        if found:
            faults = pl.concat([faults, fault_frame(found)]).sort("row", maintain_order=True)
        return JsonChunk(chunk.frame, chunk.lines, chunk.places, faults, _Objects(piece))

    def reading(self) -> FileReading:
        """Return that it is Avro."""
        return table_reading("avro")

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:  # noqa: ARG002
        """Yield nothing: what is odd is told of its record."""
        yield from ()

    def ending(self) -> Iterator[RowIssue]:
        """Yield nothing: a file that is cut off is refused."""
        yield from ()

    def _records(self, block: Block) -> Iterator[JsonRecord]:
        stream, at = BytesIO(block.data), 0
        for number in range(block.first, block.first + block.count):
            try:
                record = self._read(stream, self._schema, None)
            except Exception:  # noqa: BLE001 - bytes that are no record fail in every way
                raise _unreadable(number) from None
            size, at = stream.tell() - at, stream.tell()
            if size > MAX_BYTES:
                raise cell_too_long("all of them together", f"record {number:,}")
            value = _object(self._shorten(record) if self._shorten else record)
            for name in self._commas.intersection(value):
                if isinstance(value[name], Number):
                    value[name] = value[name].replace(".", ",")
            yield JsonRecord(b"", number, number, Parsed(value, 0, has_repeated_name=False))
        if stream.read(1):
            raise damaged_avro("a block has more bytes than its records")


class _Objects(Sequence[bytes]):
    """Records as JSON objects, made when they are asked for: few are."""

    def __init__(self, records: Sequence[JsonRecord]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, row: Any) -> Any:
        parsed = self._records[row].parsed
        assert parsed is not None
        return dumps(kept(parsed.value)).encode()


def _odd_identifiers(
    piece: Sequence[JsonRecord], asked: TableColumns
) -> list[tuple[int, str, str, str, str]]:
    """Return what is to be told of identifiers that are numbers with decimals, or truth values."""
    found = []
    for row, record in enumerate(piece):
        value = record.parsed.value if record.parsed is not None else {}
        for column, field in asked.identifiers.items():
            code = getattr(pick(value, column), "code", None)
            if code is not None:
                found.append((row, *about_identifier(code, field, column)))
    return found


def _unread(
    piece: Sequence[JsonRecord], columns: Collection[str]
) -> list[tuple[int, str, str, str, str]]:
    """Return the rows that have a value in a column that is read, which is no text and no JSON."""
    found = []
    for row, record in enumerate(piece if columns else ()):
        if record.parsed is None:
            continue
        for column in columns:
            value = pick(record.parsed.value, column)
            if isinstance(value, NoText):
                why = f"{column} holds bytes that are not UTF-8"
                found.append((row, ReasonCode.NOT_UTF8.value, "", column, why))
            elif holds_no_json(value):
                found.append(about_no_json(row, column))
    return found


class OddNumber(Number):
    """The text of a value that is told of where it names something; `code` says as what."""

    __slots__ = ("code",)
    code: WarningCode

    @classmethod
    def of(cls, text: str, code: WarningCode) -> "OddNumber":
        """Return the text of a value."""
        made = cls(text)
        made.code = code
        return made


class OddText(str):
    """A time as a text; `code` as in `OddNumber`."""

    __slots__ = ()
    code = WarningCode.TYPED_IDENTIFIER


def _object(record: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in record.items()}


def _within(value: Any) -> Any:
    """Return a value within another: a number that is none is not a text there."""
    if isinstance(value, float) and not isfinite(value):
        return NoNumber.of(value)
    return _value(value)


def _value(value: Any) -> Any:
    """Return a value as JSON has it; times as texts that say so, numbers with their digits."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return Number(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, datetime):
        return OddText(typed_time(value))
    if isinstance(value, date):
        return OddText(f"{value.isoformat()}T00:00:00.000000")
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, Mapping):
        return {name: _within(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_within(one) for one in value]
    return str(value)


def _float(value: float) -> Number | OddText:
    if not isfinite(value):
        return OddText(value)
    if not value.is_integer() or abs(value) >= 2**63:
        return OddNumber.of(repr(value), WarningCode.TYPED_IDENTIFIER)
    is_long = abs(value) >= LARGEST_EXACT
    code = WarningCode.LONG_NUMBER_IDENTIFIER if is_long else WarningCode.TYPED_IDENTIFIER
    return OddNumber.of(str(int(value)), code)


def _bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NoText(base64.b64encode(value).decode())


def _has(name: str, fields: set[str]) -> bool:
    """Whether records with these fields may have what `pick` looks for under a name."""
    if name in fields or name.partition(".")[0] in fields:
        return True
    if name in CONTEXT_FIELDS and CONTEXT in fields:
        return True
    return EITHER in name and any(_has(part, fields) for part in name.split(EITHER))


def _unreadable(number: int) -> FileRefusedError:
    return FileRefusedError(
        FileFault.DAMAGED_FILE,
        f"the Avro file is damaged: record {number:,} cannot be read with its schema",
        remedy="write and send it again",
        line=number,
    )
