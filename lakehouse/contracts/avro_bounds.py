"""Which Avro schemas messages and files may have: those whose values cost what their bytes do.

A schema comes from a sender, and fastavro reads what it says in C, where nothing can
interrupt it: an array of nulls takes no byte per item, so ten bytes are an hour's work; a type that
holds itself is as deep as its message says, and the stack ends before the message does, and the
process with it.
"""

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

MOST_WITHOUT_BYTES: Final = 32
"""Most values (nulls, records) in one schema that take no byte: what a single byte can cost."""
MOST_DEPTH: Final = 64
"""Deepest that types may stand in each other."""

ReadRecord = Callable[[BinaryIO, Any, Any], Any]
"""fastavro's `schemaless_reader`: stream, writer's schema, reader's or None."""

_NAMED: Final = "__named_schemas"


class UnboundedSchemaError(ValueError):
    """Values of a schema can take more time or depth than their bytes say, and why."""


def bounded_reader(schema: Any) -> ReadRecord:
    """Return what reads values of a schema that `fastavro.parse_schema` has returned.

    It raises for whatever is no such value, at any depth: where a type may hold itself it is
    fastavro's reader in Python, which ends with `RecursionError` where the one in C ends the
    process. Raises `UnboundedSchemaError` for a schema that nothing may be written with.
    """
    import fastavro  # loaded by who has such rows alone

    named = schema.get(_NAMED, {}) if isinstance(schema, Mapping) else {}
    measure = _Measure(named)
    try:
        measure.of(schema, 0, frozenset())
    except RecursionError:
        raise UnboundedSchemaError("its types stand too deep in each other") from None
    if not measure.may_hold_itself:
        read: ReadRecord = fastavro.schemaless_reader
        return read
    from fastavro import _read_py

    slow: ReadRecord = _read_py.schemaless_reader
    return slow


class _Measure:
    """Counts values that take no byte; a type that has a name is looked at once."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, tuple[int, bool]] = {}
        self._open: set[str] = set()
        self.may_hold_itself = False

    def of(self, schema: Any, depth: int, always: frozenset[str]) -> tuple[int, bool]:
        """Return how many values of a type take no byte, and whether the type takes any.

        `always` are the records that hold this one whatever their bytes are.
        """
        if depth > MOST_DEPTH:
            raise UnboundedSchemaError("its types stand too deep in each other")
        if isinstance(schema, list):  # the branch's number takes a byte
            for branch in schema:
                self.of(branch, depth + 1, frozenset())
            return 0, True
        if isinstance(schema, str):
            if schema in self._named or schema in self._known or schema in self._open:
                return self._of_name(schema, self._named.get(schema), depth, always)
            return (1, False) if schema == "null" else (0, True)
        kind = schema["type"]
        if kind in ("record", "error", "fixed", "enum"):
            return self._of_name(schema["name"], schema, depth, always)
        if kind in ("array", "map"):
            items = schema["items" if kind == "array" else "values"]
            if not self.of(items, depth + 1, frozenset())[1]:
                raise UnboundedSchemaError("it has lists of values that take no bytes")
            return 0, True  # how many follow, or that none do
        return self.of(kind, depth + 1, always)

    def _of_name(
        self, name: str, schema: Any, depth: int, always: frozenset[str]
    ) -> tuple[int, bool]:
        if name in always:
            raise UnboundedSchemaError("it has a record that holds itself without an end")
        if name in self._open:
            self.may_hold_itself = True
            return 0, True  # whatever ends it takes a byte
        if name not in self._known:
            self._open.add(name)
            self._known[name] = self._of_definition(name, schema, depth, always)
            self._open.remove(name)
        return self._known[name]

    def _of_definition(
        self, name: str, schema: Any, depth: int, always: frozenset[str]
    ) -> tuple[int, bool]:
        if schema["type"] == "enum":
            return 0, True
        if schema["type"] == "fixed":
            return (0, True) if schema["size"] else (1, False)
        inner = always | {name}
        fields = [self.of(field["type"], depth + 1, inner) for field in schema["fields"]]
        count = 1 + sum(found for found, _ in fields)
        if count > MOST_WITHOUT_BYTES:
            raise UnboundedSchemaError(
                f"more than {MOST_WITHOUT_BYTES} of its values take no bytes"
            )
        return count, any(takes for _, takes in fields)
