"""The limited of the service: slow clients, large heads, headers of answers, admin deeds."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from lakehouse.control.database import ControlDatabase
from tests.support.service import METRICS_TOKEN, RunningService


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that waits for nobody longer than a second."""
    seconds = dict.fromkeys(("HEADER_SECONDS", "BODY_IDLE_SECONDS", "BODY_SECONDS"), "1")
    environment = {f"ETA_SERVICE_{name}": value for name, value in seconds.items()}
    running = RunningService(tmp_path_factory.mktemp("limited"), environment)
    running.add_tenant("acme")
    running.start()
    yield running
    running.stop()


def connected(service: RunningService) -> socket.socket:
    url = urlsplit(service.base_url)
    return socket.create_connection((url.hostname, url.port), timeout=20)


def received(line: socket.socket) -> bytes:
    """Everything that comes until the service closes."""
    found = b""
    try:
        while data := line.recv(65_536):
            found += data
    except ConnectionResetError:
        pass
    return found


def head(service: RunningService, path: str, *lines: str) -> bytes:
    key = service.keys["acme"]
    first = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}"]
    return "\r\n".join([*first, "Content-Type: application/json", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHo", id="half a head"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /heal", id="a second one"),
    ],
)
def test_a_head_that_does_not_come_ends_the_connection(
    limited: RunningService, start: bytes
) -> None:
    started = time.monotonic()
    with connected(limited) as line:
        line.sendall(start)
        found = received(line)
    assert found.count(b"HTTP/1.1") == start.count(b"\r\n\r\n")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "path", ["/v1/events", "/internal/data/upload-csv?tenant_id=acme&data_type=items"]
)
def test_a_body_that_stands_still_is_given_up(limited: RunningService, path: str) -> None:
    lines = ["Content-Length: 100"]
    with connected(limited) as line:
        line.sendall(head(limited, path, *lines) + b"[")
        assert received(line).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_given_up(limited: RunningService) -> None:
    with connected(limited) as line:
        line.sendall(head(limited, "/v1/events", "Content-Length: 100"))
        started = time.monotonic()
        line.settimeout(0.2)
        found = b""
        while not found and time.monotonic() - started < 10:
            line.sendall(b" ")
            try:
                found = line.recv(4_096)
            except TimeoutError:
                continue
    assert found.startswith(b"HTTP/1.1 408 ")


def test_a_head_over_its_limit_is_refused(limited: RunningService) -> None:
    for request in (
        head(limited, "/v1/events", *(f"X-{n}: {'x' * 1000}" for n in range(300))),
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with connected(limited) as line:
            with suppress(OSError):  # it may be closed before everything was sent
                line.sendall(request)
            assert received(line).startswith(b"HTTP/1.1 400 ")


def test_a_large_body_of_an_admin_request_is_refused(limited: RunningService) -> None:
    key = limited.add_key("acme", "admin")
    answer = httpx.post(
        f"{limited.base_url}/v1/tenants/acme/keys",
        content=b'{"scopes": ["read"], "x": "' + b"x" * 100_000 + b'"}',
        headers={"X-API-Key": key, "Content-Type": "application/json"},
    )
    assert answer.status_code == 413


def test_a_form_of_many_parts_is_refused(limited: RunningService) -> None:
    parts = [(f"p{n}", "x") for n in range(200)]
    answer = httpx.post(
        f"{limited.base_url}/internal/data/upload-csv",
        params={"tenant_id": "acme", "data_type": "items"},
        headers={"X-API-Key": limited.keys["acme"]},
        files=[(name, (None, value)) for name, value in parts],
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_form_part")


@pytest.mark.parametrize("path", ["/health/live", "/v1/events", "/nowhere", "/docs"])
def test_every_answer_has_security_headers(limited: RunningService, path: str) -> None:
    headers = httpx.get(f"{limited.base_url}{path}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_keys_are_managed_by_admins_and_every_deed_is_kept(limited: RunningService) -> None:
    admin = httpx.Client(
        base_url=f"{limited.base_url}/v1/tenants/acme",
        headers={"X-API-Key": limited.add_key("acme", "admin")},
    )
    made = admin.post("/keys", json={"scopes": ["read"]}).json()
    batches = f"{limited.base_url}/v1/tenants/acme/ingest/batches"

    def reads(secret: str) -> int:
        return httpx.get(batches, headers={"X-API-Key": secret}).status_code

    assert reads(made["secret"]) == 200
    renewed = admin.post(f"/keys/{made['key_id']}/rotate", json={"overlap_hours": 1}).json()
    assert (reads(made["secret"]), reads(renewed["secret"])) == (200, 200)
    ended = admin.post(f"/keys/{renewed['key_id']}/rotate", json={"overlap_hours": 0}).json()
    assert (reads(renewed["secret"]), reads(ended["secret"])) == (401, 200)
    assert admin.delete(f"/keys/{made['key_id']}").status_code == 204
    assert reads(made["secret"]) == 401
    listed = {key["key_id"]: key for key in admin.get("/keys").json()["keys"]}
    assert listed[made["key_id"]]["revoked_at"]
    assert listed[ended["key_id"]]["last_used_at"]
    entries = admin.get("/audit-log").json()["entries"]
    deeds = [(e["action"], e["subject"]) for e in entries if e["actor"].startswith("key:")]
    assert deeds[::-1] == [
        ("key.create", made["key_id"]),
        ("key.rotate", made["key_id"]),
        ("key.rotate", renewed["key_id"]),
        ("key.revoke", made["key_id"]),
    ]
    texts = admin.get("/audit-log").text + admin.get("/keys").text
    assert all(key["secret"] not in texts for key in (made, renewed, ended))
    admin.close()


def test_no_secret_is_in_logs_errors_or_metrics(limited: RunningService) -> None:
    database = ControlDatabase.open(limited.lake.control_url)
    source = database.webhooks.add(
        "acme", "s", adapter="generic", data_type="items", mapping="contract"
    )
    assert source.secret not in repr(source) + repr(database.webhook_source(source.source_id))
    database.close()
    key = limited.keys["acme"]
    bad = httpx.post(f"{limited.base_url}/v1/events?mapping={key}", headers={"X-API-Key": key}).text
    bad += httpx.post(
        f"{limited.base_url}/v1/webhooks/{source.source_id}", headers={"webhook-id": key}
    ).text
    metrics = httpx.get(
        f"{limited.base_url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
    ).text
    texts = limited.log + bad + metrics
    for secret in (key, source.secret, source.secret.removeprefix("whsec_"), METRICS_TOKEN):
        assert secret not in texts
    assert Path(limited.lake.home_dir / "control.db").stat().st_mode & 0o077 == 0
