"""Which column of the file feeds which contract field, decided once per file, before any row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import polars as pl

from lakehouse.contracts.characters import folded
from lakehouse.contracts.fields import ContractField, FieldKind
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.source_mapping import SKIP
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.errors import EtaError


class FileRefusedError(EtaError):
    """A whole file cannot be taken; nothing of it is stored.

    `line` is the line of the file the fault stands on (from 1), where there is one; `columns` are
    the columns it is about.
    """

    status = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        code: FileFault,
        message: str,
        *,
        remedy: str,
        line: int | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.line = line
        self.columns = tuple(columns)

    @property
    def details(self) -> Mapping[str, Any]:
        """Where in the file the fault is."""
        return {"line": self.line, "columns": list(self.columns)}


_SHOWN: Final = 20
_LONGEST_SHOWN: Final = 40
"""Columns, and characters of one, that an error names."""


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field's text comes from: a column of the file or a constant, then a value map.

    `null_values`: words of the column for "no value". `asked`: the column as the mapping calls it.
    """

    field: ContractField
    column: str | None
    constant: str | None
    values: dict[str, str]
    null_values: tuple[str, ...] = ()
    asked: str = ""

    @property
    def label(self) -> str:
        """What to call the place in a report: the file's own column where there is one."""
        return self.column or self.field.name

    def text(self) -> pl.Expr:
        """The field's text, after the value map, as a string expression over the file's columns.

        A word is looked up as it stands, then without the white space around it; words for "no
        value" first, which are null then.
        """
        found = self._sent()
        return pl.coalesce(*self._mapped(found), found) if self.values else found

    def is_skipped(self) -> pl.Expr | None:
        """Whether the value map says of the text that its row is left out; None when it never does.

        Of the interaction type alone: its words are few, and `skip` is none of them.
        """
        if self.field.kind is not FieldKind.INTERACTION_TYPE or SKIP not in self.values.values():
            return None
        return (pl.coalesce(*self._mapped(self._sent())) == SKIP).fill_null(value=False)

    def _sent(self) -> pl.Expr:
        if self.column is None:
            return pl.lit(self.constant, dtype=pl.String)
        found = pl.col(self.column)
        if not self.null_values:
            return found
        return pl.when(~found.str.strip_chars().is_in(list(self.null_values))).then(found)

    def _mapped(self, found: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
        stripped = {word.strip(): value for word, value in reversed(self.values.items())}
        stripped |= {word: value for word, value in self.values.items() if word in stripped}
        return _looked_up(found, self.values), _looked_up(found.str.strip_chars(), stripped)


def _looked_up(text: pl.Expr, values: dict[str, str]) -> pl.Expr:
    return text.replace_strict(
        list(values), list(values.values()), default=None, return_dtype=pl.String
    )


def wanted_columns(data_type: DataType, mapping: SourceMapping) -> frozenset[str]:
    """Return the columns of a file that a mapping could read."""
    return frozenset(mapping.columns.get(f.name, f.name) for f in data_type.definition.fields)


def needed_columns(data_type: DataType, mapping: SourceMapping) -> frozenset[str]:
    """Return the columns that a file must have."""
    return frozenset(
        mapping.columns.get(field.name, field.name)
        for field in data_type.definition.fields
        if field.required and field.name not in mapping.constants
    )


def resolve(
    data_type: DataType, mapping: SourceMapping, columns: Sequence[str]
) -> tuple[FieldSource, ...]:
    """Return the source of every field that the file or the mapping provides.

    A constant wins over a column. Columns that feed nothing are ignored. Raises
    `FileRefusedError` naming every required field that has no source, every mapped column that
    the file lacks, and every mapping entry for a field that the contract does not have.
    """
    fields = data_type.definition.fields
    _refuse_unknown_fields(fields, mapping)
    sources: list[FieldSource] = []
    missing: dict[str, str] = {}
    nulls = tuple(word.strip() for word in mapping.null_values)
    found = matched_columns(data_type, mapping, columns)
    for field in fields:
        column = mapping.columns.get(field.name, field.name)
        values = mapping.values.get(field.name, {})
        if field.name in mapping.constants:
            sources.append(FieldSource(field, None, mapping.constants[field.name], values))
        elif column in found:
            sources.append(FieldSource(field, found[column], None, values, nulls, column))
        elif field.required or field.name in mapping.columns:
            missing[field.name] = column
    subjects = data_type.definition.subjects
    if len(subjects) > 1 and not any(source.field.name in subjects for source in sources):
        missing.setdefault(" or ".join(subjects), " or ".join(subjects))
    if missing:
        raise _missing_columns(missing, columns, is_exact=mapping.match_columns == "exact")
    return tuple(sources)


def refuse_file_settings(mapping: SourceMapping) -> None:
    """Raise `FileRefusedError` for a mapping of lines and fields, of which JSON rows have none."""
    names = mapping.file_settings
    if names:
        raise FileRefusedError(
            FileFault.UNKNOWN_MAPPED_FIELD,
            "the source mapping says how lines are cut into fields, which JSON rows have not: "
            f"{', '.join(names)}",
            remedy="give JSON a source mapping without them, and name it (`mapping`)",
        )


def refuse_sheet_settings(mapping: SourceMapping) -> None:
    """Raise `FileRefusedError` for what of a mapping would be passed over in a workbook."""
    unread = {
        "header (a number of lines)": isinstance(mapping.header, int) and mapping.header > 1,
        "names (beside a header)": mapping.header != "none" and bool(mapping.names),
        "skip_last_lines": mapping.skip_last_lines > 0,
    }
    names = [name for name, is_set in unread.items() if is_set]
    if names:
        raise FileRefusedError(
            FileFault.UNKNOWN_MAPPED_FIELD,
            f"the source mapping has settings that a workbook is not read by: {', '.join(names)}",
            remedy="take these rows out of the sheet and name a mapping without the settings, or "
            "save the sheet as CSV",
        )


def matched_columns(
    data_type: DataType, mapping: SourceMapping, columns: Sequence[str]
) -> dict[str, str]:
    """Return the columns of a file by the names that the mapping reads, where the file has them.

    A name is that of a column exactly, or else, unless the mapping says `exact`, but for letter
    case and white or invisible characters: of one column alone, that no other name means.
    """
    present = set(columns)
    wanted = wanted_columns(data_type, mapping)
    found = {name: name for name in wanted if name in present}
    if mapping.match_columns == "exact":
        return found
    free: dict[str, list[str]] = {}
    for column in columns:
        if column not in wanted:
            free.setdefault(folded(column), []).append(column)
    asking: dict[str, list[str]] = {}
    for name in wanted - found.keys():
        asking.setdefault(folded(name), []).append(name)
    for key, names in asking.items():
        if len(names) == 1 and len(alike := free.get(key, [])) == 1:
            found[names[0]] = alike[0]
    return found


def _missing_columns(
    missing: dict[str, str], present: Sequence[str], *, is_exact: bool
) -> FileRefusedError:
    named = [
        column if column == field else f"{column} (for {field})"
        for field, column in missing.items()
    ]
    names = {folded(name): name for name in present}
    near = [
        f"{names[folded(column)]!r} is not {column!r}"
        for column in missing.values()
        if folded(column) in names
    ]
    how = "names are compared exactly" if is_exact else "of names alike none is chosen"
    hint = f"; {how}: {', '.join(near)}" if near else ""
    shown = [repr(name) for name in present if _may_be_shown(name)]
    more = len(present) - len(shown[:_SHOWN])
    has = f"; it has {', '.join(shown[:_SHOWN])}" if shown else ""
    has += f" and {more:,} more" if shown and more else ""
    field = next(iter(missing))
    return FileRefusedError(
        FileFault.MISSING_COLUMNS,
        f"the file lacks these columns: {', '.join(named)}{hint}{has}",
        remedy="add them, or name the file's own columns in a source mapping of the tenant "
        f"(`columns: {{{field.partition(' ')[0]}: NAME}}`), which `eta inspect FILE` proposes",
        columns=list(missing.values()),
    )


def _may_be_shown(name: str) -> bool:
    """Whether it looks like the name of a column; without a header it is a value, maybe an id."""
    words = name.strip()
    is_short = 0 < len(words) <= _LONGEST_SHOWN
    return is_short and not any(char.isdigit() or char == "@" for char in words)


def _refuse_unknown_fields(fields: tuple[ContractField, ...], mapping: SourceMapping) -> None:
    known = {field.name for field in fields}
    named = {*mapping.columns, *mapping.values, *mapping.constants, *mapping.timestamps}
    unknown = sorted(named - known)
    if unknown:
        raise FileRefusedError(
            FileFault.UNKNOWN_MAPPED_FIELD,
            f"the source mapping names fields that this data type lacks: {', '.join(unknown)}",
            remedy=f"use these: {', '.join(field.name for field in fields)}; a mapping is for one "
            "data type, so give this one its own and name it (`mapping`)",
            columns=unknown,
        )
