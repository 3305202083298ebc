"""Who has a tenant's window: one batch at a time, in the order in which they came."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest_service.dedupe.window import RecentEvents


class Turn:
    """A place in the queue for a window; a thread waits for it, an event loop looks at it."""

    def __init__(self, events: "RecentEvents") -> None:
        self.events = events
        self._come = Event()

    @property
    def has_come(self) -> bool:
        """Whether the window is lent to whoever holds this."""
        return self._come.is_set()

    def call(self) -> None:
        """Lend the window."""
        self._come.set()

    def wait(self) -> None:
        """Return once the window is lent."""
        self._come.wait()


class Turns:
    """The queue for one window; for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._queue: deque[Turn] = deque()

    @contextmanager
    def queue(self, events: "RecentEvents") -> Iterator[Turn]:
        """Queue; the place, or the window, is given up at the end, whatever happens."""
        turn = Turn(events)
        with self._lock:
            self._queue.append(turn)
            self._queue[0].call()
        try:
            yield turn
        finally:
            with self._lock:
                self._queue.remove(turn)
                if self._queue:
                    self._queue[0].call()
