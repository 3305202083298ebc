"""Avro's `float`, whose 32 bits Python widens: 0.1 becomes 0.10000000149011612.

The sender meant the shortest number that these bits stand for, as it has it in a text or in
Parquet. So that is what is read, at any depth, and a row has the same content however it was sent.

Once read, a value does not say which kind of a union it was. Where it may have been a `double` or
another record as well, a number is taken for a `float` when it fits into 32 bits and only widening
explains its digits: a `double` is such a number once in half a billion.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

Shorten = Callable[[Any], Any]
_SINGLE_DIGITS: Final = 9
"""Digits that tell every number of 32 bits from the others."""


def shortest_of(schema: Any) -> Shorten | None:
    """Return what replaces the `float`s in a value of a parsed schema, None where it has none."""
    return _Types(schema).shortens(schema, is_sure=True)


class _Types:
    """The types of a schema; those with a name may hold themselves."""

    def __init__(self, schema: Any) -> None:
        self._records: dict[str, Any] = {}
        self._made: dict[tuple[str, bool], _Later] = {}
        self._note_records(schema)

    def shortens(self, kind: Any, *, is_sure: bool) -> Shorten | None:
        """Return what shortens a value; `is_sure`: it can be of no other type than this one."""
        if isinstance(kind, list):
            return self._union(kind, is_sure=is_sure)
        if kind == "float":
            return _shortest if is_sure else _shortest_if_widened
        name = kind if isinstance(kind, str) else kind["type"]
        if name in ("record", "error"):
            name = kind["name"]
        if isinstance(name, str) and name in self._records:
            return self._record(name, is_sure=is_sure)
        if name == "array":
            return _of_items(self.shortens(kind["items"], is_sure=is_sure))
        if name == "map":
            return _of_values(self.shortens(kind["values"], is_sure=is_sure))
        return None if isinstance(kind, str) else self._inner(name, is_sure=is_sure)

    def _inner(self, kind: Any, *, is_sure: bool) -> Shorten | None:
        return None if kind in ("enum", "fixed") else self.shortens(kind, is_sure=is_sure)

    def _record(self, name: str, *, is_sure: bool) -> Shorten:
        made = self._made.get((name, is_sure))
        if made is None:
            made = self._made[name, is_sure] = _Later()
            fields = {
                field["name"]: self.shortens(field["type"], is_sure=is_sure)
                for field in self._records[name]["fields"]
            }
            made.shorten = _of_fields({key: one for key, one in fields.items() if one})
        return made

    def _union(self, kinds: list[Any], *, is_sure: bool) -> Shorten | None:
        is_one_mapping = sum(map(self._reads_as_mapping, kinds)) <= 1
        has_double = "double" in kinds
        found = list[Shorten]()
        for kind in kinds:
            is_clear = not has_double if kind == "float" else is_one_mapping
            if (one := self.shortens(kind, is_sure=is_sure and is_clear)) is not None:
                found.append(one)

        def shorten(value: Any) -> Any:
            for one in found:
                value = one(value)
            return value

        return shorten if found else None

    def _reads_as_mapping(self, kind: Any) -> bool:
        if isinstance(kind, dict):
            return kind["type"] in ("record", "error", "map")
        return kind in self._records

    def _note_records(self, kind: Any) -> None:
        if isinstance(kind, list):
            for one in kind:
                self._note_records(one)
        elif isinstance(kind, dict):
            if kind.get("type") in ("record", "error"):
                self._records[kind["name"]] = kind
                self._note_records([field["type"] for field in kind["fields"]])
            else:
                self._note_records([kind.get(part) for part in ("type", "items", "values")])


class _Later:
    """What shortens a record: known once its fields are, which may hold such a record."""

    def __init__(self) -> None:
        self.shorten: Shorten | None = None

    def __call__(self, value: Any) -> Any:
        return value if self.shorten is None else self.shorten(value)


def _shortest(value: Any) -> Any:
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _shortest_if_widened(value: Any) -> Any:
    if not isinstance(value, float) or float(np.float32(value)) != value:
        return value
    digits = sum(map(str.isdigit, repr(value).partition("e")[0]))
    return _shortest(value) if digits > _SINGLE_DIGITS else value


def _of_fields(fields: dict[str, Shorten]) -> Shorten | None:
    def shorten(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: fields[key](one) if key in fields else one for key, one in value.items()}

    return shorten if fields else None


def _of_items(one: Shorten | None) -> Shorten | None:
    if one is None:
        return None
    return lambda value: list(map(one, value)) if isinstance(value, list) else value


def _of_values(one: Shorten | None) -> Shorten | None:
    if one is None:
        return None
    return lambda value: (
        {key: one(held) for key, held in value.items()} if isinstance(value, dict) else value
    )
