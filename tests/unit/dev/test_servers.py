"""Servers are started in the background, found again, and ended with their children."""

import json
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.dev.servers import find_server, free_port, is_listening, start_server, stop_server
from lakehouse.errors import EtaError

SERVE = """
import http.server, sys
address = ("127.0.0.1", int(sys.argv[1]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""
WITH_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


def test_a_server_is_found_again_and_ended_with_its_children(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", WITH_A_CHILD, SERVE, str(port)]
    url = f"http://127.0.0.1:{port}"
    server = start_server(
        "web", tmp_path, command, addresses={"url": url}, is_ready=lambda: is_listening(port)
    )
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    found = find_server("web", tmp_path)
    again = start_server("web", tmp_path, ["false"], addresses={}, is_ready=lambda: False)
    other = find_server("another", tmp_path)
    assert stop_server("web", tmp_path)

    assert found == server == again
    assert other is None
    assert len(family) >= 2
    assert not any(process.is_running() for process in family)
    assert not is_listening(port)
    assert find_server("web", tmp_path) is None
    assert not stop_server("web", tmp_path)


def test_one_that_ends_at_once_says_where_its_log_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such thing')"]
    with pytest.raises(EtaError, match="ended at once") as error:
        start_server("web", tmp_path, command, addresses={}, is_ready=lambda: False)

    log = tmp_path / "server.log"
    assert str(log) in error.value.remedy
    assert log.read_text() == "no such thing\n"


def test_one_that_never_answers_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(EtaError, match="did not answer within 0 s"):
        start_server("web", tmp_path, command, addresses={}, is_ready=lambda: False, seconds=0.3)

    assert find_server("web", tmp_path) is None
    ours = psutil.Process().children(recursive=True)
    assert not [
        p for p in ours if p.status() != psutil.STATUS_ZOMBIE and "sleep(60)" in str(p.cmdline())
    ]


def test_a_process_that_got_the_number_since_is_left_alone(tmp_path: Path) -> None:
    me = psutil.Process()
    state = {"name": "web", "pid": me.pid, "started": "1", "addresses": {}, "log": "log"}
    (tmp_path / "server.json").write_text(json.dumps(state))

    assert find_server("web", tmp_path) is None
    assert not stop_server("web", tmp_path)
    assert me.is_running()


def test_the_command_shows_what_runs_and_ends_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start_server(
        "web",
        tmp_path / "dev" / "web",
        [sys.executable, "-c", SERVE, str(port)],
        addresses={"url": url},
        is_ready=lambda: is_listening(port),
    )

    shown = CliRunner().invoke(app, ["dev", "status"])
    ended = CliRunner().invoke(app, ["dev", "down"])
    nothing = CliRunner().invoke(app, ["dev", "status"])

    assert url in shown.output
    assert "running" in shown.output
    assert ended.exit_code == 0
    assert not is_listening(port)
    assert "No server" in nothing.output
