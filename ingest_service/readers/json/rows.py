"""JSON values as rows of texts, which is what the validator reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ingest_service.pipeline.places import PlaceNames
from ingest_service.pipeline.report import RowIssue
from ingest_service.readers.csv.structure import Positions
from ingest_service.readers.open_file import OpenFile
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.fields import FieldKind
from lakehouse.contracts.json_rows import is_sent, pick, value_text
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError, wanted_columns
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.strict_json import Number, Parsed, StrictDecoder, StrictJsonError
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.contracts.unread import UnreadNames
from lakehouse.contracts.validator import REASON_SCHEMA, UNKNOWN


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """A row of a file: what it says or why it cannot be read, its bytes and its place.

    `place` numbers it among the rows of the file: its line, or its place in the array.
    """

    raw: bytes
    line: int
    place: int
    parsed: Parsed | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class JsonColumns:
    """The names that may be asked for, those whose values may be objects, and those whose null is
    told from their absence.

    `commas`: those whose numbers the mapping has with a decimal comma: a number that is one, and
    no text, is written so before it is read.
    """

    names: tuple[str, ...]
    objects: frozenset[str]
    carried: frozenset[str] = frozenset()
    unread: UnreadNames | None = field(default=None, compare=False)
    """What is told of other names; None: nothing."""
    commas: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data_type: DataType, mapping: SourceMapping) -> "JsonColumns":
        """Return those of a data type, by the tenant's names."""
        objects = {
            mapping.columns.get(found.name, found.name)
            for found in data_type.definition.fields
            if found.kind is FieldKind.JSON_OBJECT
        }
        names = tuple(sorted(wanted_columns(data_type, mapping)))
        carried = {mapping.columns.get(name, name) for name in data_type.definition.carried}
        unread = UnreadNames.of(data_type, mapping)
        commas = {
            mapping.columns.get(found.name, found.name)
            for found in data_type.definition.fields
            if mapping.decimal == "," and found.kind in (FieldKind.NUMBER, FieldKind.DECIMAL)
        }
        return cls(names, frozenset(objects), frozenset(carried), unread, frozenset(commas))


class ObjectRows(OpenFile):
    """What every reader of objects says alike: each of them names its own fields."""

    has_named_fields = True
    header: tuple[str, ...]

    @property
    def single(self) -> tuple[str, ...]:
        """All names: an object with one twice is a wrong row."""
        return self.header

    def layout(self, mapping_name: str) -> SourceLayout:
        """Return what it takes to read one of the objects alone."""
        return SourceLayout(format="json", columns=self.header, mapping=mapping_name)

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:  # noqa: ARG002
        """Yield nothing: there is no header."""
        yield from ()

    def ending(self) -> Iterator[RowIssue]:
        """Yield nothing: a value that is cut off is no JSON."""
        yield from ()

    def explain(self, error: FileRefusedError) -> None:
        """Add nothing."""


