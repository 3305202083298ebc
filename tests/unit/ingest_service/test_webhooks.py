"""Signatures of webhooks, and how adapters read messages."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks.webhooks as library
from standardwebhooks.webhooks import Webhook

from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.json.rows import JsonColumns, RowTexts
from ingest_service.sources.webhooks.adapters import rows_of
from ingest_service.sources.webhooks.signatures import BadSignatureError, Message, verified
from lakehouse.contracts.tenant import SEGMENT, DataType, SourceMapping
from tests.support.clickstream import (
    ALIAS,
    MORE_SEGMENT_CALLS,
    SEGMENT_CALLS,
    segment_event,
    segment_message,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SENT = 1614265330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(SENT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER = "whsec_" + base64.b64encode(b"another secret of 32 characters..").decode()


class Clock(datetime):
    """The library's clock, which stands where a test puts it."""

    moment = datetime.fromtimestamp(SENT, UTC)

    @classmethod
    def now(cls, tz: Any = None) -> "datetime":  # type: ignore[override]
        return cls.moment


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(library, "datetime", Clock)
    Clock.moment = datetime.fromtimestamp(SENT, UTC)
    return Clock


def test_the_standard_vector_is_accepted() -> None:
    found = verified([SECRET], HEADERS, BODY)
    assert found == Message("msg_p5jXN8AQM9LWM0D4loKWxJek", SENT)


@pytest.mark.parametrize(
    ("seconds", "is_good"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_five_minutes_either_way(clock: type[Clock], seconds: int, is_good: bool) -> None:
    clock.moment = datetime.fromtimestamp(SENT, UTC) + timedelta(seconds=seconds)
    if is_good:
        verified([SECRET], HEADERS, BODY)
        return
    with pytest.raises(BadSignatureError):
        verified([SECRET], HEADERS, BODY)


@pytest.mark.parametrize(
    "body",
    [b'{"test":2432232314}', BODY + b"\n", b" " + BODY, b'{"test": 2432232315}', b"", b"\xff"],
)
def test_a_body_that_differs_by_a_byte_is_refused(body: bytes) -> None:
    with pytest.raises(BadSignatureError):
        verified([SECRET], HEADERS, body)


@pytest.mark.parametrize("missing", list(HEADERS))
def test_every_header_is_needed(missing: str) -> None:
    for value in (None, ""):
        headers = {name: text for name, text in HEADERS.items() if name != missing}
        if value is not None:
            headers[missing] = value
        with pytest.raises(BadSignatureError):
            verified([SECRET], headers, BODY)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-signature", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "v1,!"),
        ("webhook-signature", "v1,a,b"),
        ("webhook-signature", "v1a,x v1"),
        ("webhook-timestamp", f"{SENT}.5"),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "1_614_265_330"),
        ("webhook-timestamp", " 1614265330"),
        ("webhook-id", "msg_other"),
        ("webhook-id", "msg.\u00e9"),
    ],
)
def test_headers_of_any_kind_are_refusals(header: str, value: str) -> None:
    with pytest.raises(BadSignatureError):
        verified([SECRET], {**HEADERS, header: value}, BODY)


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["whsec_????"], [OTHER]])
def test_no_empty_or_other_secret_opens(secrets: list[str]) -> None:
    empty = {
        **HEADERS,
        "webhook-signature": "v1,"
        + base64.b64encode(
            library.hmac_data(b"", f"{HEADERS['webhook-id']}.{SENT}.".encode() + BODY)
        ).decode(),
    }
    for headers in (HEADERS, empty):
        with pytest.raises(BadSignatureError):
            verified(secrets, headers, BODY)


def test_either_secret_of_a_rotation_signs() -> None:
    assert verified([OTHER, SECRET], HEADERS, BODY)
    moment = datetime.fromtimestamp(SENT, UTC)
    by_other = Webhook(OTHER).sign("msg_1", moment, BODY.decode())
    both = {**HEADERS, "webhook-id": "msg_1", "webhook-signature": f"v1,AAAA {by_other}"}
    assert verified([OTHER, SECRET], both, BODY).message_id == "msg_1"
    assert verified([SECRET, OTHER], both, BODY)


