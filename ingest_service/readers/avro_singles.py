"""Avro's `float`, whose 32 bits Python widens: 0.1 becomes 0.10000000149011612.

The sender meant the shortest number that these bits stand for, as it has it in a text or in
Parquet. So that is what is read, at any depth, and a row has the same content however it was sent.
Where a union does not say which of its kinds a value was (`double` as well, or several records
and maps), it stays as it is.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

Shorten = Callable[[Any], Any]
_PRIMITIVE: Final = frozenset(
    ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
)


def shortest_of(schema: Any) -> Shorten | None:
    """Return what replaces the `float`s in a value of a schema, None where it has none."""
    return _of(schema, {})


def _of(kind: Any, named: dict[str, Shorten | None]) -> Shorten | None:
    if isinstance(kind, list):
        return _union(kind, named)
    if isinstance(kind, str):
        return _shortest if kind == "float" else named.get(kind)
    name = kind["type"]
    if name in ("record", "error"):
        named[kind["name"]] = None  # within itself it is not looked at: readers refuse that
        fields = {field["name"]: _of(field["type"], named) for field in kind["fields"]}
        named[kind["name"]] = _record({key: one for key, one in fields.items() if one})
        return named[kind["name"]]
    if name == "array" or name == "map":
        return _each(_of(kind["items" if name == "array" else "values"], named))
    return None if name in ("enum", "fixed") else _of(name, named)


def _shortest(value: Any) -> Any:
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _union(kinds: list[Any], named: dict[str, Shorten | None]) -> Shorten | None:
    found = [one for one in (_of(kind, named) for kind in kinds) if one is not None]
    if "double" in kinds:
        found = [one for one in found if one is not _shortest]
    if sum(map(_reads_as_mapping, kinds)) > 1:
        found = [one for one in found if one is _shortest]

    def shorten(value: Any) -> Any:
        for one in found:
            value = one(value)
        return value

    return shorten if found else None


def _reads_as_mapping(kind: Any) -> bool:
    """Whether a value may be a `dict`: of a record, a map, or something that is called by name."""
    if isinstance(kind, dict):
        return kind["type"] in ("record", "error", "map")
    return kind not in _PRIMITIVE


def _record(fields: dict[str, Shorten]) -> Shorten | None:
    def shorten(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: fields[key](one) if key in fields else one for key, one in value.items()}

    return shorten if fields else None


def _each(one: Shorten | None) -> Shorten | None:
    def shorten(value: Any) -> Any:
        assert one is not None
        if isinstance(value, dict):
            return {key: one(held) for key, held in value.items()}
        return [one(held) for held in value] if isinstance(value, list) else value

    return shorten if one is not None else None
