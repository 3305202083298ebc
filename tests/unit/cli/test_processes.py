"""A signal to a command ends the program it stands for, and whatever it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

# Nothing listens on port 1: producers and consumers wait, and say so.
STREAM = {"ETA_STREAM_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


@contextmanager
def command(home: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    environment = {**os.environ, **STREAM, "ETA_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lakehouse.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for_line(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError("".join(seen))


SERVE = ("serve", "--port", "0")
CONSUME = ("consume",)


@pytest.mark.parametrize(
    ("arguments", "is_up", "number"),
    [
        pytest.param(SERVE, "listening on", signal.SIGINT, id="serve Ctrl-C"),
        pytest.param(CONSUME, "Kafka does not answer", signal.SIGTERM, id="consume SIGTERM"),
    ],
)
def test_the_command_is_the_program(
    tmp_path: Path, arguments: tuple[str, ...], is_up: str, number: signal.Signals
) -> None:
    with command(tmp_path, *arguments) as process:
        wait_for_line(process, is_up)
        assert psutil.Process(process.pid).children(recursive=True) == []
        process.send_signal(number)
        code = process.wait(20)
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()
    assert code in (0, -number)


def test_a_command_that_waits_for_a_child_ends_it_on_sigterm(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("user_id,item_id,interaction_type,timestamp\nu,i,view,1764000000000\n")
    with command(tmp_path, "produce", str(rows), "--tenant", "acme") as process:
        own = psutil.Process(process.pid)
        deadline = time.monotonic() + 20
        while not (children := own.children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        gone, alive = psutil.wait_procs(children, 5)
        assert alive == []
        assert gone
