"""The Events API against the real service: durable, answered per event, within limits."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_QUARANTINE,
)
from lakehouse.contracts.tenant import Quotas, SourceMapping, TenantSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.service import RunningService

MOMENT = 1_767_225_600_000


def event(number: int, **values: Any) -> dict[str, Any]:
    """Return a good interaction."""
    return {
        "event_id": f"e{number}",
        "user_id": f"u{number}",
        "item_id": "i",
        "interaction_type": "click",
        "timestamp": MOMENT + number,
        **values,
    }


class Client:
    """A tenant that sends events."""

    def __init__(self, service: RunningService, tenant: str, settings: Any = None) -> None:
        self.tenant = tenant
        self.service = service
        key = service.add_tenant(tenant, settings)
        self.http = httpx.Client(
            base_url=service.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def send(self, body: Any, path: str = "events", **options: Any) -> httpx.Response:
        return self.http.post(f"/v1/{path}", json=body, **options)


@pytest.fixture
def client(service: RunningService, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A tenant of the test's own."""
    made = Client(service, f"t{abs(hash(request.node.name)) % 10**9}")
    yield made
    made.http.close()


def test_a_stored_event_is_in_raw_when_it_is_answered(client: Client) -> None:
    answer = client.send(event(1, context={"device_type": "iOS"}))

    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("batch_id")
    assert body == {
        "received": 1,
        "stored": 1,
        "duplicate": 0,
        "rejected": 0,
        "suppressed": 0,
        "queued": 0,
        "skipped": 0,
        "results": [{"status": "stored", "event_id": "e1"}],
    }
    (row,) = client.service.rows(RAW_INTERACTIONS, client.tenant)
    assert (row["user_id"], row["source"], row["source_ref"]) == ("u1", "api", "event:0000000001")
    assert row["context"]["device_type"] == "ios"


def test_each_event_is_told_what_became_of_it(client: Client) -> None:
    client.send([event(1), event(2)])
    wrong = {"user_id": " ", "item_id": "i", "interaction_type": "gaze", "timestamp": "soon"}
    answer = client.send([event(1), event(3), wrong, event(2, item_id="other"), event(3)])

    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [found["status"] for found in results] == [
        "duplicate",
        "stored",
        "rejected",
        "rejected",
        "duplicate",
    ]
    assert [(r["code"], r["field"]) for r in results[2]["reasons"]] == [
        ("missing_value", "user_id"),
        ("unknown_interaction_type", "interaction_type"),
        ("bad_timestamp", "timestamp"),
    ]
    assert [r["code"] for r in results[3]["reasons"]] == ["conflicting_event"]
    kept = client.service.rows(RAW_QUARANTINE, client.tenant)
    assert sorted(json.loads(row["raw"])["item_id"] for row in kept) == ["i", "other"]
    counts = [
        (e["received"], e["stored"], e["duplicate"], e["quarantined"])
        for e in client.service.rows(OPS_INGEST_LEDGER, client.tenant)
    ]
    assert sorted(counts) == [(2, 2, 0, 0), (5, 1, 2, 2)]


def test_a_request_of_wrong_events_alone_is_422(client: Client) -> None:
    answer = client.send([{"user_id": "a"}, 5])
    assert answer.status_code == 422
    assert answer.json()["rejected"] == 2


def test_items_and_clickstream_have_endpoints_of_their_own(client: Client) -> None:
    item = {"item_id": "a", "price": 1.10, "attributes": {"size": 9}}
    assert client.send(item, "items").json()["stored"] == 1
    assert client.send(item, "items").json()["duplicate"] == 1
    click = {"event_name": "search", "session_id": "s", "anonymous_id": "x", "timestamp": MOMENT}
    assert client.send([click], "clickstream").json()["stored"] == 1
    (row,) = client.service.rows(RAW_ITEMS, client.tenant)
    assert (str(row["price"]), row["attributes"]) == ("1.1000", '{"size":9}')
    assert len(client.service.rows(RAW_CLICKSTREAM, client.tenant)) == 1


