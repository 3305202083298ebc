"""Rows of a table that name its columns once more: files put together with their headers.

A cell is a name as a person reads it: letter case, white space, quotes and marks between words do
not count (`Item_ID`, `'item id'`). Names are those of the file, of its mapping and of the contract,
and the spellings that many files have (`sku`, `Kunde`).

A header names what its rows are about: a user, an item, a session or an event. So a row is one when
half of its cells are names, no two alike, and such an identifier is among them; or when a column of
identifiers holds the contract's own name of one (`item_id`). A row with a right time, type, price
or other typed value is none, whatever else it holds.

Where such a row has each name under its own column, the row alone is wrong. Where a column of texts
has another name over it, the rows behind it would be read as something else, and the file cannot be
taken.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.contracts.column_words import (
    ColumnWords,
    Sure,
    Word,
    common_names,
    contract_identifiers,
    folded_name,
)
from lakehouse.contracts.fields import ContractField, FieldKind
from lakehouse.contracts.mapping import FieldSource, FileRefusedError
from lakehouse.contracts.reasons import FILE_FAULTS, FileFault
from lakehouse.contracts.row_issues import REASON_SCHEMA

_BETWEEN_WORDS: Final = r"[^\p{L}\p{N}]+"
_TEXTS: Final = frozenset({FieldKind.TEXT, FieldKind.LABEL})
_FEW: Final = 100
"""Rows up to which Python is faster than polars."""
_STEM: Final = 3
"""Letters that a name begins with, in one piece however it is written."""
_LONGEST_IDENTIFIER: Final = 24
"""Bytes of the contract's name of an identifier, however it is written."""
_NO_ROWS: Final = pl.Series([], dtype=pl.UInt32)


@dataclass(frozen=True, slots=True)
class HeaderRows:
    """Rows of a batch that name columns, in their order.

    `repeated`: each name under its own column. `other`: some under another. `named`: they name
    columns and are rows, by a value that no header has.
    """

    repeated: pl.Series = field(default_factory=lambda: _NO_ROWS)
    other: pl.Series = field(default_factory=lambda: _NO_ROWS)
    named: pl.Series = field(default_factory=lambda: _NO_ROWS)

    @property
    def second(self) -> int | None:
        """The first of the `other`."""
        return int(self.other[0]) if len(self.other) else None


