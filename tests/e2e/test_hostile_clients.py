"""Clients that mean harm, with raw sockets: no 500, nothing of another tenant delayed or stored."""

import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard

from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.control.database import ControlDatabase
from tests.support.rows import interactions_csv
from tests.support.service import RunningService, spooled_files

UPLOAD = "/internal/data/upload-csv?tenant_id=bad&data_type=interactions"
SETTINGS = {"BODY_IDLE_SECONDS": "2", "HEADER_SECONDS": "3", "BODY_SECONDS": "4"}
EVIL = "evil.example"
MEMORY = 32 * 1024 * 1024
"""For bodies of events, in all."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a tenant `bad` and a tenant `good`; at the end it must have no incident."""
    environment = {f"ETA_SERVICE_{name}": value for name, value in SETTINGS.items()}
    running = RunningService(tmp_path_factory.mktemp("hostile"), environment)
    for tenant in ("bad", "good"):
        running.add_tenant(tenant)
    running.start()
    yield running
    running.stop()
    assert "incident" not in running.log
    assert "Traceback" not in running.log


def connected(service: RunningService, source: str = "127.0.0.3") -> socket.socket:
    url = urlsplit(service.base_url)
    assert url.hostname is not None
    assert url.port is not None
    return socket.create_connection((url.hostname, url.port), 20, (source, 0))


def received(line: socket.socket) -> bytes:
    """Everything that comes until the service closes."""
    found = b""
    with suppress(ConnectionError):
        while data := line.recv(65_536):
            found += data
    return found


def head(service: RunningService, path: str, *lines: str, kind: str = "application/json") -> bytes:
    key = service.keys["bad"]
    first = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}", f"Content-Type: {kind}"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def exchanged(service: RunningService, sent: bytes) -> bytes:
    with connected(service) as line:
        with suppress(ConnectionError):
            line.sendall(sent)
        return received(line)


def is_served(service: RunningService) -> bool:
    """Whether the good tenant stores an event, and soon."""
    body = {"user_id": os.urandom(6).hex(), "item_id": "i", "interaction_type": "view"}
    answer = httpx.post(
        f"{service.base_url}/v1/events",
        json={**body, "timestamp": 1767225600000},
        headers={"X-API-Key": service.keys["good"]},
        timeout=10,
    )
    return answer.status_code == 200


def test_a_thousand_idle_connections_keep_nobody_out(hostile: RunningService) -> None:
    with ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(connected(hostile, "127.0.0.2"))
        assert is_served(hostile)
        with connected(hostile, "127.0.0.2") as line:
            line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert received(line).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_stall_leave_another_tenant_its_room(hostile: RunningService) -> None:
    size = MEMORY // 7 - 5
    start = head(hostile, "/v1/events", "Content-Length: 5000000")
    with ExitStack() as stack:
        for _ in range(7):
            line = stack.enter_context(connected(hostile))
            with suppress(ConnectionError):
                line.sendall(start + b" " * size)
        time.sleep(0.5)  # for the service to read them all
        assert is_served(hostile)


def test_unsigned_webhooks_leave_events_their_room(hostile: RunningService) -> None:
    database = ControlDatabase.open(hostile.lake.control_url)
    source = database.webhooks.add(
        "bad", "s", adapter="generic", data_type="items", mapping="contract"
    )
    database.close()
    lines = ["webhook-id: m", f"webhook-timestamp: {int(time.time())}", "webhook-signature: v1,x"]
    path, size = f"/v1/webhooks/{source.source_id}", MEMORY // 32
    with ExitStack() as stack:
        for number in range(32):
            line = stack.enter_context(connected(hostile, f"127.0.1.{number + 1}"))
            start = head(hostile, path, *lines, f"Content-Length: {size}")
            with suppress(ConnectionError):
                line.sendall(start + b" " * (size - 1))
        time.sleep(0.5)  # for the service to read them all
        assert is_served(hostile)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty gzip members": ("gzip", lambda: gzip.compress(b"") * 50_000),
    "tiny gzip members": ("gzip", lambda: gzip.compress(b"[]") * 40_000),
    "empty zstd frames": ("zstd", lambda: zstandard.compress(b"") * 100_000),
    "a gzip bomb": ("gzip", lambda: gzip.compress(bytes(100_000_000))),
    "a zstd bomb": ("zstd", lambda: zstandard.compress(bytes(100_000_000))),
    "a large window": ("zstd", lambda: wide(b"[" + b" " * 1_000_000 + b"]")),
    "deep JSON": ("gzip", lambda: gzip.compress(b"[" * 4_000_000)),
    "deep objects": ("gzip", lambda: gzip.compress(b'{"a":' * 800_000)),
    "no gzip": ("gzip", lambda: b"[]"),
    "nothing": ("zstd", lambda: b""),
    "half a gzip": ("gzip", lambda: gzip.compress(os.urandom(1_000))[:500]),
    "packed twice": ("gzip, gzip", lambda: gzip.compress(gzip.compress(b"[]"))),
    "another coding": ("br", lambda: b"[]"),
}


