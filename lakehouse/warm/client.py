"""`warm-dbt` and `warm-eta`: dbt and eta as ever, without the seconds that their imports take.

The command runs in a copy (a fork) of a process that has imported dbt and Spark's client; the first
call starts that process, which ends by itself when nobody called for a while. Standard output and
error, folder, environment, exit code and signals are the caller's; a killed caller kills the
command. Where this cannot be, the command is started the plain way.

Imports nothing but the standard library: this runs once per task.
"""

import array
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from lakehouse.warm.place import SOCKET, Place

START_SECONDS: Final = 60.0
STARTED: Final = b"+"
"""What the server sends once the command runs, followed by a line with its process id."""
GONE: Final = 75
"""Exit code when the process that the command was a copy of is gone, and the command with it."""


def dbt() -> None:
    """Run dbt with this process's arguments."""
    sys.exit(run("dbt", sys.argv[1:]))


def eta() -> None:
    """Run eta with this process's arguments."""
    sys.exit(run("eta", sys.argv[1:]))


def run(program: str, arguments: list[str]) -> int:
    """Run a command in a warm process, or replace this process by a plain one; its exit code."""
    is_wanted = sys.platform == "linux" and os.environ.get("ETA_WARM") != "0"
    connection = _connect(Place.of(os.environ)) if is_wanted else None
    if connection is None or not _ask(connection, program, arguments):
        plain = str(Path(sys.prefix) / "bin" / program)
        os.execv(plain, [plain, *arguments])  # noqa: S606
    return _wait(connection)


def _connect(place: Place) -> socket.socket | None:
    """Reach the server, started if need be; None when that fails."""
    found = place.connect()
    if found is not None:
        return found
    try:
        place.make()
        started = subprocess.Popen(
            # not with this folder among its modules, which would be every later caller's, too
            [sys.executable, "-P", "-m", "lakehouse.warm.server"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.05)
        found = place.connect()
        if found is not None:
            return found
        if started.poll():  # one that found another one running ends with 0
            return None
    return None


def _ask(connection: socket.socket, program: str, arguments: list[str]) -> bool:
    """Hand everything over; False when the server was about to end, and nothing runs."""
    asked = {
        "program": program,
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "umask": _umask(),
    }
    body = json.dumps(asked).encode()
    outputs = array.array("i", [1, 2])
    try:
        connection.sendmsg(
            [len(body).to_bytes(8, "big")],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, outputs)],
        )
        connection.sendall(body)
        return connection.recv(1) == STARTED
    except OSError:
        return False


def _wait(connection: socket.socket) -> int:
    """Pass signals on until the command has ended; its exit code as a shell has it."""

    def forward(number: int, _: object) -> None:
        connection.send(bytes([number]))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    try:
        said = b""
        while part := connection.recv(16):
            said += part
    except OSError:
        said = b""
    if not said.endswith(b"\n"):
        print(f"{SOCKET}: the process that ran the command is gone", file=sys.stderr)
        return GONE
    return int(said)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
