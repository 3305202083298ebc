"""Which character stands between fields, told from the header."""

import csv
from collections.abc import Set
from dataclasses import dataclass
from io import StringIO
from typing import Final, Literal

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

CANDIDATES: Final = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A delimiter, how sure it is from 0 to 1, and who says so."""

    value: str
    confidence: float
    how: Literal["given", "sep_line", "detected"]


def given_delimiter(value: str) -> Delimiter:
    """Return a delimiter that somebody gave; raises `FileRefusedError` for one of no use."""
    if len(value.encode()) != 1 or value in '"\r\n\0':
        raise FileRefusedError(
            FileFault.BAD_DELIMITER,
            "the delimiter that was given cannot be used",
            remedy="use one ASCII character that is no quote and no line end",
        )
    return Delimiter(value, 1.0, "given")


def detect_delimiter(header: str, wanted: Set[str]) -> Delimiter:
    """Return the candidate that splits the header best; a comma when none does.

    Best is the one that finds most of the `wanted` column names, then most columns. The confidence
    is its share of the names that any candidate finds, a half when none finds one.
    """
    found = {char: _names(header, char) for char in CANDIDATES}
    hits = {char: len(wanted & set(names)) for char, names in found.items()}
    best = max(CANDIDATES, key=lambda char: (hits[char], len(found[char])))
    total = sum(hits.values())
    return Delimiter(best, round(hits[best] / total, 2) if total else 0.5, "detected")


def delimiter_by_count(record: str, columns: int) -> Delimiter:
    """Return the candidate that gives a record this many fields; a comma when none does."""
    fitting = [char for char in CANDIDATES if len(_names(record, char)) == columns]
    best = fitting[0] if fitting else ","
    return Delimiter(best, 1.0 if len(fitting) == 1 else 0.5, "detected")


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(StringIO(header, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return []
