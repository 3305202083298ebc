"""The client for ordinary programs: a thread sends what the program has tracked."""

import atexit
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

import httpx

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

LOOK_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 10.0


def note_rejected(rejected: Rejected) -> None:
    """Log that an event was refused, by its reasons alone."""
    codes = ", ".join(sorted({reason.get("code", "?") for reason in rejected.reasons}))
    _log.warning("an event was rejected: %s", codes)


def note_warned(warned: Sequence[Warned]) -> None:
    """Log how often which warning came in one answer."""
    codes = Counter(one.get("code", "?") for event in warned for one in event.warnings)
    told = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
    _log.warning("events were taken with warnings: %s", told)


class EtaClient:
    """Sends interactions and catalogue items; one object serves every thread of a process.

    `track` and `upsert_item` keep the event on disk and return: nothing that happens afterwards
    loses it. It is sent in the background until the service has it durably, and stored once
    however often it was sent. `on_rejected` is told, in the sender's thread, each event that the
    service refused; by default its reasons are logged. `on_warned` is told the events of an answer
    that the service took and found something odd about; by default the codes are logged.
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
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=self._options.timeout,
        )
        self._wake, self._stop = Event(), Event()
        self._is_hurried = False
        self._tracked = 0
        self._thread = Thread(target=self._work, name="eta-client", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"EtaClient({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
        """Keep an interaction and return its event id; it is sent soon.

        `interaction_type`: view, click, like, purchase or dislike. `context` may have
        `device_type`, `location`, `session_id`. Raises `EventTooLargeError` and `SpoolFullError`.
        """
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
        """Keep what a catalogue item is like; it is sent soon.

        Fields: `title`, `category`, `price`, `available_from`, `is_active`, `attributes` (a
        mapping), and `updated_at`, by default now. One that is not given stays as it was; one that
        is None is cleared. Raises as `track` does.
        """
        self._keep(ITEMS, item(item_id, fields))

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything tracked so far is stored; raises `FlushTimeoutError`."""
        newest = self._spool.newest()
        deadline = None if timeout is None else time.monotonic() + timeout
        while waiting := self._spool.waiting(newest):
            if deadline is not None and time.monotonic() > deadline:
                raise FlushTimeoutError(waiting)
            if not self._thread.is_alive():
                raise FlushTimeoutError(waiting)
            self._is_hurried = True
            self._wake.set()
            time.sleep(LOOK_SECONDS)

    @property
    def waiting(self) -> int:
        """How many events are kept and not stored by the service yet."""
        return self._spool.waiting()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send what is left, for `timeout` seconds at most; the rest stays for the next start."""
        if self._stop.is_set():
            return
        try:
            self.flush(timeout)
        except FlushTimeoutError as error:
            _log.warning("%s", error.message)
        self._stop.set()
        self._wake.set()
        self._thread.join(self._options.timeout + 1)
        self._http.close()
        self._spool.close()
        atexit.unregister(self.close)

    def _keep(self, path: str, event: dict[str, Any]) -> None:
        if self._stop.is_set():
            raise SdkError("the client is closed", remedy="make a new one")
        self._spool.add(path, encoded(event, self._options.event_bytes))
        self._tracked += 1
        if self._tracked >= self._options.batch_events:
            self._wake.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._is_hurried:
                self._wake.wait(self._options.flush_seconds)
            self._wake.clear()
            self._is_hurried = False
            self._tracked = 0
            while not self._stop.is_set():
                batch = self._spool.lease(self._delivery.batch_events, self._options.batch_bytes)
                if batch is None:
                    break
                verdict = self._send(batch)
                self._settle(batch, verdict)
                if verdict.wait:
                    self._stop.wait(verdict.wait)

    def _send(self, batch: Batch) -> Verdict:
        body, headers = self._delivery.request(batch)
        try:
            answer = self._http.post(batch.path, content=body, headers=headers)
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
