"""What stands between a client and the endpoints: time for a head, and headers of answers."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest_service.api.connections import Connections
from ingest_service.api.problems import MEDIA_TYPE, problem_body
from ingest_service.api.strict_http import StrictConnection
from lakehouse.training.card.html import card_policy

_log = logging.getLogger(__name__)

DOCS: Final = "/docs"
DASHBOARD: Final = "/dashboard"
UPLOAD: Final = "/upload"

_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DOCUMENTATION: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
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
_OTHERS: Final = {
    DOCS: _headers(_DOCUMENTATION),
    DASHBOARD: _headers(_PAGE),
    UPLOAD: _headers(_PAGE),
}


_CARDS: Final = ("/v1/training/cards/", "/v1/evaluation/cards/")


def _headers_of(path: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a path's answers; a card has a style of its own, and runs nothing."""
    if path.startswith(_CARDS):
        return _headers(f"{card_policy()}; frame-ancestors 'none'; sandbox")
    return _OTHERS.get(path, _STRICT)


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
                message["headers"] = [*message["headers"], *_headers_of(scope["path"])]
            await send(message)

        await self._app(scope, receive, guarded)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take: seconds for a head, bytes of it, seconds to take an answer."""

    connections: Connections
    head_seconds: float
    head_bytes: int
    answer_idle_seconds: float
    on_malformed: Callable[[], None] = lambda: None


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with `StrictConnection` and limits.

    A connection that sends no whole head in time is closed. So is one that goes on sending a body
    after its answer, one that takes nothing of its answer, and one that sends what is no HTTP: that
    gets a 400 if no answer has begun.
    """

    limits: ConnectionLimits
    _timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock, if there is room."""
        super().connection_made(transport)
        self.conn = StrictConnection(self.limits.head_bytes)
        self.logger = _log
        address = self.client[0] if self.client else ""
        if self.limits.connections.admit(self, address):
            self._wait_for_head()
            return
        transport.write(_NO_ROOM)
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        self._stop_waiting()
        self.resume_writing()
        self.limits.connections.leave(self)
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

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's, always the same
        """Answer what is no HTTP, tell the app that its client has gone, and close."""
        self.limits.on_malformed()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
            length = (b"content-length", str(len(_NO_HTTP)).encode())
            events = (
                h11.Response(status_code=400, headers=[*head, length], reason=b"Bad Request"),
                h11.Data(data=_NO_HTTP),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()

    def pause_writing(self) -> None:
        """Start the clock of a client that takes nothing of its answer."""
        super().pause_writing()
        seconds = self.limits.answer_idle_seconds
        self._answer_timer = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop it."""
        timer, self._answer_timer = self._answer_timer, None
        if timer is not None:
            timer.cancel()
        super().resume_writing()

    def give_way(self) -> None:
        """Close a connection that waits for a request, because others need the room."""
        self._stop_waiting()
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self.limits.connections.set_idle(self, idle=True)
        self._timer = self.loop.call_later(self.limits.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        self.limits.connections.set_idle(self, idle=False)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def limited_protocol(limits: ConnectionLimits) -> type[LimitedProtocol]:
    """Return the protocol with its limits.

    What clients send that is no HTTP is counted, not logged: a line for each would fill the disk.
    """
    _log.setLevel(logging.ERROR)
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})


def _body(status: int, code: str, detail: str, remedy: str) -> bytes:
    return json.dumps(problem_body(status, code, detail, remedy)).encode()


_NO_HTTP: Final = _body(
    400,
    "malformed_request",
    "the connection sent what is no HTTP/1.1 request, or one whose end is not certain",
    "send one of Content-Length and Transfer-Encoding, lines that end in CRLF, and a head "
    "within the service's limits",
)
_FULL: Final = _body(
    503,
    "busy",
    "the client address, or the service, has as many connections as it may have",
    "close connections that are not needed, or try again after the time in Retry-After",
)
_NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 2\r\n"
    b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (MEDIA_TYPE.encode(), len(_FULL), _FULL)
)
