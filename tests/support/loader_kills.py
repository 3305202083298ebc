"""A program that reads an epoch and is killed: it writes each batch and its state in one line.

`python -m tests.support.loader_kills FOLDER JOURNAL` starts it for each line of its stdin; each
time it goes on from the last whole line.
"""

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Self

from eta_data import TrainingSet

EPOCHS = 2
PAUSE_SECONDS = 0.002


def read_on(folder: Path, journal: Path) -> None:
    """Read the rest, a line per batch: its rows and where the loader stands after it."""
    loader = TrainingSet.open(folder, "acme").arrow(4, window_rows=100, streams=3, columns=["row"])
    with journal.open("a+b") as file:
        lines = whole_lines(journal)
        file.truncate(sum(map(len, lines)))
        if lines:
            loader.load_state_dict(json.loads(lines[-1])["state"])
        while loader.epoch < EPOCHS:
            for batch in loader:
                line = {"rows": batch.column("row").to_pylist(), "state": loader.state_dict()}
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                time.sleep(PAUSE_SECONDS)


def whole_lines(journal: Path) -> list[bytes]:
    """The lines that end."""
    content = journal.read_bytes() if journal.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def killed(folder: Path, journal: Path, kills: int, seed: int) -> int:
    """Run the program and kill it so often, then let it end; return how often it was killed."""
    chance = random.Random(seed)
    journal.touch()
    done = 0
    with _Server(folder, journal) as server:
        for _ in range(kills):
            before = journal.stat().st_size
            process = server.start()
            while process.is_alive() and journal.stat().st_size <= before:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
            status = server.wait()
            assert status in (0, signal.SIGKILL), status
            done += status == signal.SIGKILL
        server.start()
        assert server.wait() == 0
    return done


class _Process:
    """A process that may be gone already, and whose number may be another's by then."""

    def __init__(self, pid: int) -> None:
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._descriptor = None

    def is_alive(self) -> bool:
        return self._descriptor is not None and not select.select([self._descriptor], [], [], 0)[0]

    def kill(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            os.close(self._descriptor)


class _Server:
    """Starts the program again and again out of one interpreter that has imported everything.

    Each is a process of its own, a fork before anything was read, so that a kill ends all of it.
    """

    def __init__(self, folder: Path, journal: Path) -> None:
        self._command = [
            sys.executable, "-m", "tests.support.loader_kills", str(folder), str(journal)
        ]  # fmt: skip

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def start(self) -> _Process:
        """Start the program."""
        assert self._process.stdin is not None
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        return _Process(int(self._line()))

    def wait(self) -> int:
        """Return how it ended: 0, or the number of a signal."""
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def serve(folder: Path, journal: Path) -> None:
    """For each line of stdin fork a process that reads on; print its number, then its end."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                read_on(folder, journal)
                code = 0
            except Exception:  # noqa: BLE001 - a fork must not go on with its parent's loop
                traceback.print_exc()
            finally:
                os._exit(code)
        print(pid, flush=True)
        status = os.waitpid(pid, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 256 * status, flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