@dataclass(frozen=True, slots=True)
class JsonChunk:
    """Rows of a file, in order; see `RowChunk`."""

    frame: pl.DataFrame
    lines: Positions
    places: Positions
    faults: pl.DataFrame
    raws: Sequence[bytes] = field(repr=False)
    traits: Traits = UNKNOWN
    requests: pl.Series | None = None
    place_names: PlaceNames | None = None

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The rows as the file has them."""
        return [self.raws[row] for row in rows]


@dataclass(frozen=True, slots=True)
class RowTexts:
    """Rows as their own bytes, as texts per column, and what is wrong or odd, by position.

    `faults` are row, code, field, column and message, as the validator has reasons and warnings.
    """

    raws: Sequence[bytes]
    values: dict[str, list[str | None]]
    faults: list[tuple[int, str, str, str, str]]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.raws)

    def only(self, rows: Sequence[int]) -> "RowTexts":
        """Return these of the rows, in this order."""
        place = {row: at for at, row in enumerate(rows)}
        return RowTexts(
            [self.raws[row] for row in rows],
            {name: [column[row] for row in rows] for name, column in self.values.items()},
            [(place[row], *rest) for row, *rest in self.faults if row in place],  # type: ignore[misc]
        )


def texts_of(
    records: Sequence[JsonRecord],
    columns: JsonColumns,
    names: Sequence[str] | None = None,
    *,
    reports_unread: bool = True,
) -> RowTexts:
    """Return the values of `columns`, or of `names`, as texts, nulls where there are none.

    A null of a field that is carried forward is an empty text: it was sent. Names that nothing
    reads are among the faults, as warnings, unless told otherwise.
    """
    names = columns.names if names is None else names
    unread = columns.unread if reports_unread else None
    objects, carried, commas = columns.objects, columns.carried, columns.commas
    values: dict[str, list[str | None]] = {name: [] for name in names}
    adders = [(name, values[name].append) for name in names]
    faults: list[tuple[int, str, str, str, str]] = []
    known = unread.read.union(names) if unread is not None else frozenset[str]()
    for row, record in enumerate(records):
        found = _object_of(record)
        if not isinstance(found, dict):
            code, message = found
            faults.append((row, code.value, "", "", message))
            found = {}
        elif unread is not None:
            faults += [
                (row, one.code.value, one.name, one.name, f"{one.name} is {one.message}")
                for one in unread.of_row(found, known)
            ]
        for name, add in adders:
            value = found.get(name)
            if value is None and name not in found:
                value = pick(found, name)
            if value is None and name in carried and is_sent(found, name):
                value = ""
            if value is None or isinstance(value, str):
                if commas and name in commas and isinstance(value, Number):
                    value = value.replace(".", ",")
                add(value)
                continue
            if isinstance(value, (dict, list)) and name not in objects:
                kind = "an object" if isinstance(value, dict) else "an array"
                faults.append((row, ReasonCode.WRONG_TYPE.value, name, name, f"{name} is {kind}"))
                value = None
            add(value_text(value))
    return RowTexts([record.raw for record in records], values, faults)


def chunk_of(
    records: Sequence[JsonRecord],
    columns: JsonColumns,
    names: Sequence[str] | None = None,
    *,
    reports_unread: bool = True,
) -> JsonChunk:
    """Return records as a chunk; see `texts_of`."""
    names = columns.names if names is None else names
    texts = texts_of(records, columns, names, reports_unread=reports_unread)
    lines = np.array([record.line for record in records], dtype=np.int64)
    places = np.array([record.place for record in records], dtype=np.int64)
    return _chunk(texts, names, lines, places)


def joined(parts: Sequence[RowTexts], columns: Sequence[str]) -> JsonChunk:
    """Return the records of several parts as one chunk, numbered through from 1."""
    values: dict[str, list[str | None]] = {name: [] for name in columns}
    faults: list[tuple[int, str, str, str, str]] = []
    raws: list[bytes] = []
    for part in parts:
        first = len(raws)
        for name in columns:
            values[name] += part.values[name]
        faults += [(first + row, *rest) for row, *rest in part.faults]  # type: ignore[misc]
        raws += part.raws
    places = np.arange(1, len(raws) + 1, dtype=np.int64)
    return _chunk(RowTexts(raws, values, faults), columns, places, places)


def _chunk(
    texts: RowTexts, columns: Sequence[str], lines: Positions, places: Positions
) -> JsonChunk:
    return JsonChunk(
        pl.DataFrame(texts.values, schema=dict.fromkeys(columns, pl.String)),
        lines,
        places,
        pl.DataFrame(texts.faults, schema=REASON_SCHEMA, orient="row"),
        texts.raws,
    )


def record_of(raw: bytes, line: int, place: int, decoder: StrictDecoder) -> JsonRecord:
    """Read one row that stands alone; a fault is part of what is returned."""
    try:
        return JsonRecord(raw, line, place, decoder.document(raw))
    except StrictJsonError as error:
        where = "" if error.position is None else f" (at character {error.position + 1})"
        return JsonRecord(raw, line, place, None, f"{error.message}{where}")


def _object_of(record: JsonRecord) -> dict[str, Any] | tuple[ReasonCode, str]:
    parsed = record.parsed
    if parsed is None:
        return ReasonCode.BAD_JSON, f"the row is not JSON: {record.fault}"
    if not isinstance(parsed.value, dict):
        return ReasonCode.BAD_JSON, "the row is not a JSON object"
    if parsed.has_repeated_name:
        return ReasonCode.REPEATED_NAME, EXPLANATIONS[ReasonCode.REPEATED_NAME].meaning
    found: dict[str, Any] = parsed.value
    return found
