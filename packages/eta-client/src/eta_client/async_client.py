"""The client for asyncio programs: a task sends what the program has tracked."""

import asyncio
import logging
from asyncio import Event, Task
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from eta_client.client import CLOSE_SECONDS, LOOK_SECONDS, note_rejected, note_warned
from eta_client.delivery import Delivery, Verdict
from eta_client.errors import FlushTimeoutError, SdkError
from eta_client.events import (
    EVENTS,
    ITEMS,
    Moment,
    Rejected,
    Warned,
    encoded,
    interaction,
    item,
)
from eta_client.options import ClientOptions
from eta_client.spool import Batch, Spool, default_path

_log = logging.getLogger(__name__)


class AsyncEtaClient:
    """As `EtaClient`, for one event loop: use it as `async with AsyncEtaClient(…) as client`.

    `track` and `upsert_item` write to the spool at once, which takes microseconds and no await.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        options: ClientOptions | None = None,
        on_rejected: Callable[[Rejected], None] = note_rejected,
        on_warned: Callable[[Sequence[Warned]], None] = note_warned,
    ) -> None:
        self._options = options or ClientOptions()
        self._url = url.rstrip("/")
        spool = self._options.spool or default_path(self._url, api_key)
        self._spool = Spool(spool, self._options)
        self._delivery = Delivery(self._options)
        self._on_rejected = on_rejected
        self._on_warned = on_warned
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=self._options.timeout,
        )
        self._wake = Event()
        self._tracked = 0
        self._is_closed = False
        self._task: Task[None] | None = None

    def __repr__(self) -> str:
        return f"AsyncEtaClient({self._url!r})"

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

    def track(
        self,
        user_id: str,
        item_id: str,
        interaction_type: str,
        *,
        timestamp: Moment = None,
        event_id: str | None = None,
        rating: float | None = None,
        context: Mapping[str, str | None] | None = None,
    ) -> str:
        """Keep an interaction and return its event id; see `EtaClient.track`."""
        event = interaction(
            user_id,
            item_id,
            interaction_type,
            timestamp=timestamp,
            event_id=event_id,
            rating=rating,
            context=context,
        )
        self._keep(EVENTS, event)
        return str(event["event_id"])

    def upsert_item(self, item_id: str, **fields: Any) -> None:
        """Keep what a catalogue item is like; see `EtaClient.upsert_item`."""
        self._keep(ITEMS, item(item_id, fields))

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

    @property
    def waiting(self) -> int:
        """How many events are kept and not stored by the service yet."""
        return self._spool.waiting()

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

    def _keep(self, path: str, event: dict[str, Any]) -> None:
        if self._is_closed:
            raise SdkError("the client is closed", remedy="make a new one")
        self._spool.add(path, encoded(event, self._options.event_bytes))
        self._tracked += 1
        if self._tracked >= self._options.batch_events:
            self._wake.set()

    async def _work(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.flush_seconds):
                    await self._wake.wait()
            self._wake.clear()
            self._tracked = 0
            await self._send_all()

    async def _send_all(self) -> None:
        while True:
            batch = self._spool.lease(self._delivery.batch_events, self._options.batch_bytes)
            if batch is None:
                return
            try:
                verdict = await self._send(batch)
            except asyncio.CancelledError:
                self._spool.give_back(batch)
                raise
            self._settle(batch, verdict)
            if verdict.wait:
                await asyncio.sleep(verdict.wait)

    async def _send(self, batch: Batch) -> Verdict:
        body, headers = self._delivery.request(batch)
        try:
            answer = await self._http.post(batch.path, content=body, headers=headers)
        except httpx.HTTPError as error:
            return self._delivery.no_answer(type(error).__name__)
        return self._delivery.answered(batch, answer.status_code, answer.headers, answer.content)

    def _settle(self, batch: Batch, verdict: Verdict) -> None:
        if not verdict.is_done:
            level = logging.WARNING if verdict.needs_a_person else logging.INFO
            _log.log(level, "events were not stored yet: %s", verdict.problem)
            self._spool.give_back(batch)
            return
        for rejected in verdict.rejected:
            try:
                self._on_rejected(rejected)
            except Exception as error:  # noqa: BLE001 - the program's own; events must go on
                _log.warning("on_rejected failed: %s", type(error).__name__)
        if verdict.warned:
            try:
                self._on_warned(verdict.warned)
            except Exception as error:  # noqa: BLE001 - as above
                _log.warning("on_warned failed: %s", type(error).__name__)
        self._spool.drop(batch)