LIMITS = EventLimits(100, 100_000)


def read(adapter: str, body: Any, mapping: SourceMapping, data_type: DataType) -> RowTexts:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return rows_of(adapter, text, JsonColumns.of(data_type, mapping), LIMITS)


def test_generic_reads_paths_of_a_mapping() -> None:
    mapping = SourceMapping(columns={"user_id": "data.customer", "item_id": "data.sku|data.id"})
    rows = read(
        "generic",
        [{"data": {"customer": 7, "sku": None, "id": "i"}}, {"data": {"sku": "s"}}],
        mapping,
        DataType.INTERACTIONS,
    )
    assert rows.values["data.customer"] == ["7", None]
    assert rows.values["data.sku|data.id"] == ["i", "s"]


def test_segment_track_and_identify_become_clickstream_events() -> None:
    track = {
        "type": "track",
        "messageId": "m1",
        "event": "Product Viewed",
        "userId": "u1",
        "anonymousId": "a1",
        "timestamp": "2026-05-01T10:00:00.123Z",
        "properties": {"product_id": "p9", "price": 1.50},
        "context": {"page": {"url": "https://shop/x"}},
    }
    identify = {
        "type": "identify",
        "messageId": "m2",
        "userId": "u1",
        "timestamp": "2026-05-01T10:00:00Z",
        "traits": {"plan": "gold"},
    }
    for body in ([track, identify], {"batch": [track, identify]}):
        rows = read("segment", body, SEGMENT, DataType.CLICKSTREAM)
        column = {field: rows.values[name] for field, name in SEGMENT.columns.items()}
        assert column["event_name"] == ["Product Viewed", "identify"]
        assert column["session_id"] == ["a1", "u1"]
        assert column["item_id"] == ["p9", None]
        assert column["url"] == ["https://shop/x", None]
        assert column["event_id"] == ["m1", "m2"]
        assert [
            json.loads(text or "")["price" if n == 0 else "plan"]
            for n, text in enumerate(column["properties"])
        ] == [1.5, "gold"]
        assert rows.faults == []


@pytest.mark.parametrize("name", [*SEGMENT_CALLS, *MORE_SEGMENT_CALLS])
def test_the_calls_of_segments_specification_are_read_as_the_models_are_tried_on_them(
    name: str,
) -> None:
    sent = segment_message("m1", name, "u1", minutes=3)
    rows = read("segment", sent, SEGMENT, DataType.CLICKSTREAM)
    assert rows.faults == []
    column = {field: rows.values[path][0] for field, path in SEGMENT.columns.items()}
    expected = segment_event("m1", name, "u1", minutes=3)
    assert json.loads(column.pop("properties") or "") == json.loads(expected.pop("properties"))
    assert datetime.fromisoformat(column.pop("timestamp") or "") == expected.pop("event_time")
    assert column == expected


@pytest.mark.parametrize("call", [{"type": "group"}, {"type": "page"}, ALIAS, {}, {"type": 5}])
def test_other_calls_of_segment_are_faults(call: dict[str, Any]) -> None:
    rows = read("segment", call, SEGMENT, DataType.CLICKSTREAM)
    assert [(row, code) for row, code, *_ in rows.faults] == [(0, "unsupported_event")]


@pytest.mark.parametrize("body", [b"", b"no json", b'{"a"', b"[]", b"\xff\xfe", b'{"batch": 5'])
@pytest.mark.parametrize("adapter", ["generic", "segment"])
def test_what_is_no_json_is_one_row_with_its_bytes(adapter: str, body: bytes) -> None:
    rows = read(adapter, body, SourceMapping(), DataType.CLICKSTREAM)
    assert rows.raws == [body]
    assert [code for _, code, *_ in rows.faults] == ["bad_json"]
