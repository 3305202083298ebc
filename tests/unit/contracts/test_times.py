"""Times: what is read is what was sent, or it is refused."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import (
    DataType,
    SourceMapping,
    TenantSettings,
    TimeRange,
    TimestampFormat,
)
from lakehouse.contracts.validator import Validated, Validator

KNOWN_AT = datetime(2026, 5, 1, tzinfo=UTC)
WIDE = TenantSettings(time_range=TimeRange(start=datetime(1901, 1, 1), end=datetime(2100, 1, 1)))
PATTERN = "%Y-%m-%d %H:%M:%S"
ZONES = (
    *("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"),
    *("Asia/Kolkata", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin"),
    *("America/St_Johns", "Pacific/Chatham", "Asia/Pyongyang", "America/Caracas", "Asia/Tehran"),
)
CHANGES = (
    *(datetime(2025, 3, 30, 1), datetime(2025, 10, 26, 0), datetime(2024, 3, 10, 7)),
    *(datetime(2024, 11, 3, 5), datetime(2018, 11, 4, 3), datetime(2011, 12, 30, 10)),
    *(datetime(2015, 8, 14, 15), datetime(2016, 5, 1, 7), datetime(2022, 9, 21, 19)),
)


def read(texts: list[str], how: TimestampFormat, tenant: TenantSettings = WIDE) -> Validated:
    rows = [["u", "i", "view", text] for text in texts]
    columns = ["user_id", "item_id", "interaction_type", "timestamp"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    mapping = SourceMapping(timestamps={"timestamp": how})
    return Validator(DataType.INTERACTIONS, mapping, tenant, columns).validate(frame, KNOWN_AT)


def outcomes(found: Validated) -> dict[int, datetime | str]:
    """Each row's time, or the code that it was refused for."""
    times = dict(found.accepted.select("row", "event_time").iter_rows())
    return times | dict(found.reasons.select("row", "code").iter_rows())


def by_zoneinfo(local: datetime, zone: str) -> tuple[datetime | str, bool]:
    """What the standard library says: the first time that the clocks showed it, and if twice."""
    first, last = (
        local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)
    )
    if first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local:
        return "nonexistent_time", False
    return first, first != last


_ANY = st.datetimes(datetime(1971, 1, 1), datetime(2060, 1, 1))
_NEAR = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-1_500, 1_500),
)


@settings(deadline=None)
@given(
    st.lists(st.one_of(_ANY, _NEAR), min_size=1, max_size=20),
    st.sampled_from(ZONES),
    st.booleans(),
)
def test_local_times_become_what_the_standard_library_makes_of_them(
    moments: list[datetime], zone: str, is_iso: bool
) -> None:
    local = [moment.replace(microsecond=0) for moment in moments]
    how = TimestampFormat(unit="iso", time_zone=zone)
    if not is_iso:
        how = TimestampFormat(format=PATTERN, time_zone=zone)
    found = read([moment.strftime(PATTERN) for moment in local], how)

    expected = [by_zoneinfo(moment, zone) for moment in local]
    assert outcomes(found) == {row: outcome for row, (outcome, _) in enumerate(expected)}
    twice = [row for row, (_, is_twice) in enumerate(expected) if is_twice]
    assert found.warnings.filter(code="ambiguous_time")["row"].to_list() == twice


def test_an_offset_goes_before_the_zone() -> None:
    how = TimestampFormat(unit="iso", time_zone="Europe/Berlin")
    found = read(
        ["2025-10-26T02:30:00+01:00", "2025-10-26 02:30Z", "2025-10-26", "2025-03-30T02:30"], how
    )
    assert outcomes(found) == {
        0: datetime(2025, 10, 26, 1, 30, tzinfo=UTC),
        1: datetime(2025, 10, 26, 2, 30, tzinfo=UTC),
        2: datetime(2025, 10, 25, 22, 0, tzinfo=UTC),
        3: "nonexistent_time",
    }
    assert not found.warnings.height


