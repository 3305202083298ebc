"""The dedupe window beside a dictionary."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.dedupe.window import BatchWindow, DedupeWindows, NoHistory, Verdict
from lakehouse.contracts.tenant import DataType

EVENTS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans()), max_size=8),
    max_size=6,
)


def prints(events: list[tuple[int, int]]) -> pl.DataFrame:
    """Fingerprints of (key, payload) pairs."""
    return pl.DataFrame(events, schema={"key": pl.UInt128, "payload": pl.UInt64}, orient="row")


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_events_like_a_dictionary(chunks: list[list[tuple[int, int, bool]]]) -> None:
    window = BatchWindow([], 1_000)
    known: dict[int, int] = {}
    for chunk in chunks:
        expected = []
        for event, payload, _ in chunk:
            if event not in known:
                known[event] = payload
                expected.append(Verdict.NEW)
            elif known[event] == payload:
                expected.append(Verdict.DUPLICATE)
            else:
                expected.append(Verdict.CONFLICT)
        found = window.judge(prints([(event, payload) for event, payload, _ in chunk]))
        assert found.to_list() == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=20))
def test_states_one_at_a_time_like_the_last_known(states: list[tuple[int, int]]) -> None:
    window = BatchWindow([], 1_000)
    last: dict[int, int] = {}
    for item, payload in states:
        (found,) = window.judge(prints([(item, payload)]), pl.Series([True])).to_list()
        assert found == (Verdict.DUPLICATE if last.get(item) == payload else Verdict.NEW)
        last[item] = payload


def test_window_keeps_the_newest() -> None:
    window = BatchWindow([], 5)
    window.judge(prints([(n, 0) for n in range(4)]))
    window.judge(prints([(n, 0) for n in range(4, 8)]))

    assert sum(segment.height for segment in window.segments) == 5
    found = window.judge(prints([(n, 0) for n in range(3)] + [(7, 0)])).to_list()
    assert found == [Verdict.NEW, Verdict.NEW, Verdict.NEW, Verdict.DUPLICATE]


def test_batch_that_is_not_published_leaves_the_window_as_it_was() -> None:
    events = DedupeWindows().of("acme", DataType.INTERACTIONS)
    with events.batch(NoHistory(), "acme", DataType.INTERACTIONS) as session:
        session.start().judge(prints([(1, 1)]))
        second = session.start()
        assert second.judge(prints([(1, 1)])).to_list() == [Verdict.NEW]
        session.publish(second, "b")
    with events.batch(NoHistory(), "acme", DataType.INTERACTIONS) as session:
        assert session.start().judge(prints([(1, 1)])).to_list() == [Verdict.DUPLICATE]


def test_least_recently_used_tenants_are_dropped_when_the_total_grows() -> None:
    windows = DedupeWindows(rows=10, total_rows=20)
    for tenant in ("a", "b", "c"):
        with windows.of(tenant, DataType.ITEMS).batch(NoHistory(), tenant, DataType.ITEMS) as s:
            window = s.start()
            window.judge(prints([(n, 0) for n in range(10)]))
            s.publish(window, "b")

    assert windows.of("c", DataType.ITEMS).row_count == 10
    assert windows.of("a", DataType.ITEMS).row_count == 0
