"""`warm-dbt` and `warm-eta`: dbt and eta as ever, without the seconds that their imports take.

The command runs in a copy (a fork) of a process that has imported dbt and Spark's client; the first
call starts that process, which ends by itself when nobody called for a while. Standard input,
output and error, folder, environment, exit code and signals are the caller's; a killed caller kills
the command. Where this cannot be, the command is started the plain way.

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
ANSWER_SECONDS: Final = 20.0
"""How long a server may take to say that it is ready; one that was stopped never does."""
READY: Final = b"?"
"""What the server sends when it has read a command."""
GO: Final = b"!"
"""What it is told then, with the caller's descriptors: nothing runs before."""
STARTED: Final = b"+"
"""What the server sends once the command runs; its exit code follows, as a line."""
REFUSED: Final = b"-"
"""What it sends when it could not be copied."""
GONE: Final = 75
"""Exit code when the process that the command was a copy of is gone, and the command with it."""
NOT_FOUND: Final = 127
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What is passed on, unless the caller ignores it: then the command does."""


def dbt() -> None:
    """Run dbt with this process's arguments."""
    sys.exit(run("dbt", sys.argv[1:]))


def eta() -> None:
    """Run eta with this process's arguments."""
    sys.exit(run("eta", sys.argv[1:]))


def run(program: str, arguments: list[str]) -> int:
    """Run a command in a warm process, or replace this process by a plain one; its exit code."""
    connection = _connected() if _can_be_handed_over() else None
    if connection is None or not _ask(connection, program, arguments):
        return _plain(program, arguments)
    started = _started(connection)
    if started == REFUSED:
        return _plain(program, arguments)
    return _wait(connection) if started else _gone()


def _can_be_handed_over() -> bool:
    if sys.platform != "linux" or os.environ.get("ETA_WARM") == "0":
        return False
    try:
        for number in (0, 1, 2):  # a closed one would be what is opened next
            os.fstat(number)
    except OSError:
        return False
    return True


def _plain(program: str, arguments: list[str]) -> int:
    """Be the command itself; returns an exit code where there is none."""
    for folder in (Path(sys.argv[0]).parent, Path(sys.prefix) / "bin"):
        plain = str(folder.absolute() / program) if folder.is_absolute() else str(folder / program)
        if os.access(plain, os.X_OK):
            os.execv(plain, [plain, *arguments])  # noqa: S606
    print(f"there is no {program} in {Path(sys.prefix) / 'bin'}", file=sys.stderr)
    return NOT_FOUND


def _connected() -> socket.socket | None:
    """Reach the server, started if need be; None when that fails."""
    try:
        place = Place.of(os.environ)
        return place.connect() or _started_server(place)
    except OSError:
        return None


def _started_server(place: Place) -> socket.socket | None:
    place.make()
    starting = subprocess.run(
        # not with this folder among its modules, which would be every later caller's, too;
        # it returns when the server goes on by itself: as a child it would be ended with this task
        [sys.executable, "-P", "-m", "lakehouse.warm.server", str(place.folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )
    deadline = time.monotonic() + START_SECONDS
    while starting.returncode == 0 and time.monotonic() < deadline:
        found = place.connect()
        if found is not None:
            return found
        if not place.is_held():
            return place.connect()
        time.sleep(0.05)
    return None


def _ask(connection: socket.socket, program: str, arguments: list[str]) -> bool:
    """Hand everything over; False when the server does not answer, and nothing runs."""
    asked = {
        "program": program,
        # bytes as they are: the server may have another encoding
        "arguments": [os.fsencode(one).decode("latin-1") for one in arguments],
        "environment": {
            name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()
        },
        "umask": _umask(),
        "ignored": [int(one) for one in SIGNALS if signal.getsignal(one) is signal.SIG_IGN],
    }
    body = json.dumps(asked).encode()
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.sendall(len(body).to_bytes(8, "big") + body)
        if connection.recv(1) != READY:
            return False
        connection.settimeout(None)
        # not before: a server that hangs would keep the streams open that it was sent
        folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        handed = array.array("i", [0, 1, 2, folder])
        connection.sendmsg([GO], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
        os.close(folder)
    except OSError:
        connection.close()  # what was sent runs no more
        return False
    return True


def _started(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1)
    except OSError:
        return b""


def _wait(connection: socket.socket) -> int:
    """Pass signals on until the command has ended; its exit code as a shell has it."""

    def forward(number: int, _: object) -> None:
        connection.send(bytes([number]))

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)
    try:
        said = b""
        while part := connection.recv(16):
            said += part
    except OSError:
        said = b""
    return int(said) if said.endswith(b"\n") else _gone()


def _gone() -> int:
    print(f"{SOCKET}: the process that ran the command is gone", file=sys.stderr)
    return GONE


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