def test_a_packed_body_is_the_same_request(client: Client) -> None:
    body = gzip.compress(json.dumps([event(n) for n in range(40)]).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = client.http.post("/v1/events", content=body, headers=headers)
    assert answer.json()["stored"] == 40
    damaged = client.http.post("/v1/events", content=body[:-9], headers=headers)
    assert (damaged.status_code, damaged.json()["code"]) == (400, "damaged_pack")


def test_a_mapping_reads_a_tenants_own_names(service: RunningService) -> None:
    mapping = SourceMapping(
        columns={"user_id": "who.id", "item_id": "what"}, constants={"interaction_type": "view"}
    )
    files = SourceMapping(skip_lines=1)
    client = Client(service, "mapped", TenantSettings(sources={"shop": mapping, "files": files}))
    sent = {"who": {"id": 7}, "what": "w", "timestamp": MOMENT}
    assert client.send(sent, params={"mapping": "shop"}).json()["stored"] == 1
    (row,) = service.rows(RAW_INTERACTIONS, "mapped")
    assert (row["user_id"], row["interaction_type"]) == ("7", "view")
    of_lines = client.send(sent, params={"mapping": "files"})
    assert (of_lines.status_code, of_lines.json()["code"]) == (400, "unknown_mapped_field")
    unknown = client.send(sent, params={"mapping": "none"})
    client.http.close()
    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_mapping")


def test_requests_at_once_share_commits_and_add_up(client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        sent = [[event(n * 10 + m) for m in range(12)] for n in range(48)]  # neighbours overlap
        answers = list(pool.map(client.send, sent))
    assert {answer.status_code for answer in answers} == {200}
    told = [found for answer in answers for found in answer.json()["results"]]
    stored = [found["event_id"] for found in told if found["status"] == "stored"]
    rows = client.service.rows(RAW_INTERACTIONS, client.tenant)
    assert (
        sorted(stored)
        == sorted(row["event_id"] for row in rows)
        == sorted(f"e{n}" for n in range(482))
    )
    batches = {answer.json()["batch_id"] for answer in answers}
    assert len(batches) < 40, "requests that come together share a commit"
    check = check_ledger(Lake(client.service.lake))
    assert not check.wrong
    assert check.unfinished == 0


def test_an_idempotency_key_gets_the_first_answer_again(client: Client) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = client.send([event(1), {"user_id": "x"}], headers=key)
    again = client.send([event(1), {"user_id": "x"}], headers=key)
    other = client.send(event(2), headers=key)
    assert (first.status_code, again.status_code) == (207, 207)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(client.service.rows(OPS_INGEST_LEDGER, client.tenant)) == 1
    url = f"/v1/tenants/{client.tenant}/ingest/uploads"
    assert client.http.get(url).json() == {"uploads": []}


def test_limits_are_answered_413(client: Client) -> None:
    large = client.send(event(1, location="x" * 33_000))
    many = client.send([event(n) for n in range(5_001)])
    assert (large.status_code, large.json()["code"]) == (413, "event_too_large")
    assert (many.status_code, many.json()["code"]) == (413, "too_many_events")
    assert client.service.rows(RAW_INTERACTIONS, client.tenant) == []


def test_an_announced_size_is_refused_before_the_body_comes(client: Client) -> None:
    head = _head(client, "Content-Length: 99000000")
    with _connected(client) as line:
        line.sendall(head)
        assert line.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_over_the_limit_is_refused(client: Client) -> None:
    head = _head(client, "Transfer-Encoding: chunked")
    piece = b"10000\r\n" + b"[" * 65_536 + b"\r\n"
    with _connected(client) as line:
        line.sendall(head)
        for _ in range(90):
            line.sendall(piece)
        assert line.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_bomb_of_gzip_is_refused(client: Client) -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b" " * (1024 * 1024)
    bomb = b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    assert len(bomb) < 300_000
    before = client.service.peak_rss_mb
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = client.http.post("/v1/events", content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert client.service.peak_rss_mb - before < 60


def test_a_rate_is_held_and_the_answer_says_how_long_to_wait(service: RunningService) -> None:
    quotas = Quotas(events_per_second=20, burst_seconds=5)
    client = Client(service, "fast", TenantSettings(quotas=quotas))
    assert client.send([event(n) for n in range(160)]).status_code == 200, "a burst, and beyond it"
    refused = client.send(event(998))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    time.sleep(int(refused.headers["Retry-After"]))
    assert client.send(event(999)).status_code == 200
    client.http.close()


def test_a_daily_quota_holds_until_midnight(service: RunningService) -> None:
    client = Client(service, "daily", TenantSettings(quotas=Quotas(events_per_day=10)))
    assert client.send([event(n) for n in range(10)]).status_code == 200
    refused = client.send(event(11))
    assert (refused.status_code, refused.json()["code"]) == (429, "daily_quota")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    client.http.close()


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        pytest.param(b"{", {"Content-Type": "application/json"}, 400, "bad_json", id="cut off"),
        pytest.param(b"\xff", {"Content-Type": "application/json"}, 400, "bad_json", id="no text"),
        pytest.param(b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_body", id="a type"),
        pytest.param(
            b"{}",
            {"Content-Type": "application/json", "Content-Encoding": "br"},
            415,
            "unsupported_body",
            id="a packing",
        ),
        pytest.param(
            b"{}",
            {"Content-Type": "application/json", "Idempotency-Key": "\x80"},
            400,
            "bad_idempotency_key",
            id="a key",
        ),
    ],
)
def test_what_cannot_be_read_is_a_problem(
    client: Client, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = client.http.post("/v1/events", content=content, headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def _head(client: Client, *lines: str) -> bytes:
    key = client.service.keys[client.tenant]
    fixed = ["POST /v1/events HTTP/1.1", "Host: x", f"X-API-Key: {key}"]
    return "\r\n".join([*fixed, "Content-Type: application/json", *lines, "", ""]).encode()


def _connected(client: Client) -> socket.socket:
    url = urlsplit(client.service.base_url)
    return socket.create_connection((url.hostname, url.port), timeout=20)
