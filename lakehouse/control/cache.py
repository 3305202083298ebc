"""Answers that may be given again while nobody has written to the database."""

from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar, cast

from lakehouse.control.connection import ChangeCounter, Connections

T = TypeVar("T")

MAX_ENTRIES: Final = 10_000


class ReadCache:
    """Keeps what was read until the database changes, in this process or another one.

    So a revoked key is refused with the next request all the same. SQLite tells cheaply whether it
    has changed; for another database nothing is kept and every question is asked.
    """

    def __init__(self, connections: Connections) -> None:
        self._counter: ChangeCounter | None = None
        if connections.is_sqlite:
            self._counter = ChangeCounter(Path(str(connections.engine.url.database)))
        self._lock = Lock()
        self._state = (-1, -1)
        self._kept: dict[Hashable, object] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` returns, or returned since the last change; None is not kept."""
        if self._counter is None:
            return read()
        state = self._counter.now()
        with self._lock:
            if state != self._state or len(self._kept) > MAX_ENTRIES:
                self._state = state
                self._kept = {}
            kept = self._kept
        if key in kept:
            return cast("T", kept[key])
        found = read()
        if found is not None:
            kept[key] = found
        return found

    def close(self) -> None:
        """Close what it looks with."""
        if self._counter is not None:
            self._counter.close()
