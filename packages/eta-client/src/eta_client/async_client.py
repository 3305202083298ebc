"""The client for asyncio programs: a task sends what the program has tracked."""

import asyncio
import logging
from asyncio import Event, Task
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from eta_client.base import CLOSE_SECONDS, LOOK_SECONDS, BaseClient
from eta_client.delivery import Verdict
from eta_client.errors import FlushTimeoutError
from eta_client.spool import Batch

_log = logging.getLogger(__name__)


class AsyncEtaClient(BaseClient):
    """As `EtaClient`, for one event loop: use it as `async with AsyncEtaClient(…) as client`.

    `track`, `upsert_item` and `upsert_user` write to the spool at once, which takes microseconds
    and no await.
    """

    def _start(self, **connection: Any) -> None:
        self._http = httpx.AsyncClient(**connection)
        self._wake: Event = Event()
        self._task: Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="eta-client")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def flush(self, timeout: float | None = None) -> None:
        """Return when everything tracked so far is stored; raises `FlushTimeoutError`."""
        newest, loop = self._spool.newest(), asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while waiting := self._spool.waiting(newest):
            is_late = deadline is not None and loop.time() > deadline
            if is_late or self._task is None or self._task.done():
                raise FlushTimeoutError(waiting)
            self._wake.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send what is left, for `timeout` seconds at most; the rest stays for the next start."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self.flush(timeout)
        except FlushTimeoutError as error:
            _log.warning("%s", error.message)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._http.aclose()
        self._spool.close()

    async def _work(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.flush_seconds):
                    await self._wake.wait()
            self._wake.clear()
            self._tracked = 0
            await self._send_all()

    async def _send_all(self) -> None:
        while (batch := self._lease()) is not None:
            try:
                verdict = await self._send(batch)
            except asyncio.CancelledError:
                self._spool.give_back(batch)
                raise
            self._settle(batch, verdict)
            if verdict.wait:
                await asyncio.sleep(verdict.wait)

    async def _send(self, batch: Batch) -> Verdict:
        try:
            return self._verdict(batch, await self._http.post(**self._request(batch)))
        except httpx.HTTPError as error:
            return self._verdict(batch, error)