@pytest.mark.parametrize(
    ("text", "how"),
    [
        pytest.param("1.76723E+12", TimestampFormat(), id="a spreadsheet's number"),
        pytest.param("1.767225600e9", TimestampFormat(unit="s"), id="any exponent"),
        pytest.param("17672256000\u0660\u0663", TimestampFormat(), id="other digits in a number"),
        pytest.param("2026-01-\u0660\u0663", TimestampFormat(unit="iso"), id="other digits"),
        pytest.param(
            "2026-01-\u0660\u0663 10:00:00", TimestampFormat(format=PATTERN), id="in a format"
        ),
        pytest.param("2025-12-31 23:59:60", TimestampFormat(format=PATTERN), id="a 60th second"),
        pytest.param("20251231235960", TimestampFormat(format="%Y%m%d%H%M%S"), id="without marks"),
        pytest.param(
            "2016-12-31 23:59:60.5", TimestampFormat(format="%Y-%m-%d %T%.f"), id="and a half"
        ),
        pytest.param("2025-12-31T23:59:60Z", TimestampFormat(unit="iso"), id="in ISO 8601"),
    ],
)
def test_what_would_be_altered_is_refused(text: str, how: TimestampFormat) -> None:
    assert outcomes(read([text], how)) == {0: "bad_timestamp"}


@settings(deadline=None)
@given(st.datetimes(datetime(1960, 1, 1), datetime(2060, 12, 31)))
def test_no_other_second_is_refused(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10_000 * 10_000)
    how = TimestampFormat(format="%Y-%m-%d %H:%M:%S%.f")
    found = read([moment.isoformat(" ", "milliseconds")], how)
    assert outcomes(found) == {0: moment.replace(tzinfo=UTC)}


def test_sixties_elsewhere_are_read() -> None:
    how = TimestampFormat(format="%Y-%m-%d %H:%M:%S%.f")
    found = read(["1960-01-01 10:00:00.60", "1960-01-01 10:00:00"], how)
    assert outcomes(found) == {
        0: datetime(1960, 1, 1, 10, 0, 0, 600_000, tzinfo=UTC),
        1: datetime(1960, 1, 1, 10, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("how", "part"),
    [
        pytest.param(TimestampFormat(format=f"{PATTERN} %Z"), "time_zone", id="a zone's name"),
        pytest.param(TimestampFormat(format=f"{PATTERN}.%f"), "%.f", id="nanoseconds"),
        pytest.param(
            TimestampFormat(format=f"{PATTERN} %z", time_zone="Asia/Tokyo"),
            "offset",
            id="an offset and a zone",
        ),
    ],
)
def test_formats_that_read_something_else_are_refused(how: TimestampFormat, part: str) -> None:
    with pytest.raises(FileRefusedError, match=part):
        read(["2026-01-01 00:00:00"], how)


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "CET+1", "../etc/passwd"])
def test_unknown_zones_are_refused_in_the_settings(zone: str) -> None:
    with pytest.raises(ValidationError):
        TimestampFormat(unit="iso", time_zone=zone)
    with pytest.raises(ValidationError):
        TimestampFormat(unit="s", time_zone="Europe/Berlin")


def _items(field: str, text: str, how: TimestampFormat, tenant: TenantSettings) -> list[str]:
    mapping = SourceMapping(timestamps={field: how})
    frame = pl.DataFrame([{"item_id": "i", field: text}])
    validator = Validator(DataType.ITEMS, mapping, tenant, frame.columns)
    found = validator.validate(frame, KNOWN_AT)
    return [*found.reasons["code"], *found.warnings["code"]]


@pytest.mark.parametrize("field", ["updated_at", "available_from"])
@pytest.mark.parametrize(
    ("text", "how", "codes"),
    [
        pytest.param("1767225600", TimestampFormat(), ["timestamp_out_of_range"], id="s as ms"),
        pytest.param(
            "1767225600000", TimestampFormat(unit="us"), ["timestamp_out_of_range"], id="ms as us"
        ),
        pytest.param(
            "1767225600000", TimestampFormat(unit="s"), ["timestamp_out_of_range"], id="ms as s"
        ),
        pytest.param("881250949000", TimestampFormat(), [], id="an old one"),
        pytest.param("1970-01-21", TimestampFormat(unit="iso"), [], id="one written out"),
        pytest.param("4102444800000", TimestampFormat(), ["future_timestamp"], id="in 2100"),
    ],
)
def test_catalogue_times_of_a_wrong_unit_are_refused_and_far_ones_told(
    field: str, text: str, how: TimestampFormat, codes: list[str]
) -> None:
    assert _items(field, text, how, TenantSettings()) == codes


def test_catalogue_times_around_1970_are_believed_where_events_are() -> None:
    assert _items("updated_at", "1767225600", TimestampFormat(), WIDE) == []


def test_an_item_may_be_announced_and_not_be_of_tomorrow() -> None:
    in_a_month = str(round((KNOWN_AT + timedelta(days=30)).timestamp() * 1_000))
    assert _items("available_from", in_a_month, TimestampFormat(), TenantSettings()) == []
    told = _items("updated_at", in_a_month, TimestampFormat(), TenantSettings())
    assert told == ["future_timestamp"]
