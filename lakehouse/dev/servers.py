"""Keeps track of the servers that `eta dev … up` has started, so that `down` ends those alone.

A server is one process, with the children it starts, listening on 127.0.0.1. What it is and where
it listens stands in a file of the home, with the process's start: a process id that the system has
given to somebody else since is never ended.
"""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from lakehouse.control.owner import start_of
from lakehouse.errors import EtaError
from lakehouse.storage.whole_files import write_whole
from lakehouse.waiting import wait_until

START_SECONDS: Final = 120
STOP_SECONDS: Final = 20
POLL_SECONDS: Final = 0.1
_STATE: Final = "server.json"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started here.

    `addresses` are what its users connect to, by name (`bootstrap_servers`, `url`, …).
    """

    name: str
    pid: int
    started: str
    addresses: dict[str, str]
    log: str

    @property
    def is_running(self) -> bool:
        """Whether this very process still runs."""
        return start_of(self.pid) == self.started


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def find_server(name: str, folder: Path) -> Server | None:
    """Return the running server of this name whose files are in `folder`, or None."""
    state = folder / _STATE
    if not state.is_file():
        return None
    server = Server(**json.loads(state.read_text(encoding="utf-8")))
    return server if server.name == name and server.is_running else None


def all_servers(folder: Path) -> list[Server]:
    """Return the running servers whose folders are in `folder`, by name."""
    found = [
        find_server(part.parent.name, part.parent) for part in sorted(folder.glob(f"*/{_STATE}"))
    ]
    return [server for server in found if server is not None]


def start_server(
    name: str,
    folder: Path,
    command: Sequence[str],
    *,
    addresses: Mapping[str, str],
    is_ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    seconds: float = START_SECONDS,
    keep_open: Sequence[int] = (),
) -> Server:
    """Start `command` in the background and wait until `is_ready`.

    Its output goes to `folder/server.log`; it outlives this process, and so do the locks on files
    of `keep_open`. Raises `EtaError`, and leaves
    no process behind, when it ends or is not ready in time. One that runs already is returned.
    """
    if (running := find_server(name, folder)) is not None:
        return running
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
        )
    started = start_of(process.pid) or ""
    server = Server(name, process.pid, started, dict(addresses), str(log))
    write_whole(folder / _STATE, json.dumps(asdict(server), indent=2))
    ready = False

    def is_settled() -> bool:
        nonlocal ready
        ready = is_ready()
        return ready or process.poll() is not None

    has_ended = wait_until(is_settled, seconds, every=POLL_SECONDS) and not ready
    if not ready:
        stop_server(name, folder)
        process.wait()
        why = "ended at once" if has_ended else f"did not answer within {seconds:.0f} s"
        raise EtaError(f"{name} {why}", remedy=f"read {log}")
    process.returncode = 0  # it outlives us on purpose: no warning that nobody waited for it
    return server


def stop_server(name: str, folder: Path) -> bool:
    """End the server and the processes it has started; return whether there was one."""
    server = find_server(name, folder)
    if server is not None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(server.pid)
            _end([process, *process.children(recursive=True)])
    (folder / _STATE).unlink(missing_ok=True)
    return server is not None


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
