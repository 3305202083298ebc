"""What stands between fields, told from the header."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal

from lakehouse.contracts.characters import folded
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

CANDIDATES: Final = (",", ";", "\t", "|")
LONG_CANDIDATES: Final = ("::", "||", "|~|", "~|~", "^|^", "|;|")
RARE_CANDIDATES: Final = ("\x01", "^", "~", "¦", "§", " ")
"""Looked for where no other splits a file into records of one length."""
SPACED: Final = (",", ";")
"""Those that may have a space behind them in all of a file, which then belongs to them."""
LONGEST: Final = 8


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A delimiter, how sure it is from 0 to 1, and who says so."""

    value: str
    confidence: float
    how: Literal["given", "sep_line", "detected"]


def given_delimiter(value: str) -> Delimiter:
    """Return a delimiter that somebody gave; raises `FileRefusedError` for one of no use."""
    if not 1 <= len(value) <= LONGEST or set(value) & set('"\r\n\0\x1f'):
        raise FileRefusedError(
            FileFault.BAD_DELIMITER,
            "the delimiter that was given cannot be used",
            remedy=f"use 1 to {LONGEST} characters that are no quote, line end or 0x1F",
        )
    return Delimiter(value, 1.0, "given")


def name_key(name: str) -> str:
    """Return what names are compared by while the header is looked for."""
    return folded(name)


def hits(cells: Sequence[str], wanted: Set[str]) -> int:
    """How many of the `wanted` names, keys all, are among these."""
    return len(wanted & {name_key(cell) for cell in cells})


def detect_delimiter(headers: Mapping[str, Sequence[str]], wanted: Set[str]) -> Delimiter:
    """Return the candidate that splits the header best; the first when none does.

    `headers`: the cells by candidate. Best is the one that finds most of the `wanted` names, then
    most names at all, then fewest cells without a name. The confidence is its share of the names
    that any candidate finds, a half when none finds one.
    """
    keys = {name_key(name) for name in wanted}
    found = {value: hits(cells, keys) for value, cells in headers.items()}

    def rank(value: str) -> tuple[int, int, int]:
        cells = headers[value]
        return found[value], sum(bool(cell.strip()) for cell in cells), -len(cells)

    best = max(headers, key=rank)
    alike = [value for value in headers if value in best or best in value]
    total = sum(found.values()) - sum(found[value] for value in alike) + found[best]
    return Delimiter(best, round(found[best] / total, 2) if total else 0.5, "detected")


def delimiter_by_count(records: Mapping[str, Sequence[str]], columns: int) -> Delimiter:
    """Return the candidate that gives a record this many fields; the first when none does."""
    fitting = [value for value, cells in records.items() if len(cells) == columns]
    best = fitting[0] if fitting else next(iter(records))
    return Delimiter(best, 1.0 if len(fitting) == 1 else 0.5, "detected")
