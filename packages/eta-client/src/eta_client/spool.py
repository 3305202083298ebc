"""Events on disk until the service has them: a crash or an outage loses none.

One SQLite file. Senders lease rows, so several processes may share a spool, and what a killed one
had leased is sent by another, or by its next start, when the lease is over. Sending a row twice
does no harm: it carries its id.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from eta_client.errors import SdkError, SpoolFullError
from eta_client.options import ClientOptions

LEASE_SECONDS: Final = 60
BUSY_SECONDS: Final = 15

_TABLE: Final = """
create table if not exists events (
    number integer primary key autoincrement,
    path text not null,
    body blob not null,
    leased_until real not null default 0
)
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events for one path, leased: their numbers and their JSON."""

    path: str
    numbers: tuple[int, ...]
    bodies: tuple[bytes, ...]


def default_path(url: str, api_key: str) -> Path:
    """Return where the events for a service and key are kept unless another place is named."""
    name = hashlib.sha256(f"{url}\n{api_key}".encode()).hexdigest()[:16]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "eta" / f"{name}.spool"


class Spool:
    """A file of events that wait to be sent; for several threads and processes."""

    def __init__(
        self, path: Path, options: ClientOptions, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._limit = options.spool_bytes
        self._clock = clock
        self._lock = Lock()
        self._bytes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.execute("pragma journal_mode = wal")
            level = "full" if options.is_power_safe else "normal"
            self._database.execute(f"pragma synchronous = {level}")
            self._database.execute(_TABLE)
            self._bytes = self._sum("coalesce(sum(length(body)), 0)")
        except (OSError, sqlite3.Error) as error:
            raise SdkError(
                f"the spool {path} cannot be used ({type(error).__name__})",
                remedy="make its folder writable, or name another file as `spool`",
            ) from error

    def add(self, path: str, body: bytes) -> None:
        """Keep an event; it survives the end of the process when this returns.

        Raises `SpoolFullError`.
        """
        with self._lock:
            if self._bytes + len(body) > self._limit:
                self._bytes = self._sum("coalesce(sum(length(body)), 0)")
                if self._bytes + len(body) > self._limit:
                    raise SpoolFullError
            self._database.execute("insert into events (path, body) values (?, ?)", (path, body))
            self._bytes += len(body)

    def lease(self, events: int, size: int) -> Batch | None:
        """Take the oldest events of one path for `LEASE_SECONDS`; None when there are none."""
        now = self._clock()
        with self._lock:
            self._database.execute("begin immediate")
            try:
                free = "leased_until <= ?"
                first = self._database.execute(
                    f"select path from events where {free} order by number limit 1",  # noqa: S608
                    (now,),
                ).fetchone()
                rows = self._database.execute(
                    f"select number, body from events where {free} and path = ? "  # noqa: S608
                    "order by number limit ?",
                    (now, first[0] if first else "", events),
                ).fetchall()
                taken = _within(rows, size)
                self._database.executemany(
                    "update events set leased_until = ? where number = ?",
                    [(now + LEASE_SECONDS, number) for number, _ in taken],
                )
            finally:
                self._database.execute("commit")
        if not taken:
            return None
        return Batch(first[0], tuple(n for n, _ in taken), tuple(body for _, body in taken))

    def drop(self, batch: Batch) -> None:
        """Forget events that the service has."""
        with self._lock:
            self._each("delete from events where number = ?", batch.numbers)
            self._bytes -= sum(map(len, batch.bodies))

    def give_back(self, batch: Batch) -> None:
        """End a lease: the events may be taken again."""
        with self._lock:
            self._each("update events set leased_until = 0 where number = ?", batch.numbers)

    def newest(self) -> int:
        """Return the number of the newest event, 0 when there is none."""
        with self._lock:
            return self._sum("coalesce(max(number), 0)")

    def waiting(self, up_to: int | None = None) -> int:
        """Return how many events are not sent yet, of all or of those `up_to` a number."""
        with self._lock:
            limit = "" if up_to is None else f" where number <= {int(up_to)}"
            return self._sum("count(*)", limit)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock, suppress(sqlite3.Error):
            self._database.close()

    def _each(self, statement: str, numbers: Sequence[int]) -> None:
        self._database.execute("begin immediate")
        self._database.executemany(statement, [(number,) for number in numbers])
        self._database.execute("commit")

    def _sum(self, what: str, where: str = "") -> int:
        found = self._database.execute(f"select {what} from events{where}").fetchone()  # noqa: S608
        return int(found[0])


def _within(rows: Sequence[tuple[int, bytes]], size: int) -> list[tuple[int, bytes]]:
    taken: list[tuple[int, bytes]] = []
    for number, body in rows:
        size -= len(body) + 1
        if taken and size < 0:
            break
        taken.append((number, body))
    return taken
