"""A body that does not come ends its request, and holds up no shutdown."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_service.api import problems
from ingest_service.api.pace import BodyPace, Pace, Stopping
from ingest_service.api.problems import BodyGivenUpError

Pieces = Callable[[], AsyncIterator[bytes]]


async def taken(pieces: Pieces, pace: Pace, stopping: Stopping, work: float = 0) -> int:
    """Bytes of a body that the app got; it works a while after each piece."""
    come: asyncio.Queue[bytes] = asyncio.Queue()

    async def client() -> None:
        async for piece in pieces():
            come.put_nowait(piece)
        come.put_nowait(b"")

    async def receive() -> Message:
        body = await come.get()
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    got = 0

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        nonlocal got
        while True:
            message = await receive()
            got += len(message["body"])
            if not message["more_body"]:
                return
            await asyncio.sleep(work)

    async def send(_: Message) -> None:
        raise AssertionError

    sending = asyncio.create_task(client())
    try:
        await BodyPace(app, pace, stopping)({"type": "http"}, receive, send)
    finally:
        sending.cancel()
    return got


def drip(size: int, every: float, count: int) -> Pieces:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(count):
            await asyncio.sleep(every)
            yield bytes(size)

    return pieces


def given_up(pieces: Pieces, pace: Pace, stopping: Stopping | None = None) -> tuple[int, str]:
    with pytest.raises(BodyGivenUpError) as error:
        asyncio.run(taken(pieces, pace, stopping or Stopping(60)))
    return error.value.status_code, error.value.problem.code


def test_silence_is_given_up() -> None:
    assert given_up(drip(1, 60, 1), Pace(0.05, 0, 60)) == (408, "too_slow")


def test_a_dribble_is_given_up_though_something_always_comes() -> None:
    assert given_up(drip(1, 0.02, 10**6), Pace(0.2, 1024, 60)) == (408, "too_slow")


def test_a_body_has_a_time_in_all() -> None:
    assert given_up(drip(4096, 0.01, 10**6), Pace(60, 0, 0.2)) == (408, "too_slow")


def test_a_slow_but_steady_body_arrives() -> None:
    async def run() -> int:
        return await taken(drip(200, 0.02, 20), Pace(0.1, 1024, 60), Stopping(60))

    assert asyncio.run(run()) == 4_000


def test_the_services_own_time_does_not_count() -> None:
    async def run() -> int:
        return await taken(drip(1, 0, 4), Pace(0.1, 1024, 0.2), Stopping(60), work=0.15)

    assert asyncio.run(run()) == 4


@pytest.mark.parametrize("every", [60, 0.01], ids=["silence", "a dribble"])
def test_a_body_does_not_hold_up_a_shutdown(every: float) -> None:
    async def run() -> None:
        stopping = Stopping(0.4)
        asyncio.get_running_loop().call_later(0.05, stopping.begin)
        async with asyncio.timeout(5):
            await taken(drip(1, every, 10**6), Pace(60, 0, 600), stopping)

    with pytest.raises(BodyGivenUpError) as error:
        asyncio.run(run())
    assert error.value.problem.code == "going_down"


def test_a_body_that_arrives_in_time_is_served_during_a_shutdown() -> None:
    async def run() -> int:
        stopping = Stopping(20)
        stopping.begin()
        return await taken(drip(10, 0.01, 5), Pace(60, 0, 600), stopping)

    assert asyncio.run(run()) == 50


class Silence:
    """A client that sends no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        await self._app(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]


def test_a_json_endpoint_answers_as_the_others_do() -> None:
    """FastAPI makes a 400 of what goes wrong while it reads a body."""

    class Body(BaseModel):
        name: str

    app = FastAPI()

    @app.post("/")
    async def take(body: Body) -> str:
        return body.name

    problems.install(app)
    app.add_middleware(BodyPace, pace=Pace(0.05, 1, 60), stopping=Stopping(60))
    app.add_middleware(Silence)
    answer = TestClient(app).post("/", json={"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (408, "too_slow")
    assert answer.headers["connection"] == "close"


def test_a_request_without_a_body_is_not_timed() -> None:
    async def endpoint(request: Request) -> bytes:
        return await request.body()

    app = FastAPI()
    app.add_api_route("/", endpoint)
    app.add_middleware(BodyPace, pace=Pace(60, 1024, 60), stopping=Stopping(60))
    assert TestClient(app).get("/").status_code == 200
