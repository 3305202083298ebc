"""The body of an events request, and that the quick way reads it exactly as the strict one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.readers.events.parsing import (
    BadEventsError,
    EventLimits,
    TooLargeError,
    parse_events,
)
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.json.rows import JsonColumns, RowTexts, texts_of
from lakehouse.contracts.tenant import DataType, SourceMapping

LIMITS = EventLimits(events=50, event_bytes=2_000)
EVENT = {"user_id": "u", "item_id": "i", "interaction_type": "click", "timestamp": 5}


def strict(body: bytes, data_type: DataType) -> RowTexts:
    columns = JsonColumns.of(data_type, SourceMapping())
    records = parse_events(body, LIMITS)
    return texts_of(records, columns)


_NAMES = sorted(
    {field.name for kind in DataType for field in kind.definition.fields} | {"context", "x"}
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(['":', "\\", "é\u2028", '{"a":1}'])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(_NAMES), inner, max_size=3)
    ),
    max_leaves=5,
)
_EVENTS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)
_SPACES = st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", " : ")])


@given(
    st.lists(_EVENTS | st.just(EVENT), min_size=1, max_size=5) | _EVENTS,
    st.sampled_from(list(DataType)),
    _SPACES,
    st.booleans(),
)
def test_the_quick_way_reads_what_the_strict_one_does(
    value: Any, data_type: DataType, separators: tuple[str, str], is_ascii: bool
) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii, separators=separators).encode(errors="replace")
    quick = quick_texts(body, data_type, LIMITS)
    if quick is None:
        return
    read = strict(body, data_type)
    assert quick.raws == read.raws
    assert quick.values == {
        name: [_plain(v) for v in column] for name, column in read.values.items()
    }
    assert quick.faults == read.faults == []


def _plain(value: str | None) -> str | None:
    return None if value is None else str(value)


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 40), st.booleans())
def test_damaged_bodies_are_read_alike(noise: bytes, at: int, cut: int, is_array: bool) -> None:
    event = {**EVENT, "rating": 1.50, "context": {"device_type": "ios"}}
    body = json.dumps([event, event] if is_array else event).encode()
    body = body[:at] + noise + body[at + cut :]
    quick = quick_texts(body, DataType.INTERACTIONS, LIMITS)
    if quick is not None:
        read = strict(body, DataType.INTERACTIONS)
        assert (quick.raws, quick.faults) == (read.raws, read.faults)


@pytest.mark.parametrize(
    ("body", "data_type"),
    [
        pytest.param(EVENT, DataType.INTERACTIONS, id="one interaction"),
        pytest.param([EVENT, {**EVENT, "rating": 4.5}], DataType.INTERACTIONS, id="several"),
        pytest.param(
            {**EVENT, "context": {"device_type": "ios", "location": None}},
            DataType.INTERACTIONS,
            id="a context",
        ),
        pytest.param(
            {"item_id": "a", "price": 3.10, "is_active": True, "attributes": {"a": {"b": [1]}}},
            DataType.ITEMS,
            id="an item",
        ),
        pytest.param(
            {"event_name": "e", "session_id": "s", "user_id": "u", "properties": {"q": "x"}},
            DataType.CLICKSTREAM,
            id="clickstream",
        ),
    ],
)
def test_plain_events_take_the_quick_way(body: Any, data_type: DataType) -> None:
    text = json.dumps(body).encode()
    quick = quick_texts(text, data_type, LIMITS)
    assert quick is not None
    assert quick.values == {
        name: [_plain(v) for v in column] for name, column in strict(text, data_type).values.items()
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"user_id": "a", "user_id": "b"}', id="a name twice"),
        pytest.param(b'{"user_id": "a", "user_id" : "b"}', id="a name twice, spaced"),
        pytest.param(b'{"user_id": "a", "\\u0075ser_id": "b"}', id="a name twice, escaped"),
        pytest.param(b'{"user_id": 1.10}', id="a number where a text is usual"),
        pytest.param(b'{"user_id": "\\ud800"}', id="half a character"),
        pytest.param(b'{"user_id": "a", "timestamp": 1.5e12}', id="a time that is not whole"),
        pytest.param(b'{"user_id": "a", "other": 1}', id="a name that no field has"),
        pytest.param(b'{"rating": NaN}', id="not a number"),
    ],
)
def test_what_is_in_doubt_is_left_to_the_strict_way(body: bytes) -> None:
    assert quick_texts(body, DataType.INTERACTIONS, LIMITS) is None
    assert quick_texts(b"[" + body + b"]", DataType.INTERACTIONS, LIMITS) is None


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[", b"[]", b"[1,]", b"[1 2]", b"{", b"1 2", b"\xff", b"[NaN", b'{"a":1}]'],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadEventsError):
        parse_events(body, LIMITS)
    assert quick_texts(body, DataType.ITEMS, LIMITS) is None


def test_limits_count_events_and_their_bytes() -> None:
    assert len(parse_events(json.dumps([EVENT] * 50).encode(), LIMITS)) == 50
    with pytest.raises(TooLargeError) as many:
        parse_events(json.dumps([EVENT] * 51).encode(), LIMITS)
    with pytest.raises(TooLargeError) as large:
        parse_events(json.dumps([EVENT, {"a": "x" * 2_000}]).encode(), LIMITS)
    assert (many.value.code, large.value.code) == ("too_many_events", "event_too_large")
    assert "event 1 " in large.value.message


def test_an_event_that_is_wrong_in_itself_leaves_the_others_readable() -> None:
    deep = "[" * 70 + "]" * 70
    body = (
        f'[{{"user_id": "a"}}, 5, {{"a": 1, "a": 2}}, {{"x": {deep}}}, {{"rating": NaN}},'
        r'{"user_id": "\ud800"}, -Infinity, {"user_id": "\ud83d\ude00"}]'
    ).encode()
    read = strict(body, DataType.INTERACTIONS)
    assert [(row, code) for row, code, *_ in read.faults] == [
        (1, "bad_json"),
        (2, "repeated_name"),
        (3, "bad_json"),
        (4, "bad_json"),
        (5, "bad_json"),
        (6, "bad_json"),
    ]
    assert read.raws[4:7] == [b'{"rating": NaN}', rb'{"user_id": "\ud800"}', b"-Infinity"]
    assert read.values["user_id"][7] == "\U0001f600"
    assert read.raws[1] == b"5"
