"""What reading one field of a batch consists of: its text, its value, its checks."""

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from lakehouse.contracts.characters import Traits
from lakehouse.contracts.reasons import ReasonCode, WarningCode
from lakehouse.contracts.tenant import TimeRange, TimestampFormat

KNOWN_AT: Final = "known_at.us"
"""A column of the texts: when the batch arrived, in microseconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """A way for a field to be wrong, or odd: true where `is_bad`.

    `found_in`: the texts that can be so; of others it need not be asked.
    """

    code: ReasonCode | WarningCode
    is_bad: pl.Expr
    message: str
    found_in: Literal["any", "untidy", "not solid"] = "any"

    def is_possible(self, traits: Traits) -> bool:
        """Whether texts of these traits can be so."""
        if self.found_in == "untidy":
            return not traits.is_tidy
        return self.found_in == "any" or not traits.is_solid


@dataclass(frozen=True, slots=True)
class Reading:
    """A field's value, everything that can be wrong with it, and everything that can be odd.

    `parsed` are computed first, once, as columns (`FieldText.parsed` and others of `column`) that
    the rest builds on.
    """

    value: pl.Expr
    checks: tuple[Check, ...]
    parsed: tuple[pl.Expr, ...] = ()
    warnings: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldText:
    """The text of one field in three forms, each computed once per batch as a column.

    `text` as sent, `stripped` without white space around it, `blank` where nothing is left.
    """

    name: str

    @property
    def text(self) -> pl.Expr:
        """The text as sent."""
        return self.column("text")

    @property
    def stripped(self) -> pl.Expr:
        """The text without white space around it."""
        return self.column("stripped")

    @property
    def blank(self) -> pl.Expr:
        """True where the text is null, empty or white space only."""
        return self.column("blank")

    @property
    def parsed(self) -> pl.Expr:
        """What the field's reading has parsed."""
        return self.column("parsed")

    def column(self, form: str) -> pl.Expr:
        """The column of one form of the text."""
        return pl.col(self.name_of(form))

    def name_of(self, form: str) -> str:
        """Return the name of the column of one form."""
        return f"{self.name}.{form}"

    def prepare(self, source: pl.Expr, *, is_solid: bool = False) -> tuple[pl.Expr, pl.Expr]:
        """Return the first two columns, from the text's source; solid texts need no stripping."""
        stripped = source if is_solid else source.str.strip_chars()
        return source.alias(self.name_of("text")), stripped.alias(self.name_of("stripped"))

    def find_blank(self) -> pl.Expr:
        """Return the third column, from the second."""
        is_empty = self.stripped.str.len_bytes() == 0
        return is_empty.fill_null(value=True).alias(self.name_of("blank"))


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What the tenant decides about reading a field."""

    time_range: TimeRange
    timestamp: TimestampFormat
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    has_typed_times: bool = False
    """Whether texts may be times as `times.typed_times` writes them, whatever unit others have."""
    zone: str | None = None
    """Of such times that are what a clock showed, where the field has no other."""
    interaction_types: tuple[str, ...] = ()
    """The types that an interaction may be of."""
