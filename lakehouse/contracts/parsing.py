"""How the text of a field becomes its value: polars expressions, one small reader per kind.

Identifiers and other texts are kept exactly as sent. Times, numbers, booleans and interaction
types are read without the white space around them. Null means the field has no value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import polars as pl

from lakehouse.contracts.characters import INVISIBLE, Traits
from lakehouse.contracts.fields import EARLIEST, LATEST, ContractField, FieldKind
from lakehouse.contracts.reasons import ReasonCode, WarningCode
from lakehouse.contracts.tenant import InteractionType, TimeRange, TimestampFormat
from lakehouse.contracts.times import MICROSECONDS, epoch, iso, microseconds, strptime

UTC_MICROSECONDS: Final = pl.Datetime("us", "UTC")
PRICE_DTYPE: Final = pl.Decimal(18, 4)
WIDE_DTYPE: Final = pl.Decimal(38, 20)

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


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

    `parsed` is computed first, once, as the column `FieldText.parsed` that the others build on.
    """

    value: pl.Expr
    checks: tuple[Check, ...]
    parsed: pl.Expr | None = None
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
        return pl.col(f"{self.name}.text")

    @property
    def stripped(self) -> pl.Expr:
        """The text without white space around it."""
        return pl.col(f"{self.name}.stripped")

    @property
    def blank(self) -> pl.Expr:
        """True where the text is null, empty or white space only."""
        return pl.col(f"{self.name}.blank")

    @property
    def parsed(self) -> pl.Expr:
        """What the field's reading has parsed."""
        return pl.col(f"{self.name}.parsed")

    def prepare(self, source: pl.Expr, *, is_solid: bool = False) -> tuple[pl.Expr, pl.Expr]:
        """Return the first two columns, from the text's source; solid texts need no stripping."""
        stripped = source if is_solid else source.str.strip_chars()
        return source.alias(f"{self.name}.text"), stripped.alias(f"{self.name}.stripped")

    def find_blank(self) -> pl.Expr:
        """Return the third column, from the second."""
        is_empty = self.stripped.str.len_bytes() == 0
        return is_empty.fill_null(value=True).alias(f"{self.name}.blank")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What the tenant decides about reading a field."""

    time_range: TimeRange
    timestamp: TimestampFormat


KNOWN_AT: Final = "known_at.us"
"""A column of the texts: when the batch arrived, in microseconds."""
FUTURE_MICROS: Final = 86_400 * 1_000_000
"""How far after its arrival an event may lie before that is odd."""


def read_field(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as `field`.

    Every check but `missing_value` is false where the field is blank.
    """
    reading = _READERS[field.kind](field, text, context)
    if not field.required:
        return reading
    missing = Check(ReasonCode.MISSING_VALUE, text.blank, f"{field.name} is missing")
    return replace(reading, checks=(missing, *reading.checks))


