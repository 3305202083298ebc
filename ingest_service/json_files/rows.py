"""JSON values as rows of texts, which is what the validator reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from ingest_service.csv_files.structure import Positions
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.fields import CONTEXT_FIELDS, FIELDS, FieldKind
from lakehouse.contracts.mapping import wanted_columns
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.strict_json import Number, Parsed, dumps
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.contracts.validator import REASON_SCHEMA

CONTEXT: Final = "context"


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
    """The names that may be asked for, and those whose values may be objects."""

    names: tuple[str, ...]
    objects: frozenset[str]

    @classmethod
    def of(cls, data_type: DataType, mapping: SourceMapping) -> "JsonColumns":
        """Return those of a data type, by the tenant's names."""
        objects = {
            mapping.columns.get(found.name, found.name)
            for found in FIELDS[data_type]
            if found.kind is FieldKind.JSON_OBJECT
        }
        return cls(tuple(sorted(wanted_columns(data_type, mapping))), frozenset(objects))


@dataclass(frozen=True, slots=True)
class JsonChunk:
    """Rows of a file, in order; see `RowChunk`."""

    frame: pl.DataFrame
    lines: Positions
    places: Positions
    faults: pl.DataFrame
    records: Sequence[JsonRecord] = field(repr=False)

    @property
    def traits(self) -> Traits:
        """Nothing is known of all texts at once."""
        return Traits()

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The rows as the file has them."""
        return [self.records[row].raw for row in rows]


def chunk_of(
    records: Sequence[JsonRecord], columns: Sequence[str], objects: frozenset[str]
) -> JsonChunk:
    """Return records as a chunk: each column's values as texts, nulls where there are none."""
    values: dict[str, list[str | None]] = {name: [] for name in columns}
    faults: list[tuple[int, str, str, str, str]] = []
    for row, record in enumerate(records):
        found = _object_of(record)
        if not isinstance(found, dict):
            code, message = found
            faults.append((row, code.value, "", "", message))
            found = {}
        for name, texts in values.items():
            text, fault = _text(_pick(found, name), may_be_object=name in objects)
            texts.append(text)
            if fault:
                faults.append((row, ReasonCode.WRONG_TYPE.value, name, name, f"{name} is {fault}"))
    return JsonChunk(
        pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String)),
        np.array([record.line for record in records], dtype=np.int64),
        np.array([record.place for record in records], dtype=np.int64),
        pl.DataFrame(faults, schema=REASON_SCHEMA, orient="row"),
        records,
    )


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


def _pick(row: dict[str, Any], name: str) -> Any:
    """Return the value under a name, under a path with dots, or within `context`."""
    if name in row:
        return row[name]
    if name in CONTEXT_FIELDS:
        context = row.get(CONTEXT)
        return context.get(name) if isinstance(context, dict) else None
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _text(value: Any, *, may_be_object: bool) -> tuple[str | None, str]:
    """Return the text of a value, or what kind of value it is that has none."""
    if value is None or type(value) is str:
        return value, ""
    if isinstance(value, Number):
        return str(value), ""
    if isinstance(value, bool):
        return ("true" if value else "false"), ""
    if may_be_object:
        return dumps(value), ""
    return None, "an object" if isinstance(value, dict) else "an array"
