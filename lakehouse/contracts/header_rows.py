"""Rows of a table that name its columns once more: files put together with their headers.

A cell is a name as a person reads it: letter case, white space, quotes and marks between words do
not count (`Item_ID`, `'item id'`). Where such a row has each name under its own column, the row
alone is wrong. Where a name stands under another column the rows behind it would be read as
something else, and the file cannot be taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.contracts.fields import FieldKind
from lakehouse.contracts.mapping import FieldSource, FileRefusedError
from lakehouse.contracts.reasons import FileFault

_BETWEEN_WORDS: Final = r"[^\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class HeaderRows:
    """Rows of a batch that name columns.

    `repeated`: each name under its own column. `other`: the first that has one elsewhere.
    """

    repeated: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt32))
    other: int | None = None


class HeaderNames:
    """Looks for rows that name the columns of a file, of which some are read.

    Such a row names columns in half of its cells, at least two, and in those of all required
    identifiers. Where a time is required it is a wrong row, too, so right rows are not looked at.
    """

    def __init__(self, header: Sequence[str], sources: Sequence[FieldSource]) -> None:
        read = [(s.column, s.field) for s in sources if s.column is not None]
        required = [(column, field) for column, field in read if field.required]
        self._header = header
        self._columns = list(dict.fromkeys(column for column, _ in read))
        self._keys = [column for column, field in required if field.is_identifier]
        self._is_never_right = any(field.kind is FieldKind.TIMESTAMP for _, field in required)

    @cached_property
    def _own(self) -> list[str]:
        return _named(pl.Series(self._columns, dtype=pl.String)).to_list()

    @cached_property
    def _names(self) -> pl.Series:
        """Made when a batch is looked at: a request of good events needs none."""
        names = _named(pl.Series([*self._header, *self._columns], dtype=pl.String))
        return names.filter(names != "").unique()

    def among(self, frame: pl.DataFrame, wrong: pl.Series) -> HeaderRows:
        """Return those of a batch; `wrong`: the rows that are, in order."""
        if len(self._columns) < 2 or not self._keys or not frame.height:
            return HeaderRows()
        if self._is_never_right and not len(wrong):
            return HeaderRows()
        cells = frame.select(pl.row_index("row").cast(pl.UInt32), *self._columns)
        if self._is_never_right:
            cells = cells[wrong]
        for key in self._keys:
            cells = cells.filter(_named(cells[key]).is_in(self._names.implode()))
        return self._judged(cells) if cells.height else HeaderRows()

    def _judged(self, cells: pl.DataFrame) -> HeaderRows:
        repeated = list[int]()
        known = set(self._names)
        named = cells.with_columns(_named(cells[name]).alias(name) for name in self._columns)
        for row, *texts in named.iter_rows():
            found = [
                (text, own) for text, own in zip(texts, self._own, strict=True) if text in known
            ]
            if len(found) < 2 or 2 * len(found) < sum(bool(text) for text in texts):
                continue
            if any(text != own for text, own in found):
                return HeaderRows(pl.Series(repeated, dtype=pl.UInt32), row)
            repeated.append(row)
        return HeaderRows(pl.Series(repeated, dtype=pl.UInt32))


def second_header(where: str, line: int) -> FileRefusedError:
    """Return what to raise for a row that stands `where`, on a line of the file or sheet."""
    return FileRefusedError(
        FileFault.SECOND_HEADER,
        f"{where} names the columns again, in another order",
        remedy="send the rows behind it as a file of their own, with that header",
        line=line,
    )


def _named(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase().str.replace_all(_BETWEEN_WORDS, "")
