"""Uploads that announce too much, break off, or whose service is killed: nothing stays half."""

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from tests.support.rows import interactions_csv
from tests.support.service import RunningService, spooled_files


def test_key_is_checked_before_the_body_is_sent(service: RunningService) -> None:
    with _connect(service) as client:
        client.sendall(_head(service, "eta_wrong", 10_000_000))
        assert client.recv(4096).startswith(b"HTTP/1.1 401")


def test_body_that_announces_too_much_is_refused_unread(service: RunningService) -> None:
    with _connect(service) as client:
        client.sendall(_head(service, service.keys["acme"], 10**12))
        assert client.recv(4096).startswith(b"HTTP/1.1 413")


def test_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    running = RunningService(tmp_path, {"ETA_SERVICE_MAX_UPLOAD_BYTES": "10000"})
    running.add_tenant("acme")
    running.start()
    try:
        answer = running.upload("acme", interactions_csv(1_000))
        chunked = httpx.post(
            f"{running.base_url}/internal/data/upload-csv",
            params={"tenant_id": "acme", "data_type": "interactions"},
            headers={
                "X-API-Key": running.keys["acme"],
                "Content-Type": "multipart/form-data; boundary=b",
            },
            content=iter([_part(interactions_csv(1_000)), b"\r\n--b--\r\n"]),
        )
    finally:
        running.stop()

    assert answer.status_code == 413
    assert chunked.status_code == 413
    assert spooled_files(running) == []


def test_dropped_connection_stores_nothing_and_leaves_no_file(service: RunningService) -> None:
    service.add_tenant("dropped")
    before = set(spooled_files(service))
    client = _connect(service)
    client.sendall(_head(service, service.keys["dropped"], 5_000_000, "dropped"))
    client.sendall(_part(interactions_csv(1_000)))
    _wait_for(lambda: set(spooled_files(service)) - before)
    client.close()

    _wait_for(lambda: not set(spooled_files(service)) - before)
    assert service.rows(RAW_INTERACTIONS, "dropped") == []
    assert "Traceback" not in service.log


def test_body_that_ends_before_its_boundary_is_refused(service: RunningService) -> None:
    body = _part(interactions_csv(10))
    with _connect(service) as client:
        client.sendall(_head(service, service.keys["acme"], len(body)) + body)
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"malformed_body" in answer


def test_killed_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    running = RunningService(tmp_path)
    running.add_tenant("acme")
    running.start()
    try:
        client = _connect(running)
        client.sendall(_head(running, running.keys["acme"], 50_000_000))
        client.sendall(_part(interactions_csv(20_000)))
        _wait_for(lambda: spooled_files(running))
        running.kill()
        client.close()
        left_behind = spooled_files(running)
        running.start()
        cleaned = spooled_files(running)
        rows_before = running.rows(RAW_INTERACTIONS, "acme")
        answer = running.upload("acme", interactions_csv(20_000)).json()
        again = running.upload("acme", interactions_csv(20_000)).json()
    finally:
        running.stop()

    assert (len(left_behind), cleaned, rows_before) == (1, [], [])
    assert (answer["rows_accepted"], again["duplicates"]) == (20_000, 20_000)


@pytest.mark.parametrize("delay", [0.05, 0.15, 0.3, 0.5])
def test_killed_while_the_batch_is_written(tmp_path: Path, delay: float) -> None:
    running = RunningService(tmp_path, {"ETA_SERVICE_CHUNK_BYTES": "65536"})
    running.add_tenant("acme")
    running.start()
    body = interactions_csv(60_000)
    try:
        client = _connect(running)
        part = _part(body) + b"\r\n--b--\r\n"
        client.sendall(_head(running, running.keys["acme"], len(part)) + part)
        time.sleep(delay)
        running.kill()
        client.close()
        partial = len(running.rows(RAW_INTERACTIONS, "acme"))
        running.start()
        ledger = running.rows(OPS_INGEST_LEDGER, "acme")
        running.upload("acme", body)
        rows = running.rows(RAW_INTERACTIONS, "acme")
    finally:
        running.stop()

    assert partial in (0, 60_000)
    assert sum(entry["stored"] for entry in ledger) == partial
    assert len(rows) == 60_000


def _connect(service: RunningService) -> socket.socket:
    address = urlsplit(service.base_url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def _head(service: RunningService, key: str, length: int, tenant: str = "acme") -> bytes:
    return (
        f"POST /internal/data/upload-csv?tenant_id={tenant}&data_type=interactions HTTP/1.1\r\n"
        f"Host: test\r\nConnection: close\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    ).encode()


def _part(text: str) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + text.encode()


def _wait_for(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
