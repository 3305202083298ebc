"""Where the warm process of an environment is found: a socket that its own user alone may reach."""

import fcntl
import hashlib
import os
import resource
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SOCKET: Final = "warm"
_ADDRESS: Final = "s"
"""The socket's name within its folder: a whole path may be longer than an address (108 bytes)."""
_LOCK: Final = "lock"
_LOG: Final = "log"
_KEPT_SECONDS: Final = 86_400
"""How long a folder is left alone whose process has ended."""

DECIDED: Final = (
    *("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "_RJEM_"),
    *("ARROW_", "GRPC_", "MKL_", "NETWORKX_", "NPY_", "NUMPY_", "OMP_", "OPENBLAS_", "OTEL_"),
    *("MSGPACK_", "PANDAS_", "POLARS_", "PROTOCOL_BUFFERS_", "PY4J_", "PYDANTIC_", "PYSPARK_"),
    *("DBT_ENGINE_RECORDER_", "DBT_MACRO_DEBUGGING", "DBT_RECORDER_", "DBT_SPARK_LOG_LEVEL"),
    *("DBT_TEST_", "PYTZ_", "RUST_", "SPARK_ANSI_", "SPARK_CONNECT_", "SPARK_HOME"),
    *("SPARK_SKIP_", "TYPER_"),
)
"""Beginnings of the variables that Python, its libraries or the linker look at once, when they are
loaded: a caller with others has a warm process of its own."""


@dataclass(frozen=True)
class Place:
    """The folder of one environment's warm process, below the home of the lake."""

    folder: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the place of this Python environment as it is now, for callers such as this one.

        It is another one after an upgrade, with other variables of `DECIDED`, on another machine or
        in another container, and for a process with other limits, groups or priority: a copy
        inherits those, or has them already. Raises `OSError` where this folder is gone.
        """
        project = environment.get("ETA_PROJECT_DIR") or "."
        home = Path(environment.get("ETA_HOME") or Path(project) / ".eta").absolute()
        packages = [Path(name) for name in sys.path if name.endswith("-packages")]
        state = [(str(path), path.stat().st_mtime_ns) for path in packages if path.is_dir()]
        own = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
        told = sorted(pair for pair in environment.items() if pair[0].startswith(DECIDED))
        searched = environment.get("PYTHONPATH")
        if searched and not all(part.startswith("/") for part in searched.split(":")):
            told.append(("folder", str(Path.cwd())))
        known = repr((sys.version, sys.prefix, state, own, told, machine(), _inherited()))
        stamp = hashlib.sha256(known.encode(errors="surrogateescape")).hexdigest()[:16]
        return cls(home / SOCKET / stamp)

    def make(self) -> None:
        """Make the folder, for its owner alone.

        Raises `OSError`, also where somebody else's folder, or a link, has its name.
        """
        home = self.folder.parent.parent
        home.parent.mkdir(parents=True, exist_ok=True)
        for folder in (home, self.folder.parent, self.folder):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        with _within(self.folder):
            pass

    def lock(self) -> int | None:
        """Return the descriptor of the lock that a server holds; None while another holds it.

        Raises `OSError`.
        """
        with _within(self.folder):
            found = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(found)
            return None
        return found

    def sign(self, lock: int) -> None:
        """Write into the lock which process holds it, and where."""
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {machine()}".encode(), 0)

    def is_held(self) -> bool:
        """Whether a server holds the lock: one that serves, or is about to."""
        try:
            found = self.lock()
        except OSError:
            return False
        if found is not None:
            os.close(found)
        return found is None

    def note(self, text: str) -> None:
        """Write down why the server cannot serve."""
        with suppress(OSError), _within(self.folder):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(_LOG, flags, 0o600), "w", encoding="utf-8") as log:
                log.write(text)

    def connect(self) -> socket.socket | None:
        """Return a connection to the server of this user; None when there is none."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _within(self.folder):
                found.connect(_ADDRESS)
            if peer_of(found) == os.geteuid():
                return found
        except OSError:
            pass
        found.close()
        return None

    def listen(self) -> tuple[socket.socket, int]:
        """Return the server's socket and the number of its file; the caller holds the lock."""
        with _within(self.folder):
            with suppress(FileNotFoundError):
                Path(_ADDRESS).unlink()
            found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            found.bind(_ADDRESS)
            number = Path(_ADDRESS).lstat().st_ino
        found.listen(64)
        return found, number

    def has(self, number: int) -> bool:
        """Whether callers still find the socket whose file has this number."""
        try:
            return (self.folder / _ADDRESS).lstat().st_ino == number
        except OSError:
            return False

    def close(self) -> None:
        """Let nobody find the server any more."""
        with suppress(OSError):
            (self.folder / _ADDRESS).unlink()

    def prune(self) -> None:
        """Delete the folders beside this one whose processes ended a day ago: earlier versions."""
        for other in self.folder.parent.iterdir():
            with suppress(OSError):
                there = Place(other)
                if other == self.folder or time.time() - other.stat().st_mtime < _KEPT_SECONDS:
                    continue
                lock = there.lock()
                if lock is not None:
                    for name in (_ADDRESS, _LOG, _LOCK):
                        (other / name).unlink(missing_ok=True)
                    other.rmdir()
                    os.close(lock)


def stop_all(home: Path) -> None:
    """End the warm processes of a lake's home on this machine, and what they run."""
    for folder in (home / SOCKET).glob("*"):
        place = Place(folder)
        with suppress(OSError, ValueError):
            if not place.is_held():
                continue
            pid, _, where = (folder / _LOCK).read_text(encoding="utf-8").partition(" ")
            if where == machine():  # else a process of another machine that has this home, too
                os.kill(int(pid), signal.SIGTERM)


def machine() -> str:
    """Return what tells this machine, as long as it runs, and this container from others."""
    found = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id",):
        with suppress(OSError):
            found.append(Path(path).read_text(encoding="ascii").strip())
    for name in ("pid", "mnt", "user", "net"):
        with suppress(OSError):
            found.append(str(Path(f"/proc/self/ns/{name}").readlink()))
    return " ".join(found)


def _inherited() -> list[object]:
    """Return what a command has from whoever starts it, and a copy from the server."""
    limits = [getattr(resource, name) for name in sorted(dir(resource)) if name[:7] == "RLIMIT_"]
    found: list[object] = [
        [resource.getrlimit(one) for one in limits],
        [*os.getresuid(), *os.getresgid(), *sorted(os.getgroups())],
        os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)),
    ]
    with suppress(OSError):
        found.append(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    return found


def peer_of(connection: socket.socket) -> int:
    """Return the user id of the process at the other end."""
    size = struct.calcsize("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", found)[1])


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Work for a moment in a folder that is this user's alone; for one thread.

    Raises `OSError` for another one: what is made in it could be led to other files by links.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # it may be unreadable
    try:
        wanted = os.open(folder, flags)
        try:
            found = os.fstat(wanted)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PermissionError(f"{folder} is not this user's alone")
            os.fchdir(wanted)
        finally:
            os.close(wanted)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
