"""The dedupe window beside a dictionary."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.dedupe import segments
from ingest_service.dedupe.segments import Segment, Storage, sorted_prints
from ingest_service.dedupe.window import BatchWindow, DedupeWindows, NoHistory, Verdict
from lakehouse.contracts.tenant import DataType
from tests.support.examples import examples

EVENTS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans()), max_size=8),
    max_size=6,
)
BATCHES = st.lists(
    st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), max_size=12), max_size=4),
    max_size=8,
)
"""Batches of pieces of rows."""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment on disk has several blocks, however few rows."""
    monkeypatch.setattr(segments, "BLOCK_ROWS", 4)


def prints(events: list[tuple[int, int]]) -> pl.DataFrame:
    """Fingerprints of (key, payload) pairs."""
    return pl.DataFrame(events, schema={"key": pl.UInt128, "payload": pl.UInt64}, orient="row")


@settings(max_examples=examples(100), deadline=None)
@given(EVENTS, st.sampled_from([0, 2, 1_000]))
def test_events_like_a_dictionary(
    chunks: list[list[tuple[int, int, bool]]], rows_in_memory: int
) -> None:
    window = BatchWindow([], Storage(rows_in_memory))
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


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=20),
    st.sampled_from([0, 2, 1_000]),
)
def test_states_one_at_a_time_like_the_last_known(
    states: list[tuple[int, int]], rows_in_memory: int
) -> None:
    window = BatchWindow([], Storage(rows_in_memory))
    last: dict[int, int] = {}
    for number, (item, payload) in enumerate(states):
        if number % 5 == 4:  # as another batch: what is known is not to be changed
            window = BatchWindow(window.segments, Storage(rows_in_memory))
        (found,) = window.judge(prints([(item, payload)]), pl.Series([True])).to_list()
        assert found == (Verdict.DUPLICATE if last.get(item) == payload else Verdict.NEW)
        last[item] = payload


class Promise:
    """What the window must know: the newest `limit` events, and all that came with the oldest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.stored: list[dict[int, int]] = []

    def known(self) -> dict[int, int]:
        """Return payloads by key."""
        known, room = dict[int, int](), self.limit
        for batch in reversed(self.stored):
            if room > 0:
                known = {**batch, **known}
            room -= len(batch)
        return known

    def ever(self, key: int) -> set[int]:
        """Return all payloads that were ever stored under a key."""
        return {batch[key] for batch in self.stored if key in batch}

    def check(self, key: int, payload: int, before: int | None, verdict: int) -> None:
        """A verdict is right; the window may know more, but nothing that is not so."""
        if before == payload:
            assert verdict == Verdict.DUPLICATE
        elif before is not None:
            assert verdict != Verdict.NEW
        if before is None and verdict == Verdict.CONFLICT:
            assert self.ever(key)
            assert payload not in self.ever(key)
        if before != payload and verdict == Verdict.DUPLICATE:
            assert payload in self.ever(key)


@settings(max_examples=examples(100), deadline=None)
@given(BATCHES, st.integers(1, 30))
def test_every_batch_meets_all_that_the_window_promises(
    batches: list[list[list[tuple[int, int]]]], limit: int
) -> None:
    events, promise = DedupeWindows(limit, limit).of("acme", DataType.INTERACTIONS), Promise(limit)
    for number, pieces in enumerate(batches):
        own, known = dict[int, int](), promise.known()
        with events.batch(NoHistory(), "acme", DataType.INTERACTIONS) as session:
            window = session.start()
            for piece in pieces:
                verdicts = window.judge(prints(piece)).to_list()
                for (key, payload), verdict in zip(piece, verdicts, strict=True):
                    promise.check(key, payload, own.get(key, known.get(key)), verdict)
                    if verdict == Verdict.NEW:
                        own[key] = payload
            session.publish(window, f"b{number}", len(own))
        promise.stored.append(own)
        # what it knows beyond is bounded: batches are put together up to an eighth
        assert len(promise.known()) <= events.row_count
        assert events.row_count <= limit + max(map(len, promise.stored)) + limit // 8


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 80), st.integers(1, 30), st.integers(4, 20))
def test_a_batch_of_any_size_is_known_when_it_comes_again(
    rows: int, limit: int, piece: int
) -> None:
    events = DedupeWindows(limit, limit).of("acme", DataType.INTERACTIONS)
    for expected in ({Verdict.NEW}, {Verdict.DUPLICATE}, {Verdict.DUPLICATE}):
        with events.batch(NoHistory(), "acme", DataType.INTERACTIONS) as session:
            window = session.start()
            for start in range(0, rows, piece):
                some = range(start, min(start + piece, rows))
                assert {*window.judge(prints([(key, 7) for key in some]))} == expected
            session.publish(window, "b")


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=30), min_size=1))
def test_what_is_merged_on_disk_is_what_was_in_memory(parts: list[list[int]]) -> None:
    keys = {key for part in parts for key in part}
    sorted_parts = [sorted_prints(prints([(k, k % 7) for k in part]))[0] for part in parts]
    merged = Storage(0).merged([Segment.of(part) for part in sorted_parts])
    assert merged.rows_in_memory == 0
    rows, _ = sorted_prints(prints([(key, key % 7) for key in sorted(keys)]))
    assert all(found.all() for found in merged.compare(rows))
    others = prints([(key ^ 1 << 64, 0) for key in sorted(keys) if key ^ 1 << 64 not in keys])
    assert not any(found.any() for found in merged.compare(sorted_prints(others)[0]))
    assert merged.without(rows).height == 0


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
    for tenant in ("a", "b", "c", "d"):
        with windows.of(tenant, DataType.ITEMS).batch(NoHistory(), tenant, DataType.ITEMS) as s:
            for number in range(10):
                window = s.start()
                window.judge(prints([(number, 0)]))
                s.publish(window, f"b{number}")

    assert windows.of("d", DataType.ITEMS).row_count == 10
    assert windows.of("a", DataType.ITEMS).row_count == 0
