"""The client for ordinary programs: a thread sends what the program has tracked."""

import atexit
import logging
import time
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import httpx

from eta_client.base import CLOSE_SECONDS, LOOK_SECONDS, BaseClient
from eta_client.delivery import Verdict
from eta_client.errors import FlushTimeoutError
from eta_client.spool import Batch

_log = logging.getLogger(__name__)


class EtaClient(BaseClient):
    """Sends interactions, catalogue items and users; one object serves every thread of a process.

    `track`, `upsert_item` and `upsert_user` keep the event on disk and return: nothing that happens
    afterwards loses it. It is sent in the background until the service has it durably, and stored
    once however often it was sent. `on_rejected` is told, in the sender's thread, each event that
    the service refused; by default its reasons are logged. `on_warned` is told the events of an
    answer that the service took and found something odd about; by default the codes are logged.
    """

    def _start(self, **connection: Any) -> None:
        self._http = httpx.Client(**connection)
        self._wake: Event = Event()
        self._stop = Event()
        self._is_hurried = False
        self._thread = Thread(target=self._work, name="eta-client", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything tracked so far is stored; raises `FlushTimeoutError`."""
        newest = self._spool.newest()
        deadline = None if timeout is None else time.monotonic() + timeout
        while waiting := self._spool.waiting(newest):
            is_late = deadline is not None and time.monotonic() > deadline
            if is_late or not self._thread.is_alive():
                raise FlushTimeoutError(waiting)
            self._is_hurried = True
            self._wake.set()
            time.sleep(LOOK_SECONDS)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Send what is left, for `timeout` seconds at most; the rest stays for the next start."""
        if self._is_closed:
            return
        try:
            self.flush(timeout)
        except FlushTimeoutError as error:
            _log.warning("%s", error.message)
        self._is_closed = True
        self._stop.set()
        self._wake.set()
        self._thread.join(self._options.timeout + 1)
        self._http.close()
        self._spool.close()
        atexit.unregister(self.close)

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._is_hurried:
                self._wake.wait(self._options.flush_seconds)
            self._wake.clear()
            self._is_hurried = False
            self._tracked = 0
            while not self._stop.is_set() and (batch := self._lease()) is not None:
                verdict = self._send(batch)
                self._settle(batch, verdict)
                if verdict.wait:
                    self._stop.wait(verdict.wait)

    def _send(self, batch: Batch) -> Verdict:
        try:
            return self._verdict(batch, self._http.post(**self._request(batch)))
        except httpx.HTTPError as error:
            return self._verdict(batch, error)
