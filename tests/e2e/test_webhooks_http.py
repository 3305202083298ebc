"""Webhooks against the real service: signed, stored once, kept when they cannot be mapped."""

import base64
import gzip
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import SourceMapping, TenantSettings, TimestampFormat
from lakehouse.control.connection import connect
from lakehouse.control.database import ControlDatabase, NewSecret
from tests.support.service import RunningService

ORDERS = SourceMapping(
    columns={"user_id": "data.customer", "item_id": "data.sku", "timestamp": "data.at"},
    constants={"interaction_type": "purchase"},
    timestamps={"timestamp": TimestampFormat(unit="iso")},
)
ORDER = {"data": {"customer": "c1", "sku": "s1", "at": "2026-05-01T10:00:00Z"}}


@pytest.fixture(scope="module")
def control(service: RunningService) -> Iterator[ControlDatabase]:
    service.add_tenant("hooked", TenantSettings(sources={"orders": ORDERS}))
    database = ControlDatabase.open(service.lake.control_url)
    yield database
    database.close()


def add(control: ControlDatabase, adapter: str = "generic") -> NewSecret:
    """Add a source of the tenant."""
    is_segment = adapter == "segment"
    return control.webhooks.add(
        "hooked",
        "shop",
        adapter=adapter,
        data_type="clickstream" if is_segment else "interactions",
        mapping="segment" if is_segment else "orders",
    )


def send(
    service: RunningService,
    source: NewSecret,
    body: Any,
    message_id: str,
    *,
    ago: float = 0,
    now: datetime | None = None,
    secret: str | None = None,
) -> httpx.Response:
    """Sign and send a message."""
    content = body if isinstance(body, str) else json.dumps(body)
    moment = (now or datetime.now(UTC)) - timedelta(seconds=ago)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret or source.secret).sign(message_id, moment, content),
        "content-type": "application/json",
    }
    url = f"{service.base_url}/v1/webhooks/{source.source_id}"
    return httpx.post(url, content=content, headers=headers, timeout=30)


def test_a_signed_message_is_stored_by_the_tenants_mapping(
    service: RunningService, control: ControlDatabase
) -> None:
    answer = send(service, add(control), ORDER, "m1")
    assert (answer.status_code, answer.json()["stored"]) == (200, 1)
    (row,) = service.rows(RAW_INTERACTIONS, "hooked")
    assert (row["user_id"], row["interaction_type"], row["source"]) == ("c1", "purchase", "webhook")


def test_only_its_source_may_send(service: RunningService, control: ControlDatabase) -> None:
    source, other = add(control), add(control)
    before = len(service.rows(RAW_INTERACTIONS, "hooked"))
    refused = [
        send(service, source, ORDER, "x1", secret=other.secret),
        send(service, source, ORDER, "x2", ago=301),
        send(service, source, ORDER, "x3", ago=-302),
        send(service, NewSecret("wh_0000000000000000", source.secret), ORDER, "x4"),
    ]
    assert [answer.status_code for answer in refused] == [401, 401, 401, 404]
    control.webhooks.remove(source.source_id)
    assert send(service, source, ORDER, "x5").status_code == 404
    assert len(service.rows(RAW_INTERACTIONS, "hooked")) == before


def test_a_replayed_request_is_refused_and_a_retry_is_known(
    service: RunningService, control: ControlDatabase
) -> None:
    source = add(control, "segment")
    call = {"type": "track", "event": "e", "userId": "u", "timestamp": "2026-05-01T10:00:00Z"}
    before = len(service.rows(RAW_CLICKSTREAM, "hooked"))
    now = datetime.now(UTC)
    first = send(service, source, call, "same", ago=20, now=now)
    replayed = send(service, source, call, "same", ago=20, now=now)
    older = send(service, source, call, "same", ago=25, now=now)
    retried = send(service, source, call, "same")
    assert (first.status_code, first.json()["stored"]) == (200, 1)
    assert [(a.status_code, a.json()["code"]) for a in (replayed, older)] == [
        (409, "replayed_message")
    ] * 2
    assert retried.json()["status"] == "duplicate"
    assert len(service.rows(RAW_CLICKSTREAM, "hooked")) == before + 1


