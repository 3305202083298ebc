"""The schema of a file's records, and whether it is one that a few bytes could abuse."""

import json
from collections.abc import Iterator
from typing import Any, Final

import fastavro

from ingest_service.readers.avro_file.container import damaged_avro
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

_MOST_DEPTH: Final = 32
_MOST_FIELDS: Final = 20_000


def record_schema(schema: Any) -> Any:
    """Return the schema of the file's records, parsed; raises `FileRefusedError`."""
    try:
        parsed = fastavro.parse_schema(schema)
    except Exception:  # noqa: BLE001 - a schema that is none fails in every way
        raise damaged_avro("its schema is none of Avro's") from None
    if not isinstance(parsed, dict) or parsed.get("type") not in ("record", "error"):
        raise FileRefusedError(
            FileFault.NESTED_COLUMN,
            "the values of the Avro file are no records",
            remedy="write one record per row",
        )
    named = {one["name"]: one for one in _parts(parsed, 0) if "name" in one and "type" in one}
    if len(named) > _MOST_FIELDS:
        raise damaged_avro(f"its schema names more than {_MOST_FIELDS:,} things")
    for part in _parts(parsed, 0):
        if part.get("type") in ("record", "error"):
            _refuse_endless(part, named, ())
        for items in ("items", "values"):
            if items in part and not _takes_room(part[items], named, ()):
                raise damaged_avro("its schema has lists of values that take no room")
    return parsed


def has_bytes(schema: Any) -> bool:
    """Whether a value may be bytes, which need not be a text."""
    text = json.dumps(schema)
    return '"bytes"' in text or '"fixed"' in text


def _parts(schema: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every part of a schema that is an object."""
    if depth > _MOST_DEPTH:
        raise damaged_avro("its schema is nested too deeply")
    if isinstance(schema, list):
        for one in schema:
            yield from _parts(one, depth + 1)
    elif isinstance(schema, dict):
        yield schema
        for below in ("type", "items", "values", "fields"):
            yield from _parts(schema.get(below), depth + 1)


def _refuse_endless(schema: Any, named: dict[str, Any], within: tuple[str, ...]) -> None:
    """Refuse a record that always holds itself: reading it would not end."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if not isinstance(schema, dict) or schema.get("type") not in ("record", "error"):
        if isinstance(schema, dict) and isinstance(schema.get("type"), dict):
            _refuse_endless(schema["type"], named, within)
        return
    name = schema.get("name", "")
    if name in within or len(within) > _MOST_DEPTH:
        raise damaged_avro("its schema has a record that holds itself")
    for field in schema.get("fields", ()):
        _refuse_endless(field.get("type"), named, (*within, name))


def _takes_room(schema: Any, named: dict[str, Any], within: tuple[str, ...]) -> bool:
    """Whether a value takes a byte at least."""
    if isinstance(schema, str):
        if schema in within:
            return False
        if schema not in named:
            return schema != "null"
        return _takes_room(named[schema], named, (*within, schema))
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "fixed":
            return bool(schema.get("size"))
        if kind in ("record", "error"):
            inner = (*within, schema.get("name", ""))
            fields = schema.get("fields", ())
            return any(_takes_room(field.get("type"), named, inner) for field in fields)
        return _takes_room(kind, named, within)
    return True  # a union says which of its types a value has
