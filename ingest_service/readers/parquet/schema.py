"""Which columns of a Parquet file the names of a mapping mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingest_service.readers.parquet.texts import is_nested
from ingest_service.readers.table.columns import TableColumns
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.json_rows import CONTEXT, EITHER
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

MOST_LEAVES: Final = 20_000
MOST_READ: Final = 1_000
"""Of a file with more columns only those that are asked for are read."""
_INT96: Final = "INT96"


@dataclass(frozen=True, slots=True)
class ParquetSchema:
    """The columns of a file.

    `paths`: where each name that can be asked for is found, in order of preference, each a path
    through records. `once`: the names of the top columns, `kept`: those that are read.
    `moments`: those of a type that has no zone and means UTC all the same.
    """

    arrow: pa.Schema
    paths: dict[str, tuple[tuple[str, ...], ...]]
    once: tuple[str, ...]
    kept: tuple[str, ...]
    moments: frozenset[str]

    @classmethod
    def of(
        cls, metadata: pq.FileMetaData, arrow: pa.Schema, asked: TableColumns
    ) -> "ParquetSchema":
        """Look the names up; raises `FileRefusedError` for a name that is read and comes twice."""
        if metadata.num_columns > MOST_LEAVES:
            raise FileRefusedError(
                FileFault.TOO_MANY_COLUMNS,
                f"the file has {metadata.num_columns:,} columns, more than {MOST_LEAVES:,}",
                remedy="leave out the columns that the source mapping does not read",
            )
        names = list(arrow.names)
        once = [name for name in dict.fromkeys(names) if names.count(name) == 1]
        found = {name: _paths(name, arrow, set(once)) for name in sorted(asked.wanted)}
        paths = {name: ways for name, ways in found.items() if ways}
        _refuse_twice(names, asked)
        plain = [name for name in once if not is_nested(arrow.field(name).type)]
        tops = {way[0] for ways in paths.values() for way in ways}
        if len(plain) > MOST_READ:
            plain = []
        kept = tuple(name for name in once if name in tops or name in set(plain))
        paths |= {(name): ((name,),) for name in kept if name not in paths}
        columns = (metadata.schema.column(at) for at in range(metadata.num_columns))
        moments = frozenset(one.path for one in columns if one.physical_type == _INT96)
        return cls(arrow, paths, tuple(once), kept, moments)

    @property
    def unread(self) -> tuple[str, ...]:
        """The nested columns that nothing reads, in the file's order."""
        nested = [name for name in self.once if is_nested(self.arrow.field(name).type)]
        return tuple(name for name in nested if name not in self.kept)[:MOST_READ]

    def type_of(self, path: tuple[str, ...]) -> pa.DataType:
        """Return the type at a path."""
        kind = self.arrow.field(path[0]).type
        for name in path[1:]:
            kind = kind.field(name).type
        return kind

    def types(self, name: str) -> Iterator[pa.DataType]:
        """Yield the types that a name may have a value of."""
        for path in self.paths[name]:
            yield self.type_of(path)

    def below(self, name: str) -> list[str]:
        """Return the paths to single values within a column, a few of them."""
        return [".".join(path) for path in _leaves(self.arrow.field(name))][:20]


def nested_column(schema: ParquetSchema, name: str) -> FileRefusedError:
    """Return what to raise for a column of records or lists that one value is asked of."""
    below = schema.below(schema.paths[name][0][0])
    paths = f": {', '.join(below)}" if below else ""
    return FileRefusedError(
        FileFault.NESTED_COLUMN,
        f"the column {name[:100]!r} holds lists or records, not one value per row",
        remedy=f"name the path to a value in the source mapping{paths}"
        if below
        else "write one value per row, or leave the column out of the source mapping",
        columns=[name[:100]],
    )


def _paths(name: str, arrow: pa.Schema, once: set[str]) -> tuple[tuple[str, ...], ...]:
    """Return where a name is found, as it would be in a JSON object of the row."""
    if name in once:
        return ((name,),)
    if name in CONTEXT_FIELDS:
        return _through((CONTEXT, name), arrow, once)
    if EITHER in name:
        ways = (_paths(part, arrow, once) for part in name.split(EITHER))
        return tuple(path for way in ways for path in way)
    return _through(tuple(name.split(".")), arrow, once)


def _through(
    path: tuple[str, ...], arrow: pa.Schema, once: set[str]
) -> tuple[tuple[str, ...], ...]:
    if path[0] not in once:
        return ()
    kind = arrow.field(path[0]).type
    for name in path[1:]:
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return ()
        kind = kind.field(name).type
    return (path,)


def _leaves(field: pa.Field) -> Iterator[tuple[str, ...]]:
    if not pa.types.is_struct(field.type):
        if not is_nested(field.type):
            yield (field.name,)
        return
    for at in range(field.type.num_fields):
        for rest in _leaves(field.type.field(at)):
            yield (field.name, *rest)


def _refuse_twice(names: list[str], asked: TableColumns) -> None:
    twice = sorted(name for name in asked.wanted if names.count(name) > 1)
    if twice:
        shown = ", ".join(map(repr, twice))
        raise FileRefusedError(
            FileFault.DUPLICATE_HEADER,
            f"the file has a column more than once: {shown}",
            remedy="give every column its own name",
            columns=twice,
        )
