"""Bodies that are read together give what the strict way gives, and are told so."""

import json
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ingest_service.dedupe.window import Verdict
from ingest_service.pipeline.batch import Result
from ingest_service.readers.events.plain import PlainBody, plain_body, read_together
from ingest_service.readers.events.rows import EventRows
from ingest_service.readers.json.rows import JsonColumns, joined
from ingest_service.sources.events.outcomes import EventResults, EventStatus, told_of
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.contracts.validator import REASON_SCHEMA
from tests.unit.ingest_service.test_event_parsing import (
    _EVENTS,
    _SPACES,
    EVENT,
    LIMITS,
    strict,
)

CONTEXT = {"device_type": "ios", "location": None}
_PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.text(max_size=4) | st.none(),
        "user_id": st.text(max_size=4),
        "timestamp": st.integers(-(2**64), 2**64) | st.none(),
        "context": st.none() | st.just(CONTEXT) | st.just({}),
    },
)


def columns_of(data_type: DataType) -> JsonColumns:
    return JsonColumns.of(data_type, SourceMapping())


def body_of(value: Any, data_type: DataType = DataType.INTERACTIONS) -> PlainBody:
    plain = plain_body(json.dumps(value).encode(), data_type, LIMITS)
    assert plain is not None
    return plain


def check_like_strict(bodies: list[PlainBody]) -> None:
    """What is read together is what the strict way reads, down to the bytes."""
    data_type = bodies[0].data_type
    names = columns_of(data_type).names
    parts = [strict(body.body, data_type) for body in bodies]
    assert [part.count for part in parts] == [body.count for body in bodies]
    expected = joined(parts, names)
    rows = range(len(expected.raws))
    found = EventRows(bodies, columns_of(data_type)).parse(bodies, names)
    assert found.raw(rows) == expected.raw(rows)
    assert found.faults.rows() == expected.faults.rows()
    assert_frame_equal(found.frame, expected.frame.with_columns(pl.all().cast(pl.String)))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(_EVENTS | _PLAIN, min_size=1, max_size=4) | _EVENTS | _PLAIN, _SPACES),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(list(DataType)),
    st.booleans(),
)
def test_a_group_is_read_as_the_strict_way_reads_it(
    values: list[tuple[Any, tuple[str, str]]], data_type: DataType, is_ascii: bool
) -> None:
    bodies = []
    for value, separators in values:
        text = json.dumps(value, ensure_ascii=is_ascii, separators=separators)
        plain = plain_body(text.encode(errors="replace"), data_type, LIMITS)
        if plain is not None:
            bodies.append(plain)
    if bodies:
        check_like_strict(bodies)


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 40), st.booleans())
def test_a_damaged_body_is_no_plain_one(noise: bytes, at: int, cut: int, is_array: bool) -> None:
    event = {**EVENT, "context": CONTEXT}
    body = json.dumps([event, event] if is_array else event).encode()
    plain = plain_body(body[:at] + noise + body[at + cut :], DataType.INTERACTIONS, LIMITS)
    if plain is not None:
        check_like_strict([body_of([EVENT]), plain])


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([EVENT, {**EVENT, "event_id": "é\u2028\U0001f600\x00"}], id="any characters"),
        pytest.param([{**EVENT, "context": CONTEXT}, {**EVENT, "context": None}], id="contexts"),
        pytest.param(EVENT, id="one alone"),
        pytest.param([{}], id="nothing said"),
    ],
)
def test_plain_events_are_read_together(events: Any) -> None:
    bodies = [body_of(events), body_of([EVENT])]
    assert read_together(bodies, columns_of(DataType.INTERACTIONS).names) is not None
    check_like_strict(bodies)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"user_id": "a", "user_id": "b"}', id="a name twice"),
        pytest.param(b'{"user_id": "a", "\\u0075ser_id": "b"}', id="a name twice, escaped"),
        pytest.param(b'{"context": {"location": "a", "location": "b"}}', id="twice within"),
        pytest.param(b'{"user_id": 1}', id="a number where a text is usual"),
        pytest.param(b'{"timestamp": 1.5e12}', id="a time that is not whole"),
        pytest.param(b'{"timestamp": 99999999999999999999}', id="a time of too many digits"),
        pytest.param(b'{"user_id": "a", "other": 1}', id="a name that no field has"),
        pytest.param(b'{"rating": 4}', id="a number, whose digits count"),
        pytest.param(b"[null]", id="no object"),
        pytest.param(b"[[]]", id="an array"),
        pytest.param(b"[5]", id="a number"),
    ],
)
def test_what_is_in_doubt_is_read_one_by_one(body: bytes) -> None:
    plain = plain_body(body, DataType.INTERACTIONS, LIMITS)
    assert plain is not None
    bodies = [body_of([EVENT, EVENT]), plain, body_of(EVENT)]
    assert read_together(bodies, columns_of(DataType.INTERACTIONS).names) is None
    check_like_strict(bodies)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"[", b"[]", b"[1,]", b"{", b"1 2", b"\xff", b"[NaN]", b'{"a":1}]', b" [{}]"),
        *(b'{"a":1},{"b":2}', b'[{"a":"\\ud800"}]', b'[{}]}{"events":[{}]', b'["\xed\xa0\x80"]'),
        json.dumps([EVENT] * 51).encode(),
        json.dumps([EVENT, {"user_id": "x" * 2_000}]).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_not_surely_a_body_of_events_is_none(body: bytes) -> None:
    assert plain_body(body, DataType.INTERACTIONS, LIMITS) is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([Verdict.NEW, Verdict.DUPLICATE]), st.text(max_size=5)),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_answers_by_the_column_say_what_answers_one_by_one_say(
    events: list[tuple[Verdict, str]], cuts: list[int]
) -> None:
    bounds = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})
    sizes = [end - start for start, end in pairwise(bounds)]
    rows = pl.DataFrame(
        {"row": range(len(events)), "event_id": [event_id for _, event_id in events]},
        schema={"row": pl.UInt32, "event_id": pl.String},
    )
    verdicts = pl.Series([int(verdict) for verdict, _ in events], dtype=pl.UInt8)
    whole = Result(len(events), REASON_SCHEMA.to_frame(), rows, verdicts)
    halves = [
        Result(
            1, whole.reasons, rows[at : at + 1].with_columns(row=pl.lit(0)), verdicts[at : at + 1]
        )
        for at in range(len(events))
    ]
    by_column, one_by_one = list(told_of([whole], sizes)), list(told_of(halves, sizes))
    assert [told.received for told in by_column] == sizes
    assert [_said(told) for told in by_column] == [_said(told) for told in one_by_one]
    said = [entry for told in by_column for entry in json.loads(told.results)]
    assert [entry["event_id"] for entry in said] == [event_id for _, event_id in events]


def _said(told: EventResults) -> tuple[dict[EventStatus, int], Any]:
    return {status: told.count(status) for status in EventStatus}, json.loads(told.results)
