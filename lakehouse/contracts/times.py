"""How the text of a time becomes microseconds since 1970: polars expressions, exact."""

import re
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from lakehouse.contracts.tenant import TimestampFormat

MICROSECONDS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}

_TOO_LARGE: Final = -(2**62)
"""Stands for a number that 64 bits of microseconds cannot hold: a time before any range."""
_ISO: Final = (
    r"^(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?<hour>[0-9]{2}):(?<minute>[0-9]{2})"
    r"(?::(?<second>[0-9]{2})(?:[.,](?<fraction>[0-9]{1,9}))?)?"
    r"(?:[Zz]|(?<sign>[+-])(?<offset_hour>[0-9]{2}):?(?<offset_minute>[0-9]{2})?)?)?$"
)
"""`\\d` would match the digits of every script, which are no numbers to anything else here."""
_TYPED: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z?$"
TYPED_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.6f"
_ISO_OFFSET: Final = r"[Tt ][^Zz+-]*[Zz+-]"
_EXPONENT: Final = "[eE]"
_CODES: Final = re.compile(r"%(?:[-_0]?|\.|:{1,3}|#|\.?[369])[A-Za-z+%]")
_OFFSET_CODES: Final = frozenset({"%z", "%:z", "%::z", "%:::z", "%#z", "%s", "%+"})
_SECOND_CODES: Final = frozenset("STXcr+")


def check_format(timestamp: TimestampFormat) -> str | None:
    """Return why a strptime format or a time zone cannot be used, None when they can.

    A usable one reads back what it has written.
    """
    zone = timestamp.time_zone
    if zone is not None and not _knows(zone):
        return f"the time zone {zone} is not known"
    if timestamp.format is None:
        return None
    codes = set(_CODES.findall(timestamp.format))
    if "%Z" in codes:
        return "the name of a zone (%Z) is read over; give `time_zone`, or offsets as %z"
    if "%f" in codes:
        return "%f counts nanoseconds, so .5 is not half a second; write %.f with no point before"
    if zone is not None and codes & _OFFSET_CODES:
        return "it reads an offset, and the mapping gives a `time_zone` as well; use one of them"
    moment = pl.lit(datetime(2001, 2, 3, tzinfo=UTC))
    try:
        read = pl.select(strptime(moment.dt.strftime(timestamp.format), timestamp.format)).item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        read = None
    return None if read is not None else "it does not read back a time that it has written"


def _knows(zone: str) -> bool:
    try:
        pl.select(in_zone(pl.lit(0), zone, "earliest"))
    except pl.exceptions.PolarsError:
        return False
    return True


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to an aware time, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def epoch(text: pl.Series, scale: int) -> pl.Series:
    """Microseconds of a number, null where it is none; far outside any range where too large.

    One with an exponent is none: spreadsheets write those when they have dropped digits. Whole
    numbers take the integer way, alone when all are whole. Others (881250949.0) go through a
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
    is_number = number.is_finite() & ~pl.col("text").str.contains(_EXPONENT)
    inexact = pl.when(is_number).then(rounded.fill_null(_TOO_LARGE))
    return frame.select(pl.coalesce(exact, inexact)).to_series()


def strptime(text: pl.Expr, pattern: str) -> pl.Expr:
    """Microseconds of a time in a format, null where it is none; without an offset it is UTC.

    A 60th second is none: polars would read it as the next minute.
    """
    return text.map_batches(lambda column: _strptime(column, pattern), pl.Int64)


def _strptime(text: pl.Series, pattern: str) -> pl.Series:
    parsed = text.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC")
    micros = parsed.to_physical()
    codes = {code[-1] for code in _CODES.findall(pattern)}
    if not codes & _SECOND_CODES or "s" in codes:
        return micros
    begins_minute = (micros // 1_000_000) % 60 == 0
    doubtful = (begins_minute & text.str.contains("60", literal=True)).fill_null(value=False)
    if not doubtful.any():
        return micros
    is_leap = _leap_seconds(text.filter(doubtful), micros.filter(doubtful), pattern)
    leaps = doubtful.arg_true().filter(is_leap)
    return micros.scatter(leaps, None) if len(leaps) else micros


def _leap_seconds(text: pl.Series, micros: pl.Series, pattern: str) -> pl.Series:
    """Return which times have a 60th second: those that are a second less when a 60 is a 59."""
    frame = pl.DataFrame({"text": text, "micros": micros, "row": range(len(text))})
    changed = [
        (row, one[: found.start()] + "59" + one[found.end() :])
        for row, one in enumerate(text)
        for found in re.finditer("60", one)
    ]
    tries = pl.DataFrame(changed, schema={"row": pl.Int64, "changed": pl.String}, orient="row")
    tries = tries.join(frame, on="row", maintain_order="left")
    parsed = tries["changed"].str.to_datetime(
        pattern, time_unit="us", strict=False, time_zone="UTC"
    )
    hits = tries.filter(parsed.to_physical() == tries["micros"] - 1_000_000)["row"]
    return frame["row"].is_in(hits.implode())


def in_zone(micros: pl.Expr, zone: str, which: Literal["earliest", "latest"]) -> pl.Expr:
    """Microseconds UTC of what the clocks of a zone showed; null for what they never showed.

    Of a time that they showed twice it is the one that `which` says.
    """
    local = micros.cast(pl.Datetime("us"))
    aware = local.dt.replace_time_zone(zone, ambiguous=which, non_existent="null")
    return aware.dt.convert_time_zone("UTC").to_physical()


def typed_times(times: pl.Series, *, is_utc: bool) -> pl.Series:
    """Return times of a file that knows them as such as texts that no unit or format needs to read.

    `is_utc`: they are moments; others are what a clock showed.
    """
    return times.dt.strftime(f"{TYPED_FORMAT}Z" if is_utc else TYPED_FORMAT)


def typed_time(moment: datetime) -> str:
    """Return one time as `typed_times` has it: of an aware one the moment in UTC."""
    offset = moment.utcoffset()
    bare = moment.replace(tzinfo=None)
    if offset is None:
        return bare.isoformat(timespec="microseconds")
    return f"{(bare - offset).isoformat(timespec='microseconds')}Z"


def is_typed(text: pl.Expr) -> pl.Expr:
    """Whether a text is one of `typed_times`."""
    return text.str.contains(_TYPED).fill_null(value=False)


def iso_has_offset(text: pl.Expr) -> pl.Expr:
    """Whether an ISO 8601 time says how far it is from UTC."""
    return text.str.contains(_ISO_OFFSET).fill_null(value=False)


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
