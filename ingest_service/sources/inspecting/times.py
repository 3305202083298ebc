"""How the times of a column are written, told from the values; what two readings fit is asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import polars as pl

from lakehouse.contracts.tenant import TimestampFormat
from lakehouse.contracts.times import (
    MICROSECONDS,
    epoch,
    iso,
    iso_has_offset,
    microseconds,
    strptime,
)

LOOKED_AT: Final = 5_000
"""Different values of a column; those behind are read alike or counted as wrong by the trial."""
_LEAST_SHARE: Final = 0.8
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"\d{9,19}(?:\.\d+)?")
_CLOCK: Final = (
    r"(?P<clock>[ T,]{1,2}\d{1,2}:\d{2}(?P<second>:\d{2})?(?P<fraction>\.\d{1,9})?"
    r"(?P<half> ?[AaPp][Mm])?)?(?P<zone> ?(?:UTC|GMT)| ?[+-]\d{2}:?\d{2}|Z)?"
)
_DATES: Final = (
    (re.compile(r"(?P<year>\d{4})(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,2}" + _CLOCK), "%Y{0}%m{0}%d"),
    (re.compile(r"(?P<date>(?:19|20)\d{6})" + _CLOCK), "%Y%m%d"),
    (
        re.compile(r"\d{1,2}[ -](?P<month>[A-Za-z]{3,9})\.?(?P<sep>[ -])\d{4}" + _CLOCK),
        "%d{0}%b{0}%Y",
    ),
    (re.compile(r"[A-Za-z]{3,9} \d{1,2}, \d{4}" + _CLOCK), "%b %d, %Y"),
)
_DAY_AND_MONTH: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<sep>[./-])(?P<other>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})" + _CLOCK
)
_PACKED: Final = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """`readings`: one that fits, or two that fit all values alike (day and month).

    `first` and `last` are the times by the first reading. `has_zone`: the values say how far they
    are from UTC, or are numbers.
    """

    readings: tuple[TimestampFormat, ...]
    first: datetime
    last: datetime
    has_zone: bool
    example: str

    @property
    def is_sure(self) -> bool:
        """Whether one reading alone fits."""
        return len(self.readings) == 1


def guess_times(values: Sequence[str], now: datetime) -> TimeGuess | None:
    """Return how a column's filled values (without white space around) are times, or None."""
    values = values[:LOOKED_AT]
    if not values:
        return None
    by_number = _numbers(values, now)
    if by_number is not None:
        return by_number
    texts = pl.DataFrame({"t": values})
    micros = texts.select(iso(pl.col("t"))).to_series()
    if _share(micros) >= _LEAST_SHARE:
        zoned = bool(texts.select(iso_has_offset(pl.col("t")).mean()).item() > _LEAST_SHARE)
        return _guess((TimestampFormat(unit="iso"),), micros, has_zone=zoned, example=values[0])
    readings, has_zone = _formats(values)
    if not readings:
        return None
    micros = texts.select(strptime(pl.col("t"), readings[0])).to_series()
    if _share(micros) < _LEAST_SHARE:
        return None
    formats = tuple(TimestampFormat(format=one) for one in readings)
    return _guess(formats, micros, has_zone=has_zone, example=values[0])


def is_nanoseconds(values: Sequence[str], now: datetime) -> bool:
    """Whether values are times in a unit that the contract does not read: numbers of 19 digits."""
    low, high = (microseconds(moment) * 1_000 for moment in (_EARLIEST, now))
    return bool(values) and all(
        len(v) == 19 and v.isdecimal() and low < int(v) < high for v in values[:LOOKED_AT]
    )


def _numbers(values: Sequence[str], now: datetime) -> TimeGuess | None:
    if sum(_NUMBER.fullmatch(value) is not None for value in values) < _LEAST_SHARE * len(values):
        return None
    texts = pl.Series(values)
    low, high = microseconds(_EARLIEST), microseconds(now + timedelta(days=366))
    for unit, scale in MICROSECONDS.items():
        micros = epoch(texts, scale)
        within = micros.filter(micros.is_between(low, high))
        if len(within) >= _LEAST_SHARE * len(values):
            return _guess((TimestampFormat(unit=unit),), within, has_zone=True, example=values[0])
    length = len(values[0])
    if length in _PACKED and all(len(value) == length for value in values):
        packed = pl.DataFrame({"t": values}).select(strptime(pl.col("t"), _PACKED[length]))
        times = packed.to_series()
        if _share(times) >= _LEAST_SHARE:
            formats = (TimestampFormat(format=_PACKED[length]),)
            return _guess(formats, times, has_zone=False, example=values[0])
    return None


def _formats(values: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the formats that fit the first value, and by day and month all of them."""
    found = _DAY_AND_MONTH.fullmatch(values[0])
    if found is not None:
        clock, has_zone = _clock(found)
        year = "%Y" if len(found["year"]) == 4 else "%y"
        day_first, month_first = _orders(values)
        sep = found["sep"]
        orders = []
        if day_first:
            orders.append(f"%d{sep}%m{sep}{year}{clock}")
        if month_first and (sep != "." or not day_first):
            orders.append(f"%m{sep}%d{sep}{year}{clock}")
        return tuple(orders), has_zone
    for pattern, date in _DATES:
        found = pattern.fullmatch(values[0])
        if found is None:
            continue
        clock, has_zone = _clock(found)
        groups = found.groupdict()
        if groups.get("month") and len(groups["month"]) > 3:
            return (date.format(groups["sep"]).replace("%b", "%B") + clock,), has_zone
        return (date.format(groups.get("sep") or "") + clock,), has_zone
    return (), False


def _orders(values: Sequence[str]) -> tuple[bool, bool]:
    """Return whether all dates can have the day first, and whether all can have the month first."""
    parts = [found for value in values if (found := _DAY_AND_MONTH.fullmatch(value))]
    return _all(parts, "other"), _all(parts, "first")


def _all(parts: Sequence[re.Match[str]], group: str) -> bool:
    months = sum(1 <= int(found[group]) <= 12 for found in parts)
    return months >= _LEAST_SHARE * len(parts) and (months == len(parts) or len(parts) > 20)


def _clock(found: re.Match[str]) -> tuple[str, bool]:
    """Return the format of what follows the date, and whether it says the distance to UTC."""
    clock, zone, text = found["clock"], found["zone"], ""
    if clock is not None:
        separator = clock[: len(clock) - len(clock.lstrip(" T,"))]
        hour = "%I" if found["half"] else "%H"
        text = f"{separator}{hour}:%M" + (":%S" if found["second"] else "")
        text += "%.f" if found["fraction"] else ""
        text += found["half"].replace(found["half"].strip(), "%p") if found["half"] else ""
    if zone is None:
        return text, False
    sign = zone.strip()
    space = zone[: len(zone) - len(sign)]
    return text + space + (sign if sign in ("UTC", "GMT", "Z") else "%z"), True


def _guess(
    readings: tuple[TimestampFormat, ...], micros: pl.Series, *, has_zone: bool, example: str
) -> TimeGuess:
    first, last = (_moment(cast("int", found)) for found in (micros.min(), micros.max()))
    return TimeGuess(readings, first, last, has_zone, example)


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _share(micros: pl.Series) -> float:
    return 1 - micros.null_count() / len(micros)
