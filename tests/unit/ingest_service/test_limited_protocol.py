"""The protocol in a real server of this process: slow readers, harm in the midst of a request."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_service.api.connections import Connections, TrustedProxies
from ingest_service.api.middleware import ConnectionLimits, limited_protocol

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def served(
    app: ASGIApp, client: Client, connections: Connections | None = None
) -> ConnectionLimits:
    """Let a client talk to a server with this app."""
    connections = connections or Connections(100, 100, TrustedProxies(""))
    limits = ConnectionLimits(connections, 5, 32 * 1024, 0.3)

    async def run() -> None:
        config = uvicorn.Config(
            app, http=limited_protocol(limits), port=0, log_config=None, lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        server.config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await client(reader, writer)
                writer.close()
        finally:
            await server.shutdown()

    asyncio.run(run())
    return limits


def test_a_client_that_takes_nothing_of_its_answer_loses_its_connection() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def endless() -> Any:
            while True:
                yield bytes(1024 * 1024)
                await asyncio.sleep(0)

        try:
            await StreamingResponse(endless())(scope, receive, send)
        finally:
            ended.set()

    async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await ended.wait()

    served(app, client)


@pytest.mark.parametrize("answers_first", [False, True])
def test_a_bad_chunk_ends_the_request_that_is_under_way(answers_first: bool) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answers_first:
            await PlainTextResponse("early")(scope, receive, send)
            return
        try:
            await Request(scope, receive).body()
        except ClientDisconnect:
            seen.append("left")
        await PlainTextResponse("late")(scope, receive, send)

    answer = b""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answer
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"2\r\n[]\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"zz\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            answer = await reader.read()

    served(app, client)
    assert answer.count(b"content-length:") == 1
    assert (b"early" in answer, b"malformed_request" in answer) == (
        answers_first,
        not answers_first,
    )
    assert seen == ([] if answers_first else ["left"])


def test_a_connection_that_finds_no_room_is_told_so() -> None:
    class Busy:
        def give_way(self) -> None:
            raise AssertionError

    connections, busy = Connections(1, 1, TrustedProxies("")), Busy()
    assert connections.admit(busy, "10.0.0.1")
    connections.set_idle(busy, idle=False)
    answer = b""

    async def client(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal answer
        answer = await reader.read()

    served(PlainTextResponse(""), client, connections)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2" in answer
