"""What is asked of a file whose cells have types, beside the names: what their texts are for.

A number, a time or a truth value becomes the text that the validator reads in its place, so that a
row means the same whatever file it came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lakehouse.contracts.fields import FieldKind
from lakehouse.contracts.json_rows import EITHER
from lakehouse.contracts.mapping import FileRefusedError, wanted_columns
from lakehouse.contracts.reasons import WARNINGS, FileFault, WarningCode
from lakehouse.contracts.strict_json import MAX_BYTES
from lakehouse.contracts.tenant import DataType, SourceMapping

LARGEST_EXACT: Final = 2**53
"""From here on a double does not hold every whole number."""
MAX_CELL_BYTES: Final = MAX_BYTES
_NUMBERS: Final = frozenset({FieldKind.NUMBER, FieldKind.DECIMAL})


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns that may be asked for, by the tenant's names, and what some of them feed.

    `identifiers`: the field that a column names a thing for. `decimal_comma`: how the mapping has
    numbers written.
    """

    wanted: frozenset[str]
    times: frozenset[str]
    numbers: frozenset[str]
    objects: frozenset[str]
    identifiers: Mapping[str, str]
    decimal_comma: bool

    @classmethod
    def of(cls, data_type: DataType, mapping: SourceMapping) -> "TableColumns":
        """Return those of a data type."""
        fields = [
            (name, field)
            for field in data_type.definition.fields
            for name in _names(mapping.columns.get(field.name, field.name))
        ]
        return cls(
            wanted_columns(data_type, mapping),
            frozenset(name for name, field in fields if field.kind is FieldKind.TIMESTAMP),
            frozenset(name for name, field in fields if field.kind in _NUMBERS),
            frozenset(name for name, field in fields if field.kind is FieldKind.JSON_OBJECT),
            {name: field.name for name, field in fields if field.is_identifier},
            mapping.decimal == ",",
        )

    def with_comma(self, column: str) -> bool:
        """Whether numbers of a column are written with a decimal comma."""
        return self.decimal_comma and column in self.numbers


def about_identifier(code: WarningCode, field: str, column: str) -> tuple[str, str, str, str]:
    """Return a warning of a row as `code, field, column, message`."""
    return code.value, field, column, f"{field}: {WARNINGS[code].meaning}"


def cell_too_long(column: str, where: str) -> FileRefusedError:
    """Return what to raise for a value that is longer than a record may be."""
    return FileRefusedError(
        FileFault.RECORD_TOO_LONG,
        f"the value of column {column[:100]!r} in {where} is longer than {MAX_CELL_BYTES:,} bytes",
        remedy="leave such a column out of the file, or shorten the value",
        columns=[column[:100]],
    )


def _names(column: str) -> set[str]:
    return {column, *column.split(EITHER)}
