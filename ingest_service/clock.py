"""A clock whose every reading is later than the one before.

`known_at` decides which of two batches is newer. Two batches of one microsecond, or of a clock that
was put back in between, would be ordered by their ids, so by chance.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

_STEP: Final = timedelta(microseconds=1)


class RisingClock:
    """Times in UTC, strictly rising within a process, for all of its threads."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = Lock()
        self._last: datetime | None = None

    def __call__(self) -> datetime:
        """Return the time; a microsecond after the last one when the clock has not moved on."""
        with self._lock:
            now = self._now()
            if self._last is not None and now <= self._last:
                now = self._last + _STEP
            self._last = now
            return now
