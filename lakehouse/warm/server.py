"""The process that has loaded dbt and Spark's client, and runs each command in a copy of itself.

One thread, no connection to anything before a copy is made: a copy begins as a fresh process would,
only with its imports done. It loads packages of others alone; the project's own modules, which read
the environment when they are used, each copy imports for itself.
"""

import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NoReturn

from lakehouse.warm.client import STARTED
from lakehouse.warm.place import Place, peer_of

IDLE_SECONDS: Final = 900.0
MOST_BYTES: Final = 8 << 20
"""Of a command with its environment."""
PRELOADED: Final = (
    "dbt.cli.main",
    "dbt.adapters.spark.impl",
    "dbt.adapters.spark.session",
    "dbt.task.build",
    "grpc",
    "pandas",
    "pyspark.sql",
    "pyspark.sql.connect.session",
    "pyarrow",
    "pydantic_settings",
    "sqlalchemy",
    "deltalake",
    "polars",
    "rich",
    "typer",
)
_READ_SECONDS: Final = 10.0
_DIE_WITH_PARENT: Final = 1
"""`PR_SET_PDEATHSIG`."""


@dataclass
class _Command:
    """A command that runs: who asked for it, and which process it is."""

    connection: socket.socket
    pid: int


@dataclass
class Server:
    """Waits for commands, signals and ends."""

    place: Place
    preloaded: tuple[str, ...] = PRELOADED
    commands: dict[int, _Command] = field(default_factory=dict)
    """By the number of the caller's connection."""

    def serve(self) -> None:
        """Run what is asked for until nobody has asked for `IDLE_SECONDS`."""
        for name in self.preloaded:
            with suppress(ImportError):  # an extra that is not installed
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # copies share the pages
        listening = self.place.listen()
        listening.setblocking(False)
        ended, waker = socket.socketpair()
        for end in (ended, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, _noted)
        events = selectors.DefaultSelector()
        events.register(listening, selectors.EVENT_READ)
        events.register(ended, selectors.EVENT_READ)
        self._events, self._own = events, (listening, ended, waker)
        quiet_since = time.monotonic()
        while self.commands or time.monotonic() - quiet_since < IDLE_SECONDS:
            for key, _ in events.select(timeout=30):
                if key.fileobj is listening:
                    self._accept(listening)
                elif key.fileobj is ended:
                    with suppress(BlockingIOError):
                        ended.recv(4096)
                else:
                    self._heard(key.fd)
                quiet_since = time.monotonic()
            self._reap()
        self.place.close()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:  # its caller is gone, or this process has too many open: they run plainly
            return
        connection.settimeout(_READ_SECONDS)
        try:
            if peer_of(connection) != os.getuid():
                raise PermissionError
            asked, outputs = _asked(connection)
        except (OSError, ValueError, RecursionError):
            connection.close()
            return
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no memory, or too many processes: the caller finds out for itself
            pid = -1
        if pid == 0:
            self._become(connection, asked, outputs, server)
        for output in outputs:
            os.close(output)
        if pid == -1:
            connection.close()
            return
        with suppress(OSError):  # here as well as in the copy: a signal may come before it has
            os.setpgid(pid, pid)
        with suppress(OSError):  # a caller that is gone is heard of below
            connection.sendall(STARTED)
        connection.setblocking(False)
        self.commands[connection.fileno()] = _Command(connection, pid)
        self._events.register(connection, selectors.EVENT_READ)

    def _heard(self, number: int) -> None:
        """Pass a signal on; a caller that is gone takes its command along."""
        command = self.commands[number]
        try:
            said = command.connection.recv(16)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        for signal_number in said or [signal.SIGKILL]:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal_number)
        if not said:
            self._events.unregister(command.connection)
            self._end(number)

    def _reap(self) -> None:
        """Tell the callers of commands that have ended how."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for number, command in list(self.commands.items()):
                if command.pid == pid:
                    self._events.unregister(command.connection)
                    code = os.waitstatus_to_exitcode(status)
                    code = 128 - code if code < 0 else code
                    with suppress(OSError):
                        command.connection.send(f"{code}\n".encode())
                    self._end(number)

    def _end(self, number: int) -> None:
        self.commands.pop(number).connection.close()

    def _become(
        self, connection: socket.socket, asked: dict[str, Any], outputs: list[int], server: int
    ) -> NoReturn:
        """Be the command, in the copy; never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._events.close()
            others = [one.connection for one in self.commands.values()]
            for end in (*self._own, connection, *others):
                end.close()
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != server:  # it was killed before that
                os._exit(1)
            os.setpgid(0, 0)
            for number, output in enumerate(outputs, 1):
                os.dup2(output, number)
                os.close(output)
            os.environ.clear()
            os.environ.update(asked["environment"])
            os.umask(asked["umask"])
            os.chdir(asked["folder"])
            _call(asked["program"], asked["arguments"])
            code = 0
        except SystemExit as ended:
            code = _code_of(ended)
        except BaseException:  # noqa: BLE001 - nothing of the copy may go on as a server
            traceback.print_exc()
            code = 1
        _end(code)


def _code_of(ended: SystemExit) -> int:
    """Return the exit code that an interpreter would have."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1


def _end(code: int) -> NoReturn:
    """End as an interpreter does, without what libraries of C++ do last.

    Some abort in a copy, which has none of the threads that they believe to have. What cannot be
    written any more makes the exit code 120, as an interpreter's.
    """
    for finish in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]  # noqa: SLF001
        with suppress(Exception):
            finish()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    os._exit(code)


def _call(program: str, arguments: list[str]) -> None:
    """Call a command's own entry point, which ends with `SystemExit`."""
    sys.argv = [program, *arguments]
    if program == "dbt":
        from dbt.cli.main import cli

        cli()
    else:
        from lakehouse.cli.main import app

        app()


def _asked(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read a command and the caller's standard output and error; raises `OSError`, `ValueError`."""
    space = socket.CMSG_SPACE(2 * array("i").itemsize)
    head, extra, _, _ = connection.recvmsg(8, space)
    outputs = array("i")
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            outputs.frombytes(data[: len(data) - len(data) % outputs.itemsize])
    try:
        size = int.from_bytes(head, "big")
        if len(outputs) != 2 or len(head) != 8 or size > MOST_BYTES:
            raise ValueError("not a command")
        body = bytearray()
        while len(body) < size:
            part = connection.recv(min(size - len(body), 1 << 16))
            if not part:
                raise ValueError("a command that is cut")
            body += part
        return json.loads(body), list(outputs)
    except BaseException:
        for output in outputs:
            os.close(output)
        raise


def _noted(_: int, __: FrameType | None) -> None:
    """The end of a command wakes the loop up; nothing is done here."""


def main(preloaded: tuple[str, ...] = PRELOADED) -> int:
    """Serve, unless another process does already."""
    place = Place.of(os.environ)
    place.make()
    with place.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            Server(place, preloaded).serve()
        except Exception:
            place.log.write_text(traceback.format_exc(), encoding="utf-8")
            place.close()
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
