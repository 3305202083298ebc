"""Values of identifying fields in payloads, read by `csv`, `json` and `fastavro` alone.

Imports nothing of the project: what it shares with the erasure it could not prove.
"""

import base64
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import fastavro

AVRO_HEAD: Final = 5
_STRING: Final = r'"(?:[^"\\]|\\.)*"'


def identities_in_raw(raw: bytes, layout: dict[str, Any], names: frozenset[str]) -> set[str]:
    """Return what identifies somebody in a rejected record, by the layout stored beside it."""
    kind = layout.get("format", "csv")
    if kind == "csv":
        return _of_csv(raw, layout, names)
    if kind == "avro":
        return _of_avro(raw, layout, names)
    if kind == "message":
        return _of_message(raw, names)
    return identities_in_json(raw.decode("utf-8", errors="replace"), names)


def identities_in_json(text: str, names: frozenset[str]) -> set[str]:
    """Return the values below identifying paths; of damaged JSON those that can still be read."""
    pairs: list[tuple[str, str]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        # a name that comes twice has two values
        pairs.extend((name, str(value)) for name, value in found if isinstance(value, str))
        return dict(found)

    try:
        value = json.loads(text, object_pairs_hook=keep, parse_int=str, parse_float=str)
    except ValueError:
        return set(_of_damaged(text, names))
    found = {value for name, value in pairs if name in names}
    return found | set(at_paths(value, names))


def at_paths(value: Any, names: frozenset[str], path: str = "") -> Iterator[str]:
    """Yield texts and numbers whose path, or its end, is one of the names."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from at_paths(inner, names, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from at_paths(inner, names, path)
    elif value is not None and any(f".{path}".endswith(f".{name}") for name in names):
        yield str(value)


def identities_in_table(text: str, delimiter: str, names: Iterable[str]) -> set[str]:
    """Return the cells below identifying columns of a file with a header (`user_id:token` too)."""
    wanted = {name.casefold() for name in names}
    lines = io.StringIO(text, newline="")
    rows = (
        csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        if delimiter == "\t"
        else csv.reader(lines, delimiter=delimiter)
    )
    header = next(rows, [])
    places = [n for n, name in enumerate(header) if name.split(":")[0].casefold() in wanted]
    return {row[n] for row in rows for n in places if n < len(row)}


def _of_csv(raw: bytes, layout: dict[str, Any], names: frozenset[str]) -> set[str]:
    text = raw.decode(layout.get("encoding", "utf-8"), errors="replace")
    escape = layout.get("escape")
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=layout.get("delimiter", ","), escapechar=escape
    )
    columns = layout.get("columns", ())
    places = [n for n, name in enumerate(columns) if name in names]
    return {row[n] for row in rows for n in places if n < len(row)}


def _of_avro(raw: bytes, layout: dict[str, Any], names: frozenset[str]) -> set[str]:
    schema = fastavro.parse_schema(json.loads(layout["schema_text"]))
    record = fastavro.schemaless_reader(io.BytesIO(raw[AVRO_HEAD:]), schema, None)
    return set(at_paths(record, names))


def _of_message(raw: bytes, names: frozenset[str]) -> set[str]:
    parts = json.loads(raw)
    found: set[str] = set()
    for part in (parts.get("key"), parts.get("value")):
        if part is not None:
            text = base64.b64decode(part).decode("utf-8", errors="replace")
            found |= {text} | identities_in_json(text, names)
    return found


def _of_damaged(text: str, names: frozenset[str]) -> Iterator[str]:
    for name, value in re.findall(rf"({_STRING})\s*:\s*({_STRING}|-?[0-9][0-9.eE+-]*)", text):
        if json.loads(name, strict=False) in names:
            is_text = value.startswith('"')
            yield json.loads(value, strict=False) if is_text else value
