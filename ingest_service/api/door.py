"""What stands between a client and the endpoints: time for a head, and headers of answers."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

DOCS: Final = "/docs"
DASHBOARD: Final = "/dashboard"

_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DOCUMENTATION: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "img-src 'self' data: https://fastapi.tiangolo.com; frame-ancestors 'none'"
)
_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    found = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
        "strict-transport-security": "max-age=31536000",
        "content-security-policy": policy,
    }
    return [(name.encode(), value.encode()) for name, value in found.items()]


_STRICT: Final = _headers(_NOTHING)
_OTHERS: Final = {DOCS: _headers(_DOCUMENTATION), DASHBOARD: _headers(_PAGE)}


class SecurityHeaders:
    """Tells browsers to do nothing with answers but show them to who asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = _OTHERS.get(scope["path"], _STRICT)
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, guarded)


class DoorProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it; a connection that sends no whole head in time is closed.

    So is one that goes on sending a body after its answer.
    """

    head_seconds: float = 20.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Stop the clock once a request is being worked on."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Start it again for the next request."""
        self._wait_for_head()
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def door_protocol(head_seconds: float) -> type[DoorProtocol]:
    """Return the protocol with a time limit."""
    return type("DoorProtocol", (DoorProtocol,), {"head_seconds": head_seconds})
