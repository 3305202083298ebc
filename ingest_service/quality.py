"""Reads the tenants' quality for the page, without holding up those who send data.

A document is read in one thread that does nothing else: reading takes tenths of a second, and the
threads of the requests are needed to store events. A document stands for some seconds, however
often it is asked for; when many different ones are asked for at once, the last are refused.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final

from lakehouse.errors import EtaError

MOST_WAITING: Final = 16
"""Documents that are read or wait to be; about a megabyte each."""
STANDS_SECONDS: Final = 5.0


class QualityBusyError(EtaError):
    """Too many documents are asked for at once."""

    def __init__(self) -> None:
        super().__init__("too many reports are being read", remedy="ask again in some seconds")


class QualityDesk:
    """Hands out documents as JSON: a tenant's report, the overview of one or of all (None).

    Both functions are given the tenant and how many days to look back, and called in the thread.
    """

    def __init__(
        self,
        report: Callable[[str, int], bytes],
        overview: Callable[[str | None, int], bytes],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._report = report
        self._overview = overview
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="quality")
        self._held: dict[object, tuple[float, asyncio.Future[bytes]]] = {}

    async def report(self, tenant_id: str, days: int) -> bytes:
        """Return a tenant's report; raises `QualityBusyError`."""
        return await self._ask((tenant_id, days), lambda: self._report(tenant_id, days))

    async def overview(self, tenant_id: str | None, days: int) -> bytes:
        """Return the overview of one tenant, None for all; raises `QualityBusyError`."""
        return await self._ask(
            ("overview", tenant_id, days), lambda: self._overview(tenant_id, days)
        )

    def close(self) -> None:
        """Read nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, key: object, read: Callable[[], bytes]) -> bytes:
        now = self._clock()
        self._held = {
            name: (until, future)
            for name, (until, future) in self._held.items()
            if until > now or not future.done()
        }
        if key not in self._held:
            if len(self._held) >= MOST_WAITING:
                raise QualityBusyError
            future = asyncio.get_running_loop().run_in_executor(self._pool, read)
            future.add_done_callback(lambda _: self._stand(key, future))
            self._held[key] = (now, future)
        return await asyncio.shield(self._held[key][1])  # others may wait for it as well

    def _stand(self, key: object, future: asyncio.Future[bytes]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._held.pop(key, None)
        elif key in self._held:
            self._held[key] = (self._clock() + STANDS_SECONDS, future)
