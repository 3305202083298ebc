"""How fast a request's body has to come, and what becomes of it when the service goes down."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_service.api.problems import BodyGivenUpError, ProblemError

GOING_DOWN_SECONDS: Final = 5
"""After which a client may try again; another process may serve it at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A body has `seconds` in all, and must bring `rate` bytes per second in each `window` of them.

    Only the time counts in which the service waits for the client.
    """

    window: float
    rate: float
    seconds: float


class Stopping:
    """Whether the service is going down, and how long what is under way may take.

    `begin` and `ends` are of the event loop, the rest may be asked by any thread.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: float | None = None
        self._waiting: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """Give bodies a quarter of the time from now on, and the reading of files half of it."""
        if self._begun is None:
            self._begun = monotonic()
            for timeout in self._waiting:
                self._shorten(timeout)

    @property
    def has_no_time_for_bodies(self) -> bool:
        """Whether a body that is not complete has to be given up."""
        return self._left(1 / 4) <= 0

    @property
    def has_no_time_for_files(self) -> bool:
        """Whether the reading of a file has to end without storing anything."""
        return self._left(1 / 2) <= 0

    @asynccontextmanager
    async def ends(self, timeout: asyncio.Timeout) -> AsyncIterator[None]:
        """Let a wait for a client end early when the service goes down."""
        self._waiting.add(timeout)
        try:
            if self._begun is not None:
                self._shorten(timeout)
            yield
        finally:
            self._waiting.discard(timeout)

    def _left(self, share: float) -> float:
        if self._begun is None:
            return math.inf
        return self._begun + self._seconds * share - monotonic()

    def _shorten(self, timeout: asyncio.Timeout) -> None:
        when = asyncio.get_running_loop().time() + max(0.0, self._left(1 / 4))
        earlier = timeout.when()
        timeout.reschedule(when if earlier is None else min(when, earlier))


class BodyPace:
    """Gives up a request whose body comes too slowly: 408; or not before the service ends: 503."""

    def __init__(self, app: ASGIApp, pace: Pace, stopping: Stopping) -> None:
        self._app = app
        self._pace = pace
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""
        if scope["type"] == "http":
            receive = _PacedBody(receive, self._pace, self._stopping).receive
        await self._app(scope, receive, send)


class _PacedBody:
    """One body and the time that its client has taken."""

    def __init__(self, receive: Receive, pace: Pace, stopping: Stopping) -> None:
        self._receive = receive
        self._pace = pace
        self._stopping = stopping
        self._is_complete = False
        self._waited = self._waited_in_window = 0.0
        self._bytes_in_window = 0

    async def receive(self) -> Message:
        """Return what comes; raises `BodyGivenUpError`."""
        while not self._is_complete:
            message = await self._next()
            if message is not None:
                self._is_complete = not message.get("more_body", False)
                return message
        return await self._receive()  # that the client has gone, whenever that is

    async def _next(self) -> Message | None:
        """Return what comes, None when a window is over that brought enough."""
        loop, pace, message = asyncio.get_running_loop(), self._pace, None
        began = loop.time()
        left = min(pace.window - self._waited_in_window, pace.seconds - self._waited)
        with suppress(TimeoutError):
            async with asyncio.timeout(left) as timeout, self._stopping.ends(timeout):
                message = await self._receive()
        self._waited += loop.time() - began
        self._waited_in_window += loop.time() - began
        if message is not None:
            self._bytes_in_window += len(message.get("body", b""))
            if not message.get("more_body", False):
                return message
        if self._stopping.has_no_time_for_bodies:
            raise BodyGivenUpError(going_down())
        if self._waited >= pace.seconds or not self._is_fast_enough():
            raise BodyGivenUpError(too_slow())
        return message

    def _is_fast_enough(self) -> bool:
        """Whether a window is not over, or brought what it had to; then the next one begins."""
        seconds, size = self._waited_in_window, self._bytes_in_window
        if seconds < self._pace.window:
            return True
        self._waited_in_window, self._bytes_in_window = 0.0, 0
        return size >= max(1, self._pace.rate * seconds)


def too_slow() -> ProblemError:
    """Return what to raise for a body that does not come."""
    return ProblemError(
        HTTPStatus.REQUEST_TIMEOUT,
        "too_slow",
        "the body came too slowly",
        remedy="send it again, in smaller requests when the line is slow",
        headers={"Connection": "close"},
    )


def going_down() -> ProblemError:
    """Return what to raise for a request that the service has no more time for."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "going_down",
        "the service is going down; nothing of the request is stored",
        remedy="send the same request again after the time in Retry-After",
        headers={"Retry-After": str(GOING_DOWN_SECONDS), "Connection": "close"},
    )