class HeaderNames:
    """Looks for rows that name the columns of a file, of which some are read.

    `header`: the columns. `titles`: lines of the file with other names for the same columns.
    Making one costs next to nothing: a request of good events needs no names.
    """

    def __init__(
        self,
        header: Sequence[str],
        sources: Sequence[FieldSource],
        fields: Sequence[ContractField],
        titles: Sequence[Sequence[str]] = (),
    ) -> None:
        self._header = header
        self._titles = titles
        self._fields = fields
        self._sources = [source for source in sources if source.column is not None]
        self._identifiers = list(
            dict.fromkeys(source.label for source in self._sources if source.field.is_identifier)
        )
        self._is_never_right = any(
            source.field.kind is FieldKind.TIMESTAMP and source.field.required and not source.values
            for source in self._sources
        )

    @cached_property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys(source.label for source in self._sources))

    @cached_property
    def _typed(self) -> frozenset[str]:
        return frozenset(s.label for s in self._sources if s.field.kind not in _TEXTS)

    @cached_property
    def _words(self) -> ColumnWords:
        fed: dict[str, set[str]] = {}
        for source in self._sources:
            fed.setdefault(source.label, set()).add(source.field.name)
        names = [(name, name) for name in (*self._header, *self._columns)]
        names += [(source.asked, source.label) for source in self._sources if source.asked]
        for title in self._titles:
            names += zip(title, self._header, strict=False)
        feeds = {column: frozenset(fields) for column, fields in fed.items()}
        return ColumnWords.of(names, feeds, self._fields)

    @cached_property
    def _folds(self) -> frozenset[str]:
        """The table's own names, as `folded_name` has them."""
        titles = (name for title in self._titles for name in title)
        return frozenset(map(folded_name, (*self._header, *self._columns, *titles))) - {""}

    def among(
        self, frame: pl.DataFrame, reasons: pl.DataFrame, skipped: pl.Series | None = None
    ) -> HeaderRows:
        """Return those of a batch; `reasons`: what is wrong with its rows.

        Of the `skipped`, which the mapping leaves out, one is another header when all of its cells
        are names.
        """
        if self._is_never_right and not reasons.height:
            return HeaderRows()
        rows = reasons["row"].unique(maintain_order=True) if self._is_never_right else None
        return self._judged(frame, rows, reasons, skipped)

    def among_unread(self, frame: pl.DataFrame) -> HeaderRows:
        """Return those of records that are no rows, of which no value was looked at.

        A user may be called as a column is, so one name alone says nothing.
        """
        return self._judged(frame, None, REASON_SCHEMA.to_frame(), None, least=2)

    def _judged(
        self,
        frame: pl.DataFrame,
        rows: pl.Series | None,
        reasons: pl.DataFrame,
        skipped: pl.Series | None,
        least: int = 1,
    ) -> HeaderRows:
        """`rows`: those that may be headers, None for all; `least`: names that one has."""
        if not self._identifiers or not frame.height:
            return HeaderRows()
        cells = frame.select(pl.row_index("row").cast(pl.UInt32), *self._columns)
        cells = cells if rows is None else cells[rows]
        cells = cells.filter(self._may_be_names(cells))
        if cells.height > _FEW:  # as where all users are called `visitor`
            cells = cells.filter(self._have_names(cells))
        if not cells.height:
            return HeaderRows()
        left_out = set[int]() if skipped is None else set(skipped.to_list())
        return self._divided(cells, reasons, left_out, least)

    def _may_be_names(self, cells: pl.DataFrame) -> pl.Series:
        """True where an identifier may be a name, or another text the contract's name of one."""
        found = np.zeros(cells.height, dtype=np.bool_)
        for column in self._columns:
            if column in self._identifiers:
                found |= self._are_names(cells[column])
            elif column not in self._typed:
                found |= _name_identifiers(cells[column])
        return pl.Series(found)

    def _have_names(self, cells: pl.DataFrame) -> pl.Series:
        """True where two cells may be names, or an identifier is the contract's name of one."""
        count = np.zeros(cells.height, dtype=np.int64)
        for column in self._columns:
            count += self._are_names(cells[column])
        found = count >= min(2, len(self._columns))
        for column in self._identifiers:
            found |= _name_identifiers(cells[column])
        return pl.Series(found)

    def _are_names(self, texts: pl.Series) -> npt.NDArray[np.bool_]:
        if len(texts) <= _FEW:
            folded = [folded_name(text or "") for text in texts]
            common = common_names()
            is_name = [one in common or one in self._folds or one[-2:] == "id" for one in folded]
            return np.array(is_name, dtype=np.bool_)
        found = np.zeros(len(texts), dtype=np.bool_)
        own = pl.Series(sorted(self._folds), dtype=pl.String)
        rows, texts = _with_any(texts, (*_stems(), *(fold[:_STEM] for fold in self._folds)))
        folds = _folded(texts)
        known = folds.is_in(_common_series().implode()) | folds.is_in(own.implode())
        found[rows.filter(known | folds.str.ends_with("id")).to_numpy()] = True
        return found

    def _divided(
        self, cells: pl.DataFrame, reasons: pl.DataFrame, skipped: Set[int], least: int
    ) -> HeaderRows:
        wrong = reasons.filter(pl.col("row").is_in(cells["row"].implode()))
        is_wrong = set(wrong.select("row", "column").iter_rows())
        rows: dict[str, list[int]] = {"repeated": [], "other": [], "named": []}
        for row, *texts in cells.iter_rows():
            said = [
                (column, self._words.look_up(text, column))
                for column, text in zip(self._columns, texts, strict=True)
                if text is not None and text.strip()
            ]
            if sum(bool(word.sure) for _, word in said) < least or not self._names_columns(said):
                continue
            typed = [(column, word) for column, word in said if column in self._typed]
            right = [one for one in typed if not one[1].sure and (row, one[0]) not in is_wrong]
            if right and not any(word.sure for _, word in typed):
                rows["named"].append(row)
            elif all(self._is_in_place(column, word) for column, word in said):
                rows["repeated"].append(row)
            elif row not in skipped or all(word.sure for _, word in said):
                rows["other"].append(row)
        return HeaderRows(**{name: pl.Series(at, dtype=pl.UInt32) for name, at in rows.items()})

    def _names_columns(self, said: Sequence[tuple[str, Word]]) -> bool:
        """Whether cells, with their columns, are those of a header but for typed values."""
        words = [word for _, word in said]
        if len(words) < min(2, len(self._columns)):
            return False
        if all(word.is_file for word in words):
            return any(column in self._identifiers for column, _ in said)
        of_identifiers = [word for column, word in said if column in self._identifiers]
        if len(self._columns) == 1:
            return any(w.is_identifier and w.sure > Sure.PERHAPS for w in of_identifiers)
        if any(word.is_contract for word in of_identifiers):
            return True
        named = [word for word in words if word.sure]
        if len(named) < 2 or len({word.key for word in words}) < len(words):
            return False
        if any(word.is_contract for word in named):
            return 2 * len(named) >= len(words)
        if not any(word.is_identifier for word in named):
            return False
        if any(word.is_identifier or word.sure > Sure.PERHAPS for word in of_identifiers):
            return 2 * len(named) >= len(words)
        return len(named) == len(words)

    def _is_in_place(self, column: str, word: Word) -> bool:
        """Whether rows under this name are read rightly, or told: typed values are looked at."""
        if column in self._typed and word.sure <= Sure.PERHAPS:
            return True
        return word.is_own and word.sure > Sure.PERHAPS


