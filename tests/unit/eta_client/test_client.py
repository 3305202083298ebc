"""The client without a service: what it keeps, what it sends again and when."""

import ast
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eta_client
from eta_client import (
    AsyncEtaClient,
    ClientOptions,
    EtaClient,
    EventTooLargeError,
    FlushTimeoutError,
    Rejected,
    SdkError,
    SpoolFullError,
    Warned,
)
from eta_client.delivery import Delivery, retry_after
from eta_client.events import item
from eta_client.spool import LEASE_SECONDS, Batch, Spool

KEY = "eta_0000_secretsecretsecret"


def test_it_imports_httpx_and_the_standard_library_alone() -> None:
    allowed = {*sys.stdlib_module_names, "eta_client", "httpx"}
    files = list(Path(eta_client.__file__).parent.glob("**/*.py"))
    assert len(files) >= 8
    for file in files:
        nodes = list(ast.walk(ast.parse(file.read_text())))
        names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        names += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
        assert {name.partition(".")[0] for name in names} <= allowed, file.name


class Service(ThreadingHTTPServer):
    """Answers what a test tells it to; remembers what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[tuple[int, dict[str, str], Any]] = []
        self.received: list[tuple[str, list[dict[str, Any]]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        events = json.loads(body)
        self.server.received.append((self.path, events))
        stored = {"results": [{"status": "stored"} for _ in events]}
        status, headers, answer = self.server.plan.pop(0) if self.server.plan else (200, {}, stored)
        content = json.dumps(answer if answer is not None else stored).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def options(tmp_path: Path) -> ClientOptions:
    return ClientOptions(spool=tmp_path / "a.spool", flush_seconds=0.02, first_wait=0.01)


def url(service: Service) -> str:
    return f"http://127.0.0.1:{service.server_address[1]}"


def test_events_are_sent_in_batches_and_forgotten(service: Service, options: ClientOptions) -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    with EtaClient(url(service), KEY, options=options) as client:
        ids = [client.track("u", f"i{n}", "click", timestamp=moment) for n in range(30)]
        client.upsert_item("i1", title="A", price=2.5, updated_at=moment)
        client.upsert_user("u", consent={"training": False}, updated_at=moment)
        client.flush(10)
        assert client.waiting == 0
    sent = [event for path, events in service.received if path == "/v1/events" for event in events]
    assert [event["event_id"] for event in sent] == ids
    assert sent[0]["timestamp"] == 1_777_593_600_000
    (items,) = [events for path, events in service.received if path == "/v1/items"]
    assert items[0]["updated_at"] == 1_777_593_600_000
    (users,) = [events for path, events in service.received if path == "/v1/users"]
    agreed = {"training": False}
    assert users == [{"user_id": "u", "consent": agreed, "updated_at": 1_777_593_600_000}]
    assert KEY not in repr(client)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 401])
def test_what_is_not_stored_is_sent_again(
    service: Service, options: ClientOptions, status: int
) -> None:
    service.plan = [(status, {}, {"code": "x"})] * 2
    with EtaClient(url(service), KEY, options=options) as client:
        event_id = client.track("u", "i", "view")
        client.flush(10)
    ids = [events[0]["event_id"] for _, events in service.received]
    assert ids == [event_id] * 3


def test_rejected_events_are_told_and_not_sent_again(
    service: Service, options: ClientOptions
) -> None:
    reasons = [{"code": "bad_timestamp", "field": "timestamp", "reason": "no"}]
    service.plan = [
        (207, {}, {"results": [{"status": "stored"}, {"status": "rejected", "reasons": reasons}]})
    ]
    told: list[Rejected] = []
    client = EtaClient(url(service), KEY, options=options, on_rejected=told.append)
    client._spool.add("/v1/events", b'{"user_id":"a"}')
    client._spool.add("/v1/events", b'{"user_id":"b"}')
    client.close()
    assert [(r.event, r.reasons) for r in told] == [({"user_id": "b"}, reasons)]
    assert len(service.received) == 1


def test_a_batch_that_is_too_much_is_halved_until_the_one_is_found(
    service: Service, options: ClientOptions
) -> None:
    service.plan = [(413, {}, {"code": "too_large"})] * 3
    told: list[Rejected] = []
    client = EtaClient(url(service), KEY, options=options, on_rejected=told.append)
    with client._spool._lock:  # so that the four are one batch
        for n in range(4):
            client._spool._database.execute(
                "insert into events (path, body) values ('/v1/events', ?)",
                (json.dumps({"n": n}).encode(),),
            )
    client.close()
    sizes = [len(events) for _, events in service.received]
    assert sizes[:3] == [4, 2, 1]
    assert [r.event for r in told] == [{"n": 0}]
    assert sum(len(events) for _, events in service.received[3:]) == 3


def test_nothing_is_lost_when_nobody_answers(options: ClientOptions, service: Service) -> None:
    client = EtaClient("http://127.0.0.1:9", KEY, options=options)
    client.track("u", "i", "like", event_id="kept")
    with pytest.raises(FlushTimeoutError):
        client.flush(0.1)
    client.close(0.1)
    with pytest.raises(SdkError):
        client.track("u", "i", "like")
    with EtaClient(url(service), KEY, options=options) as later:
        later.flush(10)
    assert service.received[0][1][0]["event_id"] == "kept"


def test_a_killed_program_has_lost_nothing(service: Service, options: ClientOptions) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from eta_client import *\n"
        "options = ClientOptions(spool=pathlib.Path(sys.argv[1]))\n"
        "client = EtaClient('http://127.0.0.1:9', 'k', options=options)\n"
        "for n in range(50): client.track('u', 'i', 'view', event_id=f'e{n}')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(options.spool)])
    assert done.returncode == -9
    spool = Spool(options.spool or Path(), options)
    spool._database.execute("update events set leased_until = 0")  # as after a minute
    spool.close()
    with EtaClient(url(service), KEY, options=options) as client:
        client.flush(10)
    ids = [event["event_id"] for _, events in service.received for event in events]
    assert sorted(ids) == sorted(f"e{n}" for n in range(50))


def test_the_async_client_does_the_same(service: Service, options: ClientOptions) -> None:
    import asyncio

    service.plan = [(503, {"Retry-After": "0"}, {})]
    told: list[Rejected] = []

    async def program() -> list[str]:
        made = AsyncEtaClient(url(service), KEY, options=options, on_rejected=told.append)
        async with made as client:
            ids = [client.track("u", "i", "view") for _ in range(20)]
            client.upsert_item("i", title="T")
            await client.flush(10)
            assert client.waiting == 0
        assert KEY not in repr(client)
        with pytest.raises(SdkError):
            client.track("u", "i", "view")
        return ids

    ids = asyncio.run(program())
    sent = [e["event_id"] for path, events in service.received if "events" in path for e in events]
    assert sorted(set(sent)) == sorted(ids)
    assert told == []


def test_two_senders_of_one_spool_share_its_events(options: ClientOptions) -> None:
    now = [1_000.0]
    first = Spool(options.spool or Path(), options, lambda: now[0])
    second = Spool(options.spool or Path(), options, lambda: now[0])
    for n in range(6):
        first.add("/v1/events", b"%d" % n)
    mine, others = first.lease(4, 1_000), second.lease(4, 1_000)
    assert mine is not None
    assert others is not None
    assert (mine.bodies, others.bodies) == ((b"0", b"1", b"2", b"3"), (b"4", b"5"))
    assert first.lease(4, 1_000) is None
    second.drop(others)
    now[0] += LEASE_SECONDS
    again = second.lease(10, 1_000)
    assert again is not None
    assert again.bodies == mine.bodies
    first.close()
    second.close()


def test_limits_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    small = ClientOptions(spool=tmp_path / "s", spool_bytes=330, event_bytes=200)
    client = EtaClient("http://127.0.0.1:9", KEY, options=small)
    with pytest.raises(EventTooLargeError) as raised:
        client.track("u" * 300, "i", "view")
    message, remedy = raised.value.message, raised.value.remedy
    assert str(raised.value) == f"{message}\n  What to do: {remedy}"
    for _ in range(2):
        client.track("u", "i", "view")
    with pytest.raises(SpoolFullError):
        client.track("u", "i", "view")
    client.close(0)
    (tmp_path / "dir").mkdir()
    with pytest.raises(SdkError):
        EtaClient("http://x", KEY, options=ClientOptions(spool=tmp_path / "dir"))


@given(st.integers(0, 40), st.sampled_from(["", "3", "7", "x", "-1", "1e9", "99999999"]))
def test_waits_grow_are_random_and_never_shorter_than_asked(failures: int, header: str) -> None:
    options = ClientOptions(first_wait=0.5, longest_wait=60)
    delivery = Delivery(options, lambda low, high: high)
    batch = Batch("/v1/events", (1,), (b"{}",))
    for _ in range(failures):
        delivery.no_answer("x")
    asked = retry_after(header)
    wait = delivery.answered(batch, 503, {"retry-after": header}, b"").wait
    assert wait == asked + min(60, 0.5 * 2 ** min(failures, 30))
    assert asked in (0, 3, 7, 3_600)


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after(later) <= 30
    earlier = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert retry_after(earlier) == 0


def test_what_is_odd_about_events_is_told(service: Service, options: ClientOptions) -> None:
    warning = {"code": "null_word", "field": "user_id", "reason": "r"}
    results = [{"status": "stored", "warnings": [warning]}, {"status": "stored"}]
    service.plan.append((200, {}, {"results": results}))
    told: list[Warned] = []
    options = replace(options, flush_seconds=30)
    with EtaClient(url(service), KEY, options=options, on_warned=told.extend) as client:
        client.track("NULL", "i", "click")
        client.track("u", "i", "click")
        client.flush(10)
    assert [(one.event["user_id"], one.warnings) for one in told] == [("NULL", [warning])]


def test_warnings_are_logged_by_code_alone(
    service: Service, options: ClientOptions, caplog: pytest.LogCaptureFixture
) -> None:
    warning = {"code": "null_word", "field": "user_id", "reason": "r"}
    service.plan.append((200, {}, {"results": [{"status": "stored", "warnings": [warning]}]}))
    with EtaClient(url(service), KEY, options=options) as client:
        client.track("NULL", "secret", "click")
        client.flush(10)
    assert "null_word 1" in caplog.text
    assert "secret" not in caplog.text


def test_only_the_fields_given_are_sent_and_none_clears() -> None:
    assert set(item("i", {"price": 12})) == {"item_id", "price", "updated_at"}
    cleared = item("i", {"title": None, "available_from": None})
    assert (cleared["title"], cleared["available_from"]) == (None, None)