def wide(data: bytes) -> bytes:
    """A zstd frame that asks for a window of 128 MiB."""
    parameters = zstandard.ZstdCompressionParameters(
        window_log=27, compression_level=1, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(("coding", "make"), BOMBS.values(), ids=BOMBS)
def test_packed_harm_is_refused(
    hostile: RunningService, coding: str, make: Callable[[], bytes]
) -> None:
    body = make()
    lines = [f"Content-Encoding: {coding}", f"Content-Length: {len(body)}", "Connection: close"]
    for path in ("/v1/events", UPLOAD.replace("csv", "json")):
        answer = exchanged(hostile, head(hostile, path, *lines) + body)
        is_refused = answer.split(b" ")[1] in (b"400", b"413", b"415")
        assert is_refused or b'"validation_failed"' in answer, answer[:500]
    assert spooled_files(hostile) == []


SECOND = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 4", "Transfer-Encoding: chunked"], b"2\r\n[]\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 4"], b"2\r\n[]\r\n0\r\n\r\n"),
        (["Content-Length: 2", "Content-Length: 3"], b"[]"),
        (["Content-Length: 2", "Content-Length: 2"], b"[]"),
        (["Content-Length : 2"], b"[]"),
        (["Content-Length:", " 2"], b"[]"),
        (["A: b\nContent-Length: 2"], b"[]"),
        (["Transfer-Encoding: chunked"], b"0x2\r\n[]\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\n[]\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"1\r\n[]\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Expect: 100-continue"], b"-1\r\n"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/nowhere"])
def test_an_uncertain_framing_ends_the_connection(
    hostile: RunningService, path: str, lines: list[str], body: bytes
) -> None:
    answer = exchanged(hostile, head(hostile, path, *lines) + body + SECOND)
    assert b'"status": "live"' not in answer
    assert b'"status":"live"' not in answer
    assert answer.count(b"HTTP/1.1 4") == 1
    assert b"HTTP/1.1 2" not in answer


def test_trailers_are_passed_over(hostile: RunningService) -> None:
    lines = ["Transfer-Encoding: chunked", "Connection: close"]
    body = b"2\r\n[]\r\n0\r\nDigest: x\r\nContent-Length: 7\r\n\r\n"
    answer = exchanged(hostile, head(hostile, "/v1/events", *lines) + body)
    assert answer.split(b" ")[1] in (b"200", b"400", b"422")
    assert b"malformed_request" not in answer


def test_pipelined_requests_are_answered_in_order(hostile: RunningService) -> None:
    last = SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = exchanged(hostile, SECOND * 200 + last)
    assert answer.count(b"HTTP/1.1 200 ") == 201


HEADS = {
    "many fields": [f"X-{n}: y" for n in range(200)],
    "a huge field": ["X: " + "y" * 40_000],
    "an endless field": ["X: " + "y" * 400_000],
    "tiny fields": [f"{n}:" for n in range(8_000)],
}


@pytest.mark.parametrize("lines", HEADS.values(), ids=HEADS)
def test_heads_over_their_limits_are_refused(hostile: RunningService, lines: list[str]) -> None:
    answer = exchanged(hostile, head(hostile, "/v1/events", *lines, "Content-Length: 2") + b"[]")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in answer


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\nX: ", SECOND + b"POST"])
def test_a_head_that_dribbles_ends_the_connection(hostile: RunningService, start: bytes) -> None:
    with connected(hostile) as line:
        line.sendall(start)
        line.settimeout(0.3)
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 15:
                try:
                    if not line.recv(65_536):
                        break
                except TimeoutError:
                    if start:
                        line.sendall(b"a")
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("path", ["/v1/events", UPLOAD])
def test_a_body_that_was_asked_for_and_does_not_come_is_given_up(
    hostile: RunningService, path: str
) -> None:
    kind = "application/json" if "events" in path else "text/csv"
    lines = ["Content-Length: 100", "Expect: 100-continue"]
    answer = exchanged(hostile, head(hostile, path, *lines, kind=kind))
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 408 " in answer


METHODS = ("HEAD", "OPTIONS", "POST")


