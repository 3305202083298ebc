"""What a column of a file holds: its type, by its values, and samples of them."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import polars as pl

ColumnType = Literal["empty", "integer", "number", "time", "boolean", "json", "text"]

SAMPLES: Final = 5
SAMPLE_CHARACTERS: Final = 80
_LOOKED_AT: Final = 5_000
_WORDS: Final = 200
"""A column of more different values holds no types of events."""
_INTEGER: Final = re.compile(r"[+-]?\d+")
_NUMBER: Final = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
_BOOLEANS: Final = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"})


class Column:
    """A column as texts. `values`: different filled ones, without white space around, in order."""

    def __init__(self, name: str, texts: pl.Series) -> None:
        self.name = name
        self.rows = len(texts)
        filled = texts.str.strip_chars().replace("", None).drop_nulls()
        self.filled = len(filled)
        different = filled.unique(maintain_order=True)
        self.distinct = len(different)
        self.values: list[str] = different.head(_LOOKED_AT).to_list()
        self.words: list[str] = self.values if self.distinct <= _WORDS else []

    @cached_property
    def type(self) -> ColumnType:
        """What all of the values are; times are found by `times`."""
        if not self.values:
            return "empty"
        if self._all(_INTEGER):
            return "integer"
        if self._all(_NUMBER) or self._all(_DECIMAL_COMMA):
            return "number"
        if {value.lower() for value in self.words} and self.is_boolean:
            return "boolean"
        if all(value[0] in "{[" and value[-1] in "}]" for value in self.values):
            return "json"
        return "text"

    @property
    def is_boolean(self) -> bool:
        """Whether the contract reads every value as true or false."""
        return bool(self.words) and {value.lower() for value in self.words} <= _BOOLEANS

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers."""
        return self.type in ("integer", "number")

    @property
    def has_decimal_comma(self) -> bool:
        """Whether numbers are written with one."""
        numbers = [value for value in self.values if not _INTEGER.fullmatch(value)]
        return bool(numbers) and all(_DECIMAL_COMMA.fullmatch(value) for value in numbers)

    @property
    def longest(self) -> int:
        """Characters of the longest value."""
        return max(map(len, self.values), default=0)

    @property
    def samples(self) -> list[str]:
        """The first different values, cut."""
        return [value[:SAMPLE_CHARACTERS] for value in self.values[:SAMPLES]]

    def _all(self, pattern: re.Pattern[str]) -> bool:
        return all(pattern.fullmatch(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """A column as the answer has it: `meaning` is a contract field, or empty."""

    name: str
    type: ColumnType
    samples: list[str]
    meaning: str
    note: str


def columns_of(frame: pl.DataFrame) -> list[Column]:
    """Return the columns of rows as texts."""
    return [Column(series.name, series) for series in frame.get_columns()]
