"""How the text of a field becomes its value: polars expressions, one small reader per kind.

Identifiers and other texts are kept exactly as sent. Times, numbers, booleans and interaction
types are read without the white space around them. Null means the field has no value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from lakehouse.contracts.fields import EARLIEST, LATEST, ContractField, FieldKind
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import InteractionType, TimeRange, TimestampFormat

UTC_MICROSECONDS: Final = pl.Datetime("us", "UTC")
PRICE_DTYPE: Final = pl.Decimal(18, 4)

_MICROSECONDS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_TOO_LARGE: Final = -(2**62)
"""Stands for a number that 64 bits of microseconds cannot hold: a time before any range."""
_ISO: Final = (
    r"^(?<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9}))?)?"
    r"(?:[Zz]|(?<sign>[+-])(?<offset_hour>\d{2}):?(?<offset_minute>\d{2})?)?)?$"
)


@dataclass(frozen=True, slots=True)
class Check:
    """A way for a field to be wrong: true where `is_bad`."""

    code: ReasonCode
    is_bad: pl.Expr
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A field's value and everything that can be wrong with it.

    `parsed` is computed first, once, as the column `FieldText.parsed` that the others build on.
    """

    value: pl.Expr
    checks: tuple[Check, ...]
    parsed: pl.Expr | None = None


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

    def prepare(self, source: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
        """Return the first two columns, from the text's source."""
        return source.alias(f"{self.name}.text"), source.str.strip_chars().alias(
            f"{self.name}.stripped"
        )

    def find_blank(self) -> pl.Expr:
        """Return the third column, from the second."""
        is_empty = self.stripped.str.len_bytes() == 0
        return is_empty.fill_null(value=True).alias(f"{self.name}.blank")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What the tenant decides about reading a field."""

    time_range: TimeRange
    timestamp: TimestampFormat


def read_field(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as `field`.

    Every check but `missing_value` is false where the field is blank.
    """
    reading = _READERS[field.kind](field, text, context)
    if not field.required:
        return reading
    missing = Check(ReasonCode.MISSING_VALUE, text.blank, f"{field.name} is missing")
    return replace(reading, checks=(missing, *reading.checks))


def check_format(timestamp: TimestampFormat) -> str | None:
    """Return why a strptime format cannot be used, None when it can.

    A usable one reads back what it has written.
    """
    if timestamp.format is None:
        return None
    moment = pl.lit(datetime(2001, 2, 3, tzinfo=UTC))
    try:
        read = pl.select(_strptime(moment.dt.strftime(timestamp.format), timestamp.format)).item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        read = None
    return None if read is not None else "it does not read back a time that it has written"


def _text(field: ContractField, text: FieldText, _: ReadContext) -> Reading:
    value = text.text if field.required else pl.when(~text.blank).then(text.text)
    return Reading(value, (_too_long(field, text),))


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
    return Reading(value, (check,))


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
        micros, how = _strptime(stripped, timestamp.format), "in the format of the source mapping"
    elif timestamp.unit == "iso":
        micros, how = _iso(stripped), "in ISO 8601"
    else:
        scale = _MICROSECONDS[timestamp.unit]
        micros = stripped.map_batches(lambda column: _epoch(column, scale), pl.Int64)
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
    parsed = micros.alias(f"{text.name}.parsed")
    return Reading(text.parsed.cast(UTC_MICROSECONDS), checks, parsed)


def _bounds(field: ContractField, time_range: TimeRange) -> tuple[datetime, datetime]:
    if not field.tenant_range:
        return EARLIEST, LATEST
    return max(EARLIEST, time_range.start), min(LATEST, time_range.end)


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to an aware time, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _epoch(text: pl.Series, scale: int) -> pl.Series:
    """Microseconds of a number, null where it is none; far outside any range where too large.

    Whole numbers take the integer way, alone when all are whole. Others (881250949.0) go through a
    double, whose 53 bits hold every microsecond until 2255.
    """
    limit = (2**63 - 1) // scale
    whole = text.cast(pl.Int64, strict=False).alias("whole")
    frame = pl.DataFrame([whole, text.alias("text")])
    fits = pl.col("whole").is_between(-limit, limit)
    exact = pl.when(fits).then(pl.col("whole") * scale).when(~fits).then(_TOO_LARGE)
    if whole.null_count() == text.null_count():
        return frame.select(exact).to_series()
    number = pl.col("text").cast(pl.Float64, strict=False)
    scaled = number * scale
    rounded = pl.when(scaled.abs() < 9.2e18).then(scaled.round()).cast(pl.Int64, strict=False)
    inexact = pl.when(number.is_finite()).then(rounded.fill_null(_TOO_LARGE))
    return frame.select(pl.coalesce(exact, inexact)).to_series()


def _strptime(text: pl.Expr, pattern: str) -> pl.Expr:
    parsed = text.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC")
    return parsed.to_physical()


def _iso(text: pl.Expr) -> pl.Expr:
    """Microseconds of an ISO 8601 date or date-time; without an offset it is UTC."""
    parts = text.str.extract_groups(_ISO).struct

    def number(name: str) -> pl.Expr:
        return parts.field(name).cast(pl.Int64, strict=False).fill_null(0)

    fraction = parts.field("fraction").str.pad_end(6, "0").str.slice(0, 6)
    hour, minute, second = number("hour"), number("minute"), number("second")
    offset = number("offset_hour") * 3_600 + number("offset_minute") * 60
    signed = pl.when(parts.field("sign") == "-").then(-offset).otherwise(offset)
    day = parts.field("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32)
    seconds = day.cast(pl.Int64) * 86_400 + hour * 3_600 + minute * 60 + second - signed
    valid = (hour < 24) & (minute < 60) & (second < 60)
    valid &= (number("offset_hour") < 24) & (number("offset_minute") < 60)
    micros = fraction.cast(pl.Int64, strict=False).fill_null(0)
    return pl.when(valid).then(seconds * 1_000_000 + micros)


_READERS: Final[dict[FieldKind, Callable[[ContractField, FieldText, ReadContext], Reading]]] = {
    FieldKind.TEXT: _text,
    FieldKind.INTERACTION_TYPE: _interaction_type,
    FieldKind.TIMESTAMP: _timestamp,
    FieldKind.NUMBER: _number,
    FieldKind.DECIMAL: _decimal,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.JSON_OBJECT: _json_object,
}
