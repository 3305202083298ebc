"""How every time of every data type is read and checked: one function for all of them.

A time may be wrong (it cannot be read, does not exist on the clocks of its zone, lies outside its
range or where another unit would put it) or odd (it lies ahead of its arrival, or is one of the two
that a clock showed when it was put back). What is stored is what was sent, to the microsecond.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from lakehouse.contracts.field_text import KNOWN_AT, Check, FieldText, ReadContext, Reading
from lakehouse.contracts.fields import EARLIEST, LATEST, ContractField
from lakehouse.contracts.reasons import ReasonCode, WarningCode
from lakehouse.contracts.tenant import TimeRange, TimestampFormat
from lakehouse.contracts.times import (
    MICROSECONDS,
    epoch,
    in_zone,
    is_typed,
    iso,
    iso_has_offset,
    microseconds,
    strptime,
)

UTC_MICROSECONDS: Final = pl.Datetime("us", "UTC")
DAY_MICROS: Final = 86_400 * 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WRONG_UNIT: Final = timedelta(days=366)
"""So near to 1970 lie seconds read as milliseconds (until the year 2970) and milliseconds or
seconds read as microseconds; the other mistakes end far behind 2262."""
_EXPONENT: Final = r"^[+-]?[0-9.]+[eE]"


def read_timestamp(field: ContractField, text: FieldText, context: ReadContext) -> Reading:
    """Return how `text` is read as a time of `field`; `parsed` are microseconds UTC."""
    timestamp = context.timestamp
    sent, has_offset, how = _sent(text, timestamp)
    if context.has_typed_times:
        is_time = is_typed(text.stripped)
        sent = pl.when(is_time).then(iso(text.stripped)).otherwise(sent)
        has_offset = pl.when(is_time).then(iso_has_offset(text.stripped)).otherwise(has_offset)
    zone = timestamp.time_zone or (context.zone if context.has_typed_times else None)
    parsed: tuple[pl.Expr, ...] = (sent.alias(text.name_of("parsed")),)
    unread = text.parsed.is_null()
    nonexistent: tuple[Check, ...] = ()
    ambiguous: tuple[Check, ...] = ()
    if zone is not None:
        first = pl.when(has_offset).then(sent).otherwise(in_zone(sent, zone, "earliest"))
        last = pl.when(has_offset).then(sent).otherwise(in_zone(sent, zone, "latest"))
        parsed = (
            first.alias(text.name_of("parsed")),
            last.alias(text.name_of("latest")),
            sent.is_null().alias(text.name_of("unread")),
        )
        unread = text.column("unread")
        nonexistent = (_nonexistent(field, text, zone),)
        ambiguous = (_ambiguous(field, text, zone),)
    in_range, checks = _range_checks(field, text, context)
    future = Check(
        WarningCode.FUTURE_TIMESTAMP,
        in_range & (text.parsed > pl.col(KNOWN_AT) + field.days_ahead * DAY_MICROS),
        f"{field.name} lies more than {_days(field.days_ahead)} after its arrival",
    )
    bad = _unreadable(field, text, unread, how, timestamp)
    value = text.parsed.cast(UTC_MICROSECONDS)
    return Reading(value, (*bad, *nonexistent, *checks), parsed, (future, *ambiguous))


def _sent(text: FieldText, timestamp: TimestampFormat) -> tuple[pl.Expr, pl.Expr, str]:
    """Return the microseconds as written, whether an offset was, and how they are written."""
    stripped = text.stripped
    if timestamp.format is not None:
        how = "in the format of the source mapping"
        return strptime(stripped, timestamp.format), pl.lit(value=False), how
    if timestamp.unit == "iso":
        return iso(stripped), iso_has_offset(stripped), "in ISO 8601"
    scale = MICROSECONDS[timestamp.unit]
    micros = stripped.map_batches(lambda column: epoch(column, scale), pl.Int64)
    return micros, pl.lit(value=True), f"as a number ({timestamp.unit} since 1970-01-01)"


def _unreadable(
    field: ContractField, text: FieldText, unread: pl.Expr, how: str, timestamp: TimestampFormat
) -> tuple[Check, ...]:
    is_bad = ~text.blank & unread
    general = f"{field.name} is not a time written {how}"
    code = ReasonCode.BAD_TIMESTAMP
    if not timestamp.is_number:
        return (Check(code, is_bad, general),)
    unread_text = pl.when(is_bad).then(text.stripped)
    has_exponent = unread_text.str.contains(_EXPONENT).fill_null(value=False)
    rounded = f"{field.name} is written with an exponent, as spreadsheets do: its digits are lost"
    return (
        Check(code, is_bad & ~has_exponent, general),
        Check(code, is_bad & has_exponent, rounded),
    )


def _nonexistent(field: ContractField, text: FieldText, zone: str) -> Check:
    return Check(
        ReasonCode.NONEXISTENT_TIME,
        ~text.blank & ~text.column("unread") & text.parsed.is_null(),
        f"{field.name} is a time that the clocks of {zone} left out when they were put forward",
    )


def _ambiguous(field: ContractField, text: FieldText, zone: str) -> Check:
    return Check(
        WarningCode.AMBIGUOUS_TIME,
        (text.parsed != text.column("latest")).fill_null(value=False),
        f"{field.name} is a time that the clocks of {zone} showed twice: the first was taken",
    )


def _range_checks(
    field: ContractField, text: FieldText, context: ReadContext
) -> tuple[pl.Expr, tuple[Check, ...]]:
    """Return where a time is in range, and what is wrong where it is not."""
    start, end = _bounds(field, context.time_range)
    is_within = text.parsed.is_between(microseconds(start), microseconds(end), closed="left")
    outside = Check(
        ReasonCode.TIMESTAMP_OUT_OF_RANGE,
        ~text.blank & ~is_within.fill_null(value=True),
        f"{field.name} lies outside {start:%Y-%m-%d} to {end:%Y-%m-%d}",
    )
    if field.tenant_range or not context.timestamp.is_number or _has_epoch(context.time_range):
        return is_within, (outside,)
    near = microseconds(EPOCH + WRONG_UNIT)
    is_near = text.parsed.is_between(-near, near)
    unit = Check(
        ReasonCode.TIMESTAMP_OUT_OF_RANGE,
        ~text.blank & is_near.fill_null(value=False),
        f"{field.name} lies around 1970-01-01, where times fall that are in another unit than "
        f"{context.timestamp.unit}",
    )
    return is_within & ~is_near, (outside, unit)


def _has_epoch(time_range: TimeRange) -> bool:
    """Whether the tenant believes times around 1970."""
    return time_range.start < EPOCH + WRONG_UNIT and time_range.end > EPOCH - WRONG_UNIT


def _bounds(field: ContractField, time_range: TimeRange) -> tuple[datetime, datetime]:
    if not field.tenant_range:
        return EARLIEST, LATEST
    return max(EARLIEST, time_range.start), min(LATEST, time_range.end)


def _days(count: int) -> str:
    return "a day" if count == 1 else f"{count} days"
