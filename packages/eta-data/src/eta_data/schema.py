"""One Arrow schema for all files of a set, whatever way each file spells its types."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.types as pat

from eta_data.errors import DamagedError


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type without its encoding: no dictionary, no large or view variant.

    Timestamps are microseconds; those with a zone are in UTC, the same moments.
    """
    if pat.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pat.is_large_string(kind) or pat.is_string_view(kind):
        return pa.string()
    if pat.is_large_binary(kind) or pat.is_binary_view(kind):
        return pa.binary()
    if pat.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pat.is_list(kind) or pat.is_large_list(kind) or pat.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type))
    return kind


def plain_schema(schema: pa.Schema, place: str) -> pa.Schema:
    """Return the schema of a file with plain types; refuse two columns of one name."""
    names = list(schema.names)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DamagedError(
            f"{place} has two columns called {', '.join(repeated)}",
            remedy="write the file again with one column of each name",
        )
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def same_schema(first: pa.Schema, other: pa.Schema, place: str, expected: str) -> None:
    """Refuse a file whose columns or plain types differ from those of the first file."""
    if dict(zip(first.names, first.types, strict=True)) == dict(
        zip(other.names, other.types, strict=True)
    ):
        return
    lines = []
    for name in dict.fromkeys([*first.names, *other.names]):
        pair = [s.field(name).type if name in s.names else "missing" for s in (other, first)]
        if pair[0] != pair[1]:
            lines.append(f"{name} is {pair[0]}, there {pair[1]}")
    raise DamagedError(
        f"{place} has other columns than {expected}: {'; '.join(lines)}",
        remedy="the files are of several exports; export the snapshot into a new folder",
    )


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column as its plain type; a value that does not fit is an error of pyarrow."""
    return column if column.type == kind else column.cast(kind)


def refuse_taken(schema: pa.Schema, names: Iterable[str], remedy: str) -> None:
    """Raise when a column that is to be added is there already."""
    if taken := [name for name in names if name in schema.names]:
        raise DamagedError(f"the data has a column {taken[0]} of its own", remedy=remedy)