def second_header(where: str, line: int) -> FileRefusedError:
    """Return what to raise for a row that stands `where`, on a line of the file or sheet."""
    return FileRefusedError(
        FileFault.SECOND_HEADER,
        f"{where} names the columns again, in another order or other ones",
        remedy=FILE_FAULTS[FileFault.SECOND_HEADER].remedy,
        line=line,
    )


def _name_identifiers(texts: pl.Series) -> npt.NDArray[np.bool_]:
    """True for texts that are the contract's name of an identifier; all of them end in `id`."""
    contract = contract_identifiers()
    if len(texts) <= _FEW:
        is_name = [
            one is not None and len(one) <= _LONGEST_IDENTIFIER and folded_name(one) in contract
            for one in texts
        ]
        return np.array(is_name, dtype=np.bool_)
    found = np.zeros(len(texts), dtype=np.bool_)
    rows = (texts.str.len_bytes() <= _LONGEST_IDENTIFIER).arg_true()
    at, short = _with_any(texts.gather(rows), ("id",))
    names = pl.Series(sorted(contract), dtype=pl.String)
    found[rows.gather(at).filter(_folded(short).is_in(names.implode())).to_numpy()] = True
    return found


def _with_any(texts: pl.Series, stems: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """Return the rows of texts that have one of these in any letter case, and the texts; all that
    are some where one is beyond ASCII, which is compared without its accents.
    """
    is_ascii = texts.str.len_bytes().sum() == texts.str.len_chars().sum()
    if is_ascii and all(map(str.isascii, stems)):
        has = texts.str.contains_any(list(stems), ascii_case_insensitive=True)
    else:
        has = texts.is_not_null()
    return has.arg_true(), texts.filter(has)


def _folded(texts: pl.Series) -> pl.Series:
    """Return what `folded_name` returns."""
    lower = texts.str.to_lowercase()
    if lower.str.len_bytes().sum() != lower.str.len_chars().sum():
        lower = lower.str.replace_all("ß", "ss", literal=True).str.normalize("NFKD")
    return lower.str.replace_all(_BETWEEN_WORDS, "")


@cache
def _stems() -> tuple[str, ...]:
    return tuple({"id", *(name[:_STEM] for name in common_names())})


@cache
def _common_series() -> pl.Series:
    return pl.Series(sorted(common_names()), dtype=pl.String)
