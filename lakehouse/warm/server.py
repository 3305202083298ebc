"""The process that has loaded dbt and Spark's client, and runs each command in a copy of itself.

One thread, no connection to anything before a copy is made: a copy begins as a fresh process would,
only with its imports done. It loads packages of others alone; the project's own modules, which read
the environment when they are used, each copy imports for itself.
"""

import atexit
import ctypes
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from lakehouse.warm.client import GO, READY, REFUSED, SIGNALS, STARTED
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
_READ_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 5.0
"""How often the server looks whether it is still found."""
_DIE_WITH_PARENT: Final = 1
"""`PR_SET_PDEATHSIG`."""
_NAME: Final = 15
"""`PR_SET_NAME`."""
_INTERRUPTED: Final = 128 + signal.SIGINT


@dataclass(frozen=True)
class _Asked:
    """A command, with what it has of its caller's."""

    program: str
    arguments: list[str]
    environment: dict[bytes, bytes]
    umask: int
    ignored: list[int]


@dataclass
class _Command:
    """A command that runs: who asked for it, and which process it is."""

    connection: socket.socket
    pid: int


@dataclass
class Server:
    """Waits for commands, signals and ends."""

    place: Place
    lock: int
    """A descriptor."""
    preloaded: tuple[str, ...] = PRELOADED
    commands: dict[int, _Command] = field(default_factory=dict)
    """By the number of the caller's connection."""

    def serve(self) -> None:
        """Run what is asked for until nobody did for `IDLE_SECONDS`, or nobody can any more."""
        for name in self.preloaded:
            with suppress(ImportError):  # an extra that is not installed
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # copies share the pages
        listening, number = self.place.listen()
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
        while self.commands or (self.lock >= 0 and time.monotonic() - quiet_since < IDLE_SECONDS):
            for key, _ in events.select(timeout=_LOOK_SECONDS):
                if key.fileobj is listening:
                    self._accept(listening)
                elif key.fileobj is ended:
                    with suppress(BlockingIOError):
                        ended.recv(4096)
                else:
                    self._heard(key.fd)
                quiet_since = time.monotonic()
            self._reap()
            if self.lock >= 0 and not self.place.has(number):
                os.close(self.lock)  # another may serve; what runs here is ended by its callers
                self.lock = -1
        if self.lock >= 0:
            self.place.close()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:  # its caller is gone, or this process has too many open: they wait
            time.sleep(0.05)
            return
        connection.settimeout(_READ_SECONDS)
        try:
            if peer_of(connection) != os.geteuid():
                raise PermissionError
            asked = _asked(connection)
        except (OSError, ValueError, RecursionError):
            connection.close()
            return
        try:
            connection.sendall(READY)
            handed = _handed(connection)
        except (OSError, ValueError):  # the caller gave up, and runs the command itself
            connection.close()
            return
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no memory, or too many processes: the caller finds out for itself
            pid = -1
        if pid == 0:
            self._become(connection, asked, handed, server)
        for one in handed:
            os.close(one)
        if pid == -1:
            with suppress(OSError):
                connection.sendall(REFUSED)
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
            with suppress(OSError):  # it has ended; or that is no signal
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
        self, connection: socket.socket, asked: _Asked, handed: list[int], server: int
    ) -> NoReturn:
        """Be the command, in the copy; never returns, whatever happens in it."""
        code = 1
        try:
            self._part_from_server(connection, server)
            _take_over(asked, handed)
            code = _code_of(lambda: _call(asked.program, asked.arguments))
            code = _finished(code)
        finally:
            os._exit(code)

    def _part_from_server(self, connection: socket.socket, server: int) -> None:
        """Let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._events.close()
        for end in (*self._own, connection, *(one.connection for one in self.commands.values())):
            end.close()
        if self.lock >= 0:
            os.close(self.lock)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != server:  # it was killed before that
            os._exit(1)
        os.setpgid(0, 0)


def _take_over(asked: _Asked, handed: list[int]) -> None:
    """Have what the caller has; `handed` are its standard streams and its folder."""
    for number, one in enumerate(handed[:3]):
        os.dup2(one, number)
    os.fchdir(handed[3])
    for one in handed:
        os.close(one)
    os.umask(asked.umask)
    os.environ.clear()
    os.environb.update(asked.environment)
    time.tzset()
    for number in SIGNALS:
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in asked.ignored else default)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    if "numpy.random" in sys.modules:  # else each copy would draw the same numbers
        sys.modules["numpy.random"].seed()
    ctypes.CDLL(None).prctl(_NAME, asked.program.encode())


def _code_of(call: Callable[[], None]) -> int:
    """Call a command; return the exit code that an interpreter would have."""
    try:
        call()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
    except KeyboardInterrupt:
        traceback.print_exc()
        return _INTERRUPTED
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
    else:
        return 0
    return 1


def _finished(code: int) -> int:
    """Do what an interpreter does last, but for libraries of C++; return the exit code.

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
    return code


def _call(program: str, arguments: list[str]) -> None:
    """Call a command's own entry point, which ends with `SystemExit`."""
    main = sys.modules["__main__"]
    main.__package__, main.__spec__ = None, None  # a command's usage names the module else
    sys.argv = [str(Path(sys.prefix) / "bin" / program), *arguments]
    if program == "dbt":
        from dbt.cli.main import cli

        cli()
    else:
        from lakehouse.cli.main import app

        app()


def _asked(connection: socket.socket) -> _Asked:
    """Read a command; raises `OSError`, `ValueError`."""
    size = int.from_bytes(_received(connection, 8), "big")
    if size > MOST_BYTES:
        raise ValueError("not a command")
    return _read(json.loads(_received(connection, size)))


def _received(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(min(size - len(found), 1 << 16))
        if not part:
            raise ValueError("a command that is cut")
        found += part
    return bytes(found)


def _handed(connection: socket.socket) -> list[int]:
    """Take the caller's descriptors when it says that the command is to run.

    Raises `OSError`, `ValueError`.
    """
    said, extra, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4 * array("i").itemsize))
    handed = array("i")
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            handed.frombytes(data[: len(data) - len(data) % handed.itemsize])
    if said != GO or len(handed) != 4:
        for one in handed:
            os.close(one)
        raise ValueError("not to be run")
    return list(handed)


def _read(said: Any) -> _Asked:
    try:
        return _Asked(
            {"dbt": "dbt", "eta": "eta"}[said["program"]],
            [os.fsdecode(one.encode("latin-1")) for one in said["arguments"]],
            {
                name.encode("latin-1"): value.encode("latin-1")
                for name, value in said["environment"].items()
            },
            int(said["umask"]),
            [int(one) for one in said["ignored"]],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a command") from error


def _noted(_: int, __: FrameType | None) -> None:
    """The end of a command wakes the loop up; nothing is done here."""


def main(preloaded: tuple[str, ...] = PRELOADED, folder: str | None = None) -> int:
    """Serve, unless another process does already.

    With a folder, that of the caller that starts it, a process goes on that is nobody's child, and
    this one returns.
    """
    for number in (*SIGNALS, signal.SIGCHLD):  # whatever the caller ignores
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    place = Place.of(os.environ) if folder is None else Place(Path(folder))
    place.make()
    lock = place.lock()
    if lock is None:
        return 0
    if folder is not None and os.fork():
        os._exit(0)
    os.chdir("/")  # the caller's may be deleted, or on a disk to be taken away
    place.sign(lock)
    try:
        place.prune()
        Server(place, lock, preloaded).serve()
    except Exception:
        place.note(traceback.format_exc())
        place.close()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(folder=sys.argv[1] if len(sys.argv) > 1 else None))
