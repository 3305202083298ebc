"""A command in a copy of a warm process is the command: its output, end, signals and death."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lakehouse.warm.client import GONE
from lakehouse.warm.place import Place, stop_all
from tests.support.stream import wait_for

BIN = Path(sys.executable).parent
SERVER = "import sys; from lakehouse.warm.server import main; sys.exit(main(()))"
"""Without what it loads as a rule, which takes seconds."""


class Warm:
    """A warm process of a home, and calls of commands through it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "ETA_HOME": str(home)}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], env=self.environment)
        self.place = Place.of(self.environment)
        wait_for(lambda: self._answers(), "the server")

    def _answers(self) -> bool:
        connection = self.place.connect()
        if connection is not None:
            connection.close()
        return connection is not None

    def begin(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "warm-eta", *arguments],
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        running = self.begin(*arguments, **more)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, err

    def copies(self) -> list[psutil.Process]:
        return psutil.Process(self.server.pid).children()

    def serving(self) -> tuple[subprocess.Popen[str], psutil.Process]:
        """Begin a command that goes on until it is ended."""
        running = self.begin("serve", "--port", "0")
        wait_for(self.copies, "the copy")
        (copy,) = self.copies()
        wait_for(lambda: copy.net_connections("tcp4"), "that it listens")
        return running, copy


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    # longer than the address of a socket may be
    found = Warm(tmp_path / ("long" * 30))
    yield found
    found.server.kill()
    found.server.wait()


def test_a_command_says_and_answers_what_it_does_plainly(warm: Warm) -> None:
    for arguments in (["--version"], ["no-such-command"], ["tenants", "list"], ["tenants", "add"]):
        plain = subprocess.run(
            [BIN / "eta", *arguments], env=warm.environment, capture_output=True, text=True
        )
        assert warm.run(*arguments) == (plain.returncode, plain.stdout, plain.stderr)
    assert warm.server.poll() is None
    assert not (warm.home / "control.db").stat().st_mode & 0o077


def test_environment_and_folder_are_the_callers(warm: Warm, tmp_path: Path) -> None:
    other = tmp_path / "other"
    warm.run("tenants", "add", "acme", ETA_HOME=str(other), ETA_WARM="0")
    code, out, _ = warm.run("tenants", "list")
    assert (code, "acme" in out) == (0, False)
    from_there = subprocess.run(
        [BIN / "warm-eta", "tenants", "add", "globex"], env=warm.environment, cwd=tmp_path
    )
    assert from_there.returncode == 0
    assert "globex" in warm.run("tenants", "list")[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command(warm: Warm, number: signal.Signals) -> None:
    running, copy = warm.serving()
    running.send_signal(number)
    running.communicate(timeout=30)
    assert running.returncode in (0, 128 + number), "it may end well"
    assert not copy.is_running()


def test_a_killed_caller_kills_the_command(warm: Warm) -> None:
    running, copy = warm.serving()
    running.kill()
    running.wait()
    wait_for(lambda: not copy.is_running() or copy.status() == psutil.STATUS_ZOMBIE, "its end")
    assert warm.run("--version")[0] == 0, "the server goes on"


def test_a_caller_that_is_killed_at_once_leaves_no_command_behind(warm: Warm) -> None:
    for _ in range(10):
        running = warm.begin("serve", "--port", "0")
        wait_for(warm.copies, "the copy")
        running.kill()
        running.communicate()
        wait_for(lambda: not warm.copies(), "its end")


def test_what_cannot_be_written_is_no_success(warm: Warm) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([BIN / "warm-eta", "--version"], env=warm.environment, stdout=full)
    assert done.returncode != 0


def test_a_killed_server_takes_its_commands_along(warm: Warm) -> None:
    running, copy = warm.serving()
    warm.server.kill()
    _, told = running.communicate(timeout=30)
    assert running.returncode == GONE
    assert "is gone" in told
    wait_for(lambda: not copy.is_running(), "its end")


def test_strangers_words_end_no_server(warm: Warm) -> None:
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(8), (1 << 40).to_bytes(8, "big")):
        stranger = warm.place.connect()
        assert stranger is not None
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
        stranger.close()
    assert warm.run("--version")[:1] == (0,)
    assert warm.place.folder.stat().st_mode & 0o777 == 0o700


def test_many_at_once(warm: Warm) -> None:
    running = [warm.begin("--version") for _ in range(8)]
    said = [one.communicate(timeout=60)[0] for one in running]
    assert [text[:4] for text in said] == ["eta "] * 8


def test_all_of_a_home_are_stopped_by_id(warm: Warm) -> None:
    stop_all(warm.home)
    assert warm.server.wait(20) == -signal.SIGTERM
    stop_all(warm.home)  # nothing runs any more, and nobody else is ended


def test_an_upgraded_environment_has_another_place(tmp_path: Path) -> None:
    before = Place.of({"ETA_HOME": str(tmp_path)})
    assert before == Place.of({"ETA_HOME": str(tmp_path)})
    script = (
        "import sys, json; sys.path.append(sys.argv[1]); from lakehouse.warm.place import Place;"
        "print(json.dumps(str(Place.of({'ETA_HOME': sys.argv[2]}).folder)))"
    )
    packages = tmp_path / "site-packages"
    packages.mkdir()
    told = subprocess.check_output([sys.executable, "-c", script, packages, tmp_path], text=True)
    assert json.loads(told) != str(before.folder)
    assert Place.of({"ETA_HOME": str(tmp_path), "PYTHONPATH": "/elsewhere"}) != before


def test_where_no_server_can_be_the_command_runs_plainly(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "warm").write_text("no folder")
    done = subprocess.run(
        [BIN / "warm-eta", "--version"],
        env={**os.environ, "ETA_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout[:4]) == (0, "eta ")
