"""Events reach a file or a server; one that is away costs a run its short timeout, once."""

import contextlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from lakehouse import extras
from lakehouse.cli.status import status
from lakehouse.errors import EtaError
from lakehouse.lineage.delivery import Lineage, lineage_of, open_lineage
from lakehouse.lineage.facts import Dataset, Job, Run, run_id
from lakehouse.lineage.losses import Told, keep_told, told_in_words
from lakehouse.settings import LakeSettings
from tests.support.lineage import check_event, events_of, lineage_server

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    """A thread that still waits for a server may not log into the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == "lineage":
            thread.join(10)


def told(number: int = 0, error: str | None = None) -> Run:
    job = Job("eta", "model.positives", run_id("eta", "model.positives", str(number)))
    return Run(
        job,
        NOON,
        NOON,
        [Dataset("eta", "raw.items", "3")],
        [Dataset("eta", "training.positives", str(number), [("user_id", "string")], rows=4)],
        error,
        Job("eta", "models", run_id("eta", "models", "1")),
        {"run_id": "eta prepare"},
    )


def settings(tmp_path: Path, url: str | None, **more: object) -> LakeSettings:
    return LakeSettings(home=tmp_path, openlineage_url=url, openlineage_seconds=1.0, **more)


def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    with lineage_of(settings(tmp_path, None)) as lineage:
        lineage.tell_all(lambda: pytest.fail("nobody asked for it"))
        lineage.tell(lambda: pytest.fail("nobody asked for it"))
        assert not lineage.is_on
    assert not lineage.counts
    done = subprocess.run(
        [sys.executable, "-c", "import lakehouse.jobs.prepare, ingest_service.wiring, sys;"
         "print('openlineage' in sys.modules or 'requests' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_a_file_has_an_event_per_line(tmp_path: Path) -> None:
    path = tmp_path / "told here" / "events.jsonl"
    for number in (1, 2):
        with lineage_of(settings(tmp_path, path.as_uri())) as lineage:
            lineage.tell_all(lambda number=number: [told(number)])
    events = events_of(path)
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 2
    start, end = events[:2]
    assert start["run"]["runId"] == end["run"]["runId"] != events[2]["run"]["runId"]
    assert "version" not in start["outputs"][0]["facets"]
    assert end["outputs"][0]["facets"]["version"]["datasetVersion"] == "1"
    assert end["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert end["inputs"][0]["facets"]["version"]["datasetVersion"] == "3"
    assert end["run"]["facets"]["parent"]["job"]["name"] == "models"


def test_a_failure_has_its_message(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with lineage_of(settings(tmp_path, path.as_uri())) as lineage:
        lineage.tell(lambda: told(error="the model positives failed"))
    start, end = events_of(path)
    assert (start["eventType"], end["eventType"]) == ("START", "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"] == "the model positives failed"
    assert "errorMessage" not in start["run"]["facets"]


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    program = (
        "import sys; from tests.unit.lineage.test_delivery import *\n"
        "columns = [(f'column_{n}', 'string') for n in range(2_000)]\n"
        "run = Run(told(1).job, NOON, NOON, outputs=[Dataset('eta', 'wide', fields=columns)])\n"
        "own = LakeSettings(openlineage_url=sys.argv[1], openlineage_seconds=30)\n"
        "with lineage_of(own) as it:\n"
        "    [it.tell(lambda: run) for _ in range(20)]\n"
    )
    command = [sys.executable, "-c", program, path.as_uri()]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3 * 20 * 2
    assert min(map(len, lines)) > 50_000
    assert all(json.loads(line)["producer"] for line in lines)


def test_a_server_gets_the_events_with_its_key(tmp_path: Path) -> None:
    with lineage_server() as server:
        given = settings(tmp_path, server.url, openlineage_key="secret-key")
        assert "secret-key" not in repr(given)
        with lineage_of(given) as lineage:
            lineage.tell(lambda: told(1))
        assert lineage.counts == {"delivered": 1}
    for event in server.events:
        check_event(event)
    assert [event["eventType"] for event in server.events] == ["START", "COMPLETE"]
    assert {head["Authorization"] for head in server.heads} == {"Bearer secret-key"}


@pytest.mark.parametrize("kind", ["nobody listens", "it never answers"])
def test_a_server_that_is_away_costs_the_timeout_once(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with lineage_server() as server:
        server.wait.clear()
        url = server.url if kind == "it never answers" else f"http://127.0.0.1:{unused_port()}"
        begun = monotonic()
        with lineage_of(settings(tmp_path, url)) as lineage:
            for number in range(50):
                lineage.tell(lambda number=number: told(number))
            assert monotonic() - begun < 2.5  # the client's import, no more
            begun = monotonic()
        assert monotonic() - begun < 1.5
    assert lineage.counts.total() == 50
    assert lineage.counts["delivered"] == 0
    warnings = [record.getMessage() for record in caplog.records]
    assert len([text for text in warnings if "cannot be told" in text]) <= 1
    assert warnings[-1].endswith(f"runs were not told to OpenLineage at {url}")


@pytest.mark.parametrize("status", [307, 500, 503, 404])
def test_an_answer_that_is_no_yes_is_a_failure(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with lineage_server() as server:
        server.answers.append(status)
        with lineage_of(settings(tmp_path, server.url)) as lineage:
            lineage.tell(told)
            lineage.tell(told)
        assert not server.events
    assert lineage.counts == {"failed": 1, "dropped": 1}
    first = caplog.records[0].getMessage()
    assert first.startswith(f"OpenLineage at {server.url} cannot be told (")


def test_a_server_that_comes_back_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from lakehouse.lineage.destinations import destination
    from lakehouse.lineage.events import run_events

    heard: list[str] = []
    with lineage_server() as server:
        server.answers += [500, 500]
        goes_to = destination(server.url, None, 1.0)
        names = open_lineage(settings(tmp_path, None)).names
        lineage = Lineage(names, goes_to, 5.0, run_events, on_outcome=heard.append, pause=0)
        for _ in range(3):
            lineage.tell(told)
        lineage.close()
        lineage.close()
    assert heard == ["failed", "failed", "delivered"]
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3  # away, back, and the sum at the end
    assert "is told again" in texts[1]


def test_what_nobody_fetches_is_dropped_and_counted(tmp_path: Path) -> None:
    with lineage_server() as server:
        server.wait.clear()
        from lakehouse.lineage.destinations import destination
        from lakehouse.lineage.events import run_events

        names = open_lineage(settings(tmp_path, None)).names
        goes_to = destination(server.url, None, 0.5)
        lineage = Lineage(names, goes_to, 0.5, run_events, most_waiting=5)
        begun = monotonic()
        for _ in range(1_000):
            lineage.tell(told)
        assert monotonic() - begun < 0.3
        assert lineage.counts["dropped"] >= 990
        lineage.close()


def test_facts_that_cannot_be_gathered_fail_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Run]:
        raise ValueError("u-4711 has no item")

    path = tmp_path / "events.jsonl"
    with lineage_of(settings(tmp_path, path.as_uri())) as lineage:
        lineage.tell_all(broken)
        lineage.tell(lambda: broken()[0])
    assert lineage.counts["failed"] == 2
    assert "u-4711" not in caplog.text
    assert "ValueError" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "file://host/events.jsonl",
        "file:///",
        "http://me:word@127.0.0.1:5000",
        "http://127.0.0.1:5000?key=word",
        "events.jsonl",
    ],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(EtaError, match="ETA_OPENLINEAGE_URL") as refused:
        open_lineage(settings(tmp_path, url))
    assert "word" not in f"{refused.value} {refused.value.remedy}"


def test_without_the_client_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lakehouse.lineage.events", None)
    monkeypatch.setattr(extras, "EXTRAS", {"lineage": {"lakehouse"}})
    with pytest.raises(EtaError, match="extra `lineage`"):
        open_lineage(settings(tmp_path, "file:///tmp/never"))


def test_the_clients_log_stays_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with lineage_server() as server, lineage_of(settings(tmp_path, server.url)) as lineage:
        lineage.tell(told)
    assert not caplog.records


class Raw:
    """A server of single bytes: `answer` is what it sends for a request, as slow as it likes."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                held, _ = self._socket.accept()
                threading.Thread(target=self._one, args=(held,), daemon=True).start()

    def _one(self, held: socket.socket) -> None:
        with held, contextlib.suppress(OSError):
            self.requests.append(held.recv(1 << 20))
            self._answer(held)

    def close(self) -> None:
        self._socket.close()