def test_two_secrets_are_good_during_a_rotation(
    service: RunningService, control: ControlDatabase
) -> None:
    source = add(control)
    renewed = control.webhooks.rotate(source.source_id)
    assert send(service, source, ORDER, "r1").status_code == 200
    assert send(service, renewed, ORDER, "r2").status_code == 200
    control.webhooks.retire(source.source_id)
    assert send(service, source, ORDER, "r3").status_code == 401
    assert send(service, renewed, ORDER, "r4").status_code == 200


def test_what_cannot_be_mapped_is_kept_in_quarantine(
    service: RunningService, control: ControlDatabase
) -> None:
    source = add(control, "segment")
    sent = ["not json", {"type": "group"}, {"type": "track", "event": "e"}]
    answers = [send(service, source, body, f"q{n}") for n, body in enumerate(sent)]
    assert [(a.status_code, a.json()["rejected"]) for a in answers] == [(200, 1)] * 3
    kept = {
        row["raw"]: sorted({reason["code"] for reason in row["reasons"]})
        for row in service.rows(RAW_QUARANTINE, "hooked")
    }
    assert kept[b"not json"] == ["bad_json"]
    assert kept[b'{"type": "group"}'] == ["unsupported_event"]
    assert kept[b'{"type": "track", "event": "e"}'] == ["missing_subject", "missing_value"]


def test_a_message_that_a_kill_left_is_stored_by_the_next_start(
    service: RunningService, control: ControlDatabase
) -> None:
    source = add(control)
    session = control.sessions.begin()
    connections = connect(service.lake.control_url)
    with connections.write() as connection:  # as a process that is dead by now
        connection.execute(
            text("update writer_sessions set owner_pid = 999999999 where session_id = :s"),
            {"s": session},
        )
    left = {"data": {**ORDER["data"], "customer": "left"}}
    control.messages.receive(
        source.source_id, "left", int(time.time()), json.dumps(left).encode(), session
    )
    assert send(service, source, left, "left", ago=-5).json()["status"] == "duplicate"
    service.stop()
    service.start()
    deadline = time.monotonic() + 20
    while not [r for r in service.rows(RAW_INTERACTIONS, "hooked") if r["user_id"] == "left"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    def is_kept() -> bool:
        """Whether a message is kept; asked anew, for a read sees one state of the database."""
        with connections.read() as connection:
            kept = text("select count(*) from webhook_messages where payload is not null")
            return bool(connection.execute(kept).scalar())

    while is_kept():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    connections.close()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_the_signature_is_of_the_body_as_it_was_sent(
    service: RunningService, control: ControlDatabase, pack: Callable[[bytes], bytes]
) -> None:
    source, message_id = add(control), f"packed-{pack.__module__}"
    plain = json.dumps({"data": {**ORDER["data"], "sku": message_id}}).encode()
    packed = pack(plain)

    def sent(signed: bytes) -> httpx.Response:
        moment = int(time.time())
        key = base64.b64decode(source.secret.removeprefix("whsec_"))
        found = hmac.new(key, f"{message_id}.{moment}.".encode() + signed, hashlib.sha256)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(moment),
            "webhook-signature": f"v1,{base64.b64encode(found.digest()).decode()}",
            "Content-Encoding": "gzip" if pack is gzip.compress else "zstd",
        }
        url = f"{service.base_url}/v1/webhooks/{source.source_id}"
        return httpx.post(url, content=packed, headers=headers, timeout=60)

    assert sent(plain).status_code == 401
    assert sent(packed).json()["stored"] == 1


def test_what_is_not_signed_is_refused_unread(
    service: RunningService, control: ControlDatabase
) -> None:
    url = urlsplit(service.base_url)
    head = f"POST /v1/webhooks/{add(control).source_id} HTTP/1.1\r\nHost: x\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=20) as line:
        line.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n[")
        assert line.recv(4_096).startswith(b"HTTP/1.1 401 ")
