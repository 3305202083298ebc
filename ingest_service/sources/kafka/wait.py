"""What the consumer waits for, and how long."""

from threading import Event
from typing import Final

from deltalake.exceptions import DeltaError
from sqlalchemy.exc import SQLAlchemyError

from ingest_service.readers.registries import RegistryAwayError
from lakehouse.errors import EtaError

AWAY: Final = (OSError, DeltaError, SQLAlchemyError, RegistryAwayError, EtaError)
"""What passes when a service is back; anything else is a fault of the program."""


class StoppedError(Exception):
    """The consumer is to end; the batch was not stored."""


class Backoff:
    """Pauses that double from `first` up to `most` seconds; `wait` ends early on a stop."""

    def __init__(self, first: float, most: float, stop: Event) -> None:
        self._first, self._most, self._stop = first, most, stop
        self._next = first

    def wait(self) -> None:
        """Pause; raises `StoppedError` when the process is to end."""
        if self._stop.wait(self._next):
            raise StoppedError
        self._next = min(self._most, 2 * self._next)

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._next = self._first