def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    sent = 0

    def endless(held: socket.socket) -> None:
        nonlocal sent
        held.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while sent < 1 << 28:
            sent += held.send(bytes(1 << 16))

    server = Raw(endless)
    with lineage_of(settings(tmp_path, server.url)) as lineage:
        lineage.tell(told)
    assert lineage.counts == {"delivered": 1}
    assert sent < 1 << 25  # what fits into the buffers of two sockets
    server.close()


def test_an_answer_that_never_gets_ready_ends_the_attempt_and_is_the_only_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A byte now and then: no timeout of a socket ends it."""
    from lakehouse.lineage.destinations import destination
    from lakehouse.lineage.events import run_events

    is_over = threading.Event()

    def slow(held: socket.socket) -> None:
        held.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not is_over.wait(0.05):
            held.sendall(b"y")

    server = Raw(slow)
    goes_to = destination(server.url, None, 0.4)
    names = open_lineage(settings(tmp_path, None)).names
    lineage = Lineage(names, goes_to, 3.0, run_events, pause=0)
    for _ in range(3):
        lineage.tell(told)
    begun = monotonic()
    lineage.close()
    assert monotonic() - begun < 2.5
    is_over.set()
    assert lineage.counts == {"failed": 3}
    assert len(server.requests) == 1
    assert "(TimeoutError)" in caplog.text
    server.close()


def test_what_is_on_its_way_at_the_end_is_counted_once(tmp_path: Path) -> None:
    from lakehouse.lineage.events import run_events

    released = threading.Event()

    class Slow:
        name = "slow"

        def send(self, event: object) -> None:
            released.wait(10)

    names = open_lineage(settings(tmp_path, None)).names
    heard: list[str] = []
    lineage = Lineage(names, Slow(), 0.2, run_events, on_outcome=heard.append)
    for _ in range(3):
        lineage.tell(told)
    thread = next(one for one in threading.enumerate() if one.name == "lineage")
    lineage.close()
    released.set()
    thread.join(10)
    assert sorted(heard) == ["dropped", "dropped", "failed"]


def test_no_password_of_the_users_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret-word\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for key, expected in (("the-key", "Bearer the-key"), (None, None)):
        with lineage_server() as server:
            with lineage_of(settings(tmp_path, server.url, openlineage_key=key)) as lineage:
                lineage.tell(told)
            assert {head.get("Authorization") for head in server.heads} == {expected}


def test_a_redirect_is_told_to_nobody_else(tmp_path: Path) -> None:
    with lineage_server() as other:

        def elsewhere(held: socket.socket) -> None:
            to = f"Location: {other.url}/api/v1/lineage"
            held.sendall(f"HTTP/1.1 308 Moved\r\n{to}\r\nContent-Length: 0\r\n\r\n".encode())

        server = Raw(elsewhere)
        with lineage_of(settings(tmp_path, server.url, openlineage_key="the-key")) as lineage:
            lineage.tell(told)
        assert lineage.counts == {"failed": 1}
        assert other.events == []
        server.close()


def test_an_event_that_a_full_disk_cut_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"eventType": "STA')
    with lineage_of(settings(tmp_path, path.as_uri())) as lineage:
        lineage.tell(told)
    cut, *whole = path.read_text().splitlines()
    assert cut == '{"eventType": "STA'
    assert [json.loads(line)["eventType"] for line in whole] == ["START", "COMPLETE"]


@pytest.mark.parametrize("kind", ["a folder", "a pipe that nobody reads", "below a file"])
def test_a_file_that_is_none_holds_nothing_up_and_is_told_by_the_status(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "there" / "events.jsonl"
    path.parent.mkdir()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe that nobody reads":
        os.mkfifo(path)
    else:
        path.write_text("")
        path = path / "events.jsonl"
    own = settings(tmp_path / "home", path.as_uri())
    begun = monotonic()
    with lineage_of(own) as lineage:
        lineage.tell(told)
    assert monotonic() - begun < 2.5
    assert lineage.counts == {"failed": 1}
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", path.as_uri())
    status()
    said = capsys.readouterr().err
    assert f"Lineage: told to {path}. The last loss: 1 runs on " in said
    assert "Error)" in said


def test_the_status_says_when_all_was_told_and_keeps_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    own = settings(tmp_path / "home", path.as_uri())
    home = own.home_dir
    assert told_in_words(home, None) is None
    assert told_in_words(home, own.openlineage_url) == "Lineage: nothing was told yet."
    with lineage_of(own) as lineage:
        lineage.tell(told)
    assert re.fullmatch(
        rf"Lineage: told to {path}, last on [-0-9]+ [0-9:]+ UTC\.", told_in_words(home, "x") or ""
    )
    keep_told(home, Told(str(path), 1, 3, "HTTPError"), NOON)
    keep_told(home, Told(str(path), 5, 0, ""), NOON + timedelta(days=1))
    said = told_in_words(home, "x") or ""
    assert said.endswith(
        "last on 2026-03-02 12:00 UTC. The last loss: 3 runs on 2026-03-01 12:00 UTC (HTTPError); "
        "see docs/lineage.md."
    )
    keep_told(home, Told(str(path), 5, 0, ""), NOON + timedelta(days=40))
    assert "loss" not in (told_in_words(home, "x") or "")
    keep_told(home, Told("http://other", 0, 1, "OSError"), NOON)
    assert (told_in_words(home, "x") or "").startswith("Lineage: told to http://other. The last")
    (home / "lineage.json").write_text("{")
    assert told_in_words(home, "x") == "Lineage: nothing was told yet."
