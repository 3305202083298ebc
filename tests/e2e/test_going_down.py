"""A service that is told to stop ends soon, whatever clients do, and stores nothing by halves."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.control.database import ControlDatabase
from tests.support.rows import interactions_csv
from tests.support.service import RunningService, spooled_files

SHUTDOWN_SECONDS = 4


def test_no_client_holds_up_a_shutdown(tmp_path: Path) -> None:
    running = RunningService(tmp_path, {"ETA_SERVICE_SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS)})
    running.add_tenant("acme")
    running.start()
    upload = "/internal/data/upload-csv?tenant_id=acme&data_type=interactions"
    answers: dict[str, bytes] = {}
    clients = [
        _client(running, answers, "dribbling upload", upload, interactions_csv(5_000)),
        _client(running, answers, "dribbling events", "/v1/events", "[" + " " * 10_000),
        _client(running, answers, "silent upload", upload, ""),
        _client(running, answers, "silent webhook", "/v1/webhooks/wh_none", ""),
    ]
    try:
        for client in clients:
            client.start()
        _wait_for(lambda: len(spooled_files(running)) >= 2)
        began = time.monotonic()
        running.stop()
        took = time.monotonic() - began
    finally:
        running.stop()
    for client in clients:
        client.join(10)

    assert took < SHUTDOWN_SECONDS + 5
    for name in ("dribbling upload", "dribbling events", "silent upload"):
        assert answers[name].startswith(b"HTTP/1.1 503 "), name
        assert b"going_down" in answers[name]
    assert spooled_files(running) == []
    assert running.rows(RAW_INTERACTIONS, "acme") == []
    assert running.rows(OPS_INGEST_LEDGER, "acme") == []
    assert "Traceback" not in running.log


def _client(
    service: RunningService, answers: dict[str, bytes], name: str, path: str, text: str
) -> threading.Thread:
    """A client that sends a byte of an endless body now and then."""
    url = urlsplit(service.base_url)
    kind = "application/json" if "events" in path else "text/csv"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.keys['acme']}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: 5000000\r\n\r\n"
    )

    def run() -> None:
        with socket.create_connection((url.hostname, url.port), timeout=0.05) as line:
            line.sendall(head.encode() + text.encode())
            found = b""
            with suppress(ConnectionError):
                while True:
                    try:
                        if not (data := line.recv(65_536)):
                            break
                        found += data
                    except TimeoutError:
                        if text and not found:
                            line.sendall(b" ")
            answers[name] = found

    return threading.Thread(target=run)


def _wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_file_that_takes_too_long_is_given_up_whole(tmp_path: Path) -> None:
    settings = {"SHUTDOWN_SECONDS": "0.2", "CHUNK_BYTES": "65536"}
    running = RunningService(tmp_path, {f"ETA_SERVICE_{k}": v for k, v in settings.items()})
    running.add_tenant("acme")
    running.start()
    answers: list[int] = []

    def send() -> None:
        answers.append(running.upload("acme", interactions_csv(400_000)).status_code)

    sending = threading.Thread(target=send)
    try:
        sending.start()
        jobs = ControlDatabase.open(running.lake.control_url)
        _wait_for(lambda: bool(jobs.jobs.list("acme")))
        began = time.monotonic()
        running.stop()
        took = time.monotonic() - began
        sending.join(20)
        states = [(job.state, (job.result or {}).get("error")) for job in jobs.jobs.list("acme")]
        jobs.close()
    finally:
        running.stop()

    assert took < 5
    assert answers == [503]
    assert states == [("failed", "the service was stopped")]
    assert running.rows(RAW_INTERACTIONS, "acme") == []
    assert spooled_files(running) == []