def _text(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = text.text if field.required else pl.when(~text.blank).then(text.text)
    return Reading(value, (_too_long(field, text),), warnings=_oddities(field, text))


def _label(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = pl.when(~text.blank).then(text.stripped.str.to_lowercase())
    return Reading(value, (_too_long(field, text),))


def _oddities(field: ContractField, text: FieldText) -> tuple[Check, ...]:
    if not field.is_identifier:
        return ()
    return (
        Check(
            WarningCode.SURROUNDING_WHITE_SPACE,
            ~text.blank & (text.text.str.len_bytes() != text.stripped.str.len_bytes()),
            f"{field.name} begins or ends with white space",
            found_in="not solid",
        ),
        Check(
            WarningCode.INVISIBLE_CHARACTER,
            ~text.blank & text.text.str.contains(INVISIBLE),
            f"{field.name} holds a character that nobody sees",
            found_in="untidy",
        ),
    )


def _too_long(field: ContractField, text: FieldText) -> Check:
    return Check(
        ReasonCode.VALUE_TOO_LONG,
        (text.text.str.len_chars() > field.max_length).fill_null(value=False),
        f"{field.name} is longer than {field.max_length} characters",
    )


def _interaction_type(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    known = [kind.value for kind in InteractionType]
    check = Check(
        ReasonCode.UNKNOWN_INTERACTION_TYPE,
        ~text.blank & ~text.stripped.is_in(known),
        f"{field.name} is none of {', '.join(known)}",
    )
    return Reading(text.stripped, (check,))


def _number(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = text.stripped.cast(pl.Float64, strict=False)
    check = Check(
        ReasonCode.BAD_NUMBER,
        ~text.blank & ~value.is_finite().fill_null(value=False),
        f"{field.name} is not a finite number",
    )
    # -0.0 becomes 0.0: equal numbers, one identity. (polars drops an addition of 0.0.)
    return Reading(pl.when(value == 0).then(pl.lit(0.0)).otherwise(value), (check,))


def _decimal(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = text.stripped.cast(PRICE_DTYPE, strict=False)
    check = Check(
        ReasonCode.BAD_NUMBER,
        ~text.blank & value.is_null(),
        f"{field.name} is not a decimal number of at most 14 digits before the point",
    )
    # To 20 places; what differs beyond them is not worth telling.
    rounded = Check(
        WarningCode.ROUNDED_NUMBER,
        text.stripped.cast(WIDE_DTYPE, strict=False) != value.cast(WIDE_DTYPE),
        f"{field.name} was rounded to 4 decimal places",
    )
    return Reading(value, (check,), warnings=(rounded,))


def _boolean(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    word = text.stripped.str.to_lowercase()
    value = word.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)
    check = Check(
        ReasonCode.BAD_BOOLEAN,
        ~text.blank & value.is_null(),
        f"{field.name} is not true or false",
    )
    return Reading(value, (check,))


def _json_object(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    is_object = text.stripped.str.starts_with("{")
    is_json = text.text.str.json_path_match("$").is_not_null()
    check = Check(
        ReasonCode.BAD_JSON,
        ~text.blank & ~(is_object & is_json).fill_null(value=False),
        f"{field.name} is not a JSON object",
    )
    value = pl.when(~text.blank).then(text.text)
    return Reading(value, (check, _too_long(field, text)))


def _timestamp(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    stripped, timestamp = text.stripped, context.timestamp
    if timestamp.format is not None:
        micros, how = strptime(stripped, timestamp.format), "in the format of the source mapping"
    elif timestamp.unit == "iso":
        micros, how = iso(stripped), "in ISO 8601"
    else:
        scale = MICROSECONDS[timestamp.unit]
        micros = stripped.map_batches(lambda column: epoch(column, scale), pl.Int64)
        how = f"as a number ({timestamp.unit} since 1970-01-01)"
    start, end = _bounds(field, context.time_range)
    in_range = text.parsed.is_between(microseconds(start), microseconds(end), closed="left")
    checks = (
        Check(
            ReasonCode.BAD_TIMESTAMP,
            ~text.blank & text.parsed.is_null(),
            f"{field.name} is not a time written {how}",
        ),
        Check(
            ReasonCode.TIMESTAMP_OUT_OF_RANGE,
            ~text.blank & ~in_range.fill_null(value=True),
            f"{field.name} lies outside {start:%Y-%m-%d} to {end:%Y-%m-%d}",
        ),
    )
    future = Check(
        WarningCode.FUTURE_TIMESTAMP,
        in_range & (text.parsed > pl.col(KNOWN_AT) + FUTURE_MICROS),
        f"{field.name} lies more than a day after its arrival",
    )
    parsed = micros.alias(f"{text.name}.parsed")
    odd = (future,) if field.tenant_range else ()
    return Reading(text.parsed.cast(UTC_MICROSECONDS), checks, parsed, odd)


def _bounds(field: ContractField, time_range: TimeRange) -> tuple[datetime, datetime]:
    if not field.tenant_range:
        return EARLIEST, LATEST
    return max(EARLIEST, time_range.start), min(LATEST, time_range.end)


_READERS: Final[dict[FieldKind, Callable[[ContractField, FieldText, ReadContext], Reading]]] = {
    FieldKind.TEXT: _text,
    FieldKind.LABEL: _label,
    FieldKind.INTERACTION_TYPE: _interaction_type,
    FieldKind.TIMESTAMP: _timestamp,
    FieldKind.NUMBER: _number,
    FieldKind.DECIMAL: _decimal,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.JSON_OBJECT: _json_object,
}
