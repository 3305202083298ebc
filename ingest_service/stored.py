"""Which of the people of a request stand in the tables: one look at a time, and not for long."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Lock
from typing import Final

import anyio

_log = logging.getLogger(__name__)

SECONDS: Final = 20.0
"""How long a request waits for the answer, its turn included."""


class StoredLookup:
    """Asks the lake; a request that cannot be answered in time goes on without."""

    def __init__(
        self, stored: Callable[[str, Sequence[str]], Collection[str]], seconds: float = SECONDS
    ) -> None:
        self._stored = stored
        self._seconds = seconds
        self._turn = Lock()

    async def of(self, tenant_id: str, identifiers: Sequence[str]) -> Collection[str] | None:
        """Return those that have rows of the tenant; None when that is not known in time."""
        with anyio.move_on_after(self._seconds):
            look = partial(self._look, tenant_id, identifiers)
            return await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
        return None

    def _look(self, tenant_id: str, identifiers: Sequence[str]) -> Collection[str] | None:
        if not self._turn.acquire(timeout=self._seconds):
            return None
        try:
            return self._stored(tenant_id, identifiers)
        except Exception as error:  # noqa: BLE001 - the request is made, whatever the tables hold
            _log.warning("who is stored could not be looked up (%s)", type(error).__qualname__)
            return None
        finally:
            self._turn.release()
