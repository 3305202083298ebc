"""Times that decide what is newer never stand still or go back."""

from datetime import UTC, datetime, timedelta

from eta_client.events import item
from ingest_service.clock import RisingClock

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_each_time_is_later_than_the_one_before() -> None:
    readings = iter([NOON, NOON, NOON - timedelta(hours=1), NOON + timedelta(seconds=1)])
    clock = RisingClock(lambda: next(readings))
    micro = timedelta(microseconds=1)
    assert [clock() for _ in range(4)] == [
        NOON,
        NOON + micro,
        NOON + 2 * micro,
        NOON + timedelta(seconds=1),
    ]


def test_items_of_one_millisecond_are_dated_in_their_order() -> None:
    times = [item("i", {"price": price})["updated_at"] for price in range(2_000)]
    assert times == sorted(set(times))
    assert item("i", {"updated_at": 5})["updated_at"] == 5
