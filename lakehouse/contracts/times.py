"""How the text of a time becomes microseconds since 1970: polars expressions, exact."""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from lakehouse.contracts.tenant import TimestampFormat

MICROSECONDS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}

_TOO_LARGE: Final = -(2**62)
"""Stands for a number that 64 bits of microseconds cannot hold: a time before any range."""
_ISO: Final = (
    r"^(?<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9}))?)?"
    r"(?:[Zz]|(?<sign>[+-])(?<offset_hour>\d{2}):?(?<offset_minute>\d{2})?)?)?$"
)


def check_format(timestamp: TimestampFormat) -> str | None:
    """Return why a strptime format cannot be used, None when it can.

    A usable one reads back what it has written.
    """
    if timestamp.format is None:
        return None
    moment = pl.lit(datetime(2001, 2, 3, tzinfo=UTC))
    try:
        read = pl.select(strptime(moment.dt.strftime(timestamp.format), timestamp.format)).item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        read = None
    return None if read is not None else "it does not read back a time that it has written"


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to an aware time, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def epoch(text: pl.Series, scale: int) -> pl.Series:
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


def strptime(text: pl.Expr, pattern: str) -> pl.Expr:
    """Microseconds of a time in a format, null where it is none; without an offset it is UTC."""
    parsed = text.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC")
    return parsed.to_physical()


def iso(text: pl.Expr) -> pl.Expr:
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
