"""Where the warm process of an environment is found: a socket that its own user alone may reach."""

import fcntl
import hashlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SOCKET: Final = "warm"
_ADDRESS: Final = "s"
"""The socket's name within its folder: a whole path may be longer than an address (108 bytes)."""


@dataclass(frozen=True)
class Place:
    """The folder of one environment's warm process, below the home of the lake."""

    folder: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the place of this Python environment as it is now.

        Upgraded, or told other things by variables of Python's (`PYTHONPATH`), it is another.
        """
        project = environment.get("ETA_PROJECT_DIR") or "."
        home = Path(environment.get("ETA_HOME") or Path(project) / ".eta").absolute()
        packages = [Path(name) for name in sys.path if name.endswith("-packages")]
        state = [(str(path), path.stat().st_mtime_ns) for path in packages if path.is_dir()]
        told = sorted(pair for pair in environment.items() if pair[0].startswith("PYTHON"))
        known = repr((sys.version, sys.prefix, state, told))
        stamp = hashlib.sha256(known.encode(errors="surrogateescape")).hexdigest()[:16]
        return cls(home / SOCKET / stamp)

    def make(self) -> None:
        """Make the folder, for its owner alone; raises `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    @property
    def lock(self) -> Path:
        """Held by the server that runs."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the server has to say when it cannot serve."""
        return self.folder / "log"

    def connect(self) -> socket.socket | None:
        """Return a connection to the server of this user; None when there is none."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _within(self.folder):
                found.connect(_ADDRESS)
            if peer_of(found) == os.getuid():
                return found
        except OSError:
            pass
        found.close()
        return None

    def listen(self) -> socket.socket:
        """Return the server's socket; the caller holds the lock."""
        with _within(self.folder):
            with suppress(FileNotFoundError):
                Path(_ADDRESS).unlink()
            found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            found.bind(_ADDRESS)
        found.listen(64)
        return found

    def close(self) -> None:
        """Let nobody find the server any more."""
        with suppress(OSError):
            (self.folder / _ADDRESS).unlink()


def stop_all(home: Path) -> None:
    """End the warm processes of a lake's home, and what they run."""
    for lock in (home / SOCKET).glob("*/lock"):
        with lock.open("a+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.seek(0)
                with suppress(ValueError, ProcessLookupError):
                    os.kill(int(held.read()), signal.SIGTERM)


def peer_of(connection: socket.socket) -> int:
    """Return the user id of the process at the other end."""
    size = struct.calcsize("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", found)[1])


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Work in a folder for a moment; for one thread."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