def test_no_method_of_any_path_is_an_incident_or_follows_the_host(hostile: RunningService) -> None:
    described = httpx.get(f"{hostile.base_url}/openapi.json").json()["paths"]
    paths = [*described, "/", "/docs", "/docs/ui.js", "/dashboard", "/openapi.json"]
    paths = [path.replace("{", "").replace("}", "") for path in paths]
    headers = {"Host": EVIL, "X-Forwarded-Host": EVIL, "X-API-Key": hostile.keys["bad"]}
    with httpx.Client(base_url=hostile.base_url, headers=headers) as client:
        requests = [(method, path) for method in METHODS for path in paths]
        requests += [("TRACE", "/docs"), ("CONNECT", "/docs"), ("PUT", "/v1/events")]
        requests += [("GET", form) for path in paths for form in (path + "/", "/" + path)]
        for method, form in requests:
            answer = client.request(method, f"{hostile.base_url}{form}")
            assert answer.status_code < 500, (method, form)
            assert not answer.is_redirect, (method, form)
            assert EVIL not in f"{answer.headers} {answer.text}", (method, form)


PART = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
ROWS = interactions_csv(50).encode()
FORMS = {
    "many parts": (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * 10_000, "b"),
    "many files": ((PART + b"\r\n") * 50 + b"--b--\r\n", "b"),
    "a huge header of a part": (b"--b\r\nX: " + b"y" * 5_000_000 + b"\r\n\r\n\r\n--b--\r\n", "b"),
    "many headers of a part": (b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\n\r\n--b--\r\n", "b"),
    "no closing boundary": (PART + ROWS, "b"),
    "another boundary": (PART + ROWS + b"\r\n--b--\r\n", "c"),
    "a boundary of 300": (PART, "b" * 300),
    "near boundaries": (PART + b"\r\n--" * 500_000 + b"\r\n--b--\r\n", "b"),
    "carriage returns": (PART + b"\r" * 2_000_000 + b"\r\n--b--\r\n", "b"),
    "nothing": (b"", "b"),
    "an odd disposition": (b'--b\r\nContent-Disposition: ;;="\\\r\n\r\n\r\n--b--\r\n', "b"),
}


@pytest.mark.parametrize(("body", "boundary"), FORMS.values(), ids=FORMS)
def test_forms_that_mean_harm_are_refused(
    hostile: RunningService, body: bytes, boundary: str
) -> None:
    kind = f"multipart/form-data; boundary={boundary}"
    lines = [f"Content-Length: {len(body)}", "Connection: close"]
    answer = exchanged(hostile, head(hostile, UPLOAD, *lines, kind=kind) + body)
    assert answer.split(b" ")[1] == b"400", answer[:500]
    assert spooled_files(hostile) == []


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_a_boundary_is_refused(hostile: RunningService, kind: str) -> None:
    lines = ["Content-Length: 2", "Connection: close"]
    answer = exchanged(hostile, head(hostile, UPLOAD, *lines, kind=kind) + b"--")
    assert answer.startswith(b"HTTP/1.1 415 ")


def _wait_for_an_empty_spool(service: RunningService) -> None:
    """Requests may lie unread in the socket at first: the folder has to stay empty for a second."""
    deadline = time.monotonic() + 15
    empty_since = None
    while time.monotonic() < deadline:
        if spooled_files(service):
            empty_since = None
        elif empty_since is None:
            empty_since = time.monotonic()
        elif time.monotonic() - empty_since > 1:
            return
        time.sleep(0.02)
    assert spooled_files(service) == []


def test_a_client_that_leaves_at_any_byte_stores_nothing(hostile: RunningService) -> None:
    body = PART + ROWS + b"\r\n--b--\r\n"
    lines = [f"Content-Length: {len(body)}"]
    whole = head(hostile, UPLOAD, *lines, kind="multipart/form-data; boundary=b") + body
    packed = gzip.compress(ROWS)
    lines = ["Content-Encoding: gzip", f"Content-Length: {len(packed)}"]
    other = head(hostile, UPLOAD, *lines, kind="text/csv") + packed
    for sent in (whole, other):
        for cut in range(1, len(sent) - 1, max(1, len(sent) // 12)):
            with connected(hostile) as line:
                line.sendall(sent[:cut])
    _wait_for_an_empty_spool(hostile)
    for table in (RAW_INTERACTIONS, OPS_INGEST_LEDGER):
        assert hostile.rows(table, "bad") == []


def test_an_upload_that_dribbles_is_given_up(hostile: RunningService) -> None:
    with connected(hostile) as line:
        line.sendall(head(hostile, UPLOAD, "Content-Length: 100000", kind="text/csv"))
        line.settimeout(0.1)
        began, found = time.monotonic(), b""
        while not found and time.monotonic() - began < 15:
            with suppress(TimeoutError):
                line.sendall(b" ")
                found = line.recv(65_536)
    assert found.startswith(b"HTTP/1.1 408 ")


def test_the_good_tenant_is_served_after_all_of_it(hostile: RunningService) -> None:
    assert is_served(hostile)
    rows = hostile.rows(RAW_INTERACTIONS, "good")
    assert rows
    assert json.loads(httpx.get(f"{hostile.base_url}/health/live").text) == {"status": "live"}
    assert Path(hostile.home / "service.log").stat().st_size < 1_000_000
