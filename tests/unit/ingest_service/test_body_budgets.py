"""Room for bodies: stalled and packed ones cost their own caller, never another."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.api.budgets import BodyBudget, HeldBody, NoRoomError, Room
from ingest_service.api.problems import ProblemError
from ingest_service.api.small_body import BodyReader, Rooms

ROOM = Room(caller_bytes=60, total_bytes=100, caller_bodies=4, total_bodies=6)


def request_of(pieces: Iterable[bytes], *, stalls: bool = False, **headers: str) -> Request:
    """A request whose body comes in pieces, and stands still then when it `stalls`."""
    left = list(pieces)
    names = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    async def receive() -> dict[str, Any]:
        if not left and stalls:
            await asyncio.Event().wait()
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left) or stalls}

    return Request({"type": "http", "method": "POST", "headers": names}, receive)


@asynccontextmanager
async def stalled(
    reader: BodyReader, tenant: str, size: int, count: int
) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Bodies of a tenant that stand still after some bytes."""

    async def read() -> None:
        async with reader.read(request_of([bytes(size)], stalls=True), 1000, tenant):
            raise AssertionError

    tasks = [asyncio.create_task(read()) for _ in range(count)]
    await asyncio.sleep(0.01)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def read(reader: BodyReader, request: Request, tenant: str = "good") -> bytes:
    async with reader.read(request, 10**7, tenant) as body:
        return body


def reader(room: Room = ROOM, seconds: float = 30) -> BodyReader:
    return BodyReader(Rooms(room, room), seconds)


def test_stalled_bodies_of_one_tenant_leave_another_its_room() -> None:
    async def run() -> None:
        one = reader()
        async with stalled(one, "bad", 20, 7) as tasks:
            assert await read(one, request_of([bytes(40)])) == bytes(40)
            errors = [task.exception() for task in tasks if task.done()]
            assert errors
            assert all(isinstance(error, NoRoomError) for error in errors)

    asyncio.run(run())


def test_who_has_the_most_is_cut_for_who_has_less() -> None:
    async def run() -> None:
        one = reader()
        async with stalled(one, "bad", 30, 2) as first, stalled(one, "worse", 20, 2) as second:
            assert not any(task.done() for task in first + second)
            assert await read(one, request_of([bytes(25), bytes(5)])) == bytes(30)
            await asyncio.sleep(0.01)
            cut = [task.exception() for task in first + second if task.done()]
            assert [type(error) for error in cut] == [ProblemError]
            assert first[0].done()
            error = cut[0]
            assert isinstance(error, ProblemError)
            assert error.headers == {"Retry-After": "2", "Connection": "close"}

    asyncio.run(run())


def test_many_bodies_that_stall_leave_another_caller_its_turn() -> None:
    async def run() -> None:
        one = reader()
        async with stalled(one, "bad", 1, 3) as first, stalled(one, "worse", 1, 3) as second:
            assert not any(task.done() for task in first + second)
            assert await read(one, request_of([b"short"])) == b"short"
            await asyncio.sleep(0.01)
            assert [task.done() for task in first + second].count(True) == 1

    asyncio.run(run())


def test_a_body_that_stalls_ends_by_its_deadline() -> None:
    async def run() -> None:
        with pytest.raises(ProblemError) as error:
            await read(reader(seconds=0.05), request_of([b"x"], stalls=True))
        assert error.value.status == 408

    asyncio.run(run())


def test_unverified_bodies_use_no_tenants_room() -> None:
    async def run() -> None:
        one = reader()
        async with unverified(one, 6):
            assert await read(one, request_of([bytes(50)])) == bytes(50)

    asyncio.run(run())


@asynccontextmanager
async def unverified(one: BodyReader, count: int) -> AsyncIterator[None]:
    async def hold(number: int) -> None:
        request = request_of([bytes(16)], stalls=True)
        async with one.read_unverified(request, 1000, f"stranger {number}"):
            raise AssertionError

    tasks = [asyncio.create_task(hold(number)) for number in range(count)]
    await asyncio.sleep(0.01)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_verified_body_moves_to_its_tenants_room() -> None:
    async def run() -> None:
        one = reader()
        for _ in range(3):  # each would be too much if anything of the one before stayed
            request = request_of([bytes(60)])
            async with one.read_unverified(request, 1000, "stranger") as body:
                assert await body.content("acme") == body.sent == bytes(60)
                async with one.read_unverified(request_of([bytes(60)]), 1000, "stranger"):
                    with pytest.raises(NoRoomError):
                        await read(one, request_of([b"x"]), "acme")

    asyncio.run(run())


PACKED = {
    "a bomb": gzip.compress(bytes(50_000_000)),
    "empty members": gzip.compress(b"") * 50_000,
    "tiny members": gzip.compress(b"[]") * 40_000,
    "deep": gzip.compress(b"[" * 5_000_000),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_packed_bodies_leave_the_event_loop_free(packed: bytes) -> None:
    """Ten at a time: a task that asks for a turn every 5 ms gets it within half a second."""
    room = Room(10**9, 10**9, 100, 100)

    async def run() -> float:
        one, gaps, loop = reader(room), [0.0], asyncio.get_running_loop()

        async def tick() -> None:
            last = loop.time()
            while True:
                await asyncio.sleep(0.005)
                gaps.append(loop.time() - last - 0.005)
                last = loop.time()

        ticking = asyncio.create_task(tick())
        bodies = [
            read(one, request_of([packed], content_encoding="gzip"), f"tenant {number % 3}")
            for number in range(10)
        ]
        for found in await asyncio.gather(*bodies, return_exceptions=True):
            assert isinstance(found, bytes) or found.status == 413  # type: ignore[attr-defined]
        ticking.cancel()
        return max(gaps)

    assert asyncio.run(run()) < 0.5


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "gzip,identity", "deflate"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(ProblemError) as error:
        asyncio.run(read(reader(), request_of([b"x"], content_encoding=coding)))
    assert error.value.status == 415


def test_a_coding_that_is_given_twice_is_refused() -> None:
    request = request_of([b"x"], content_encoding="identity")
    request.scope["headers"].append((b"content-encoding", b"gzip"))
    with pytest.raises(ProblemError) as error:
        asyncio.run(read(reader(), request))
    assert error.value.status == 415


def test_what_a_body_unpacks_to_counts_as_its_tenants() -> None:
    async def run() -> None:
        packed = gzip.compress(json.dumps(["x"] * 5_000).encode())
        one = reader(Room(1_000, 10_000, 4, 6))
        with pytest.raises(NoRoomError):
            await read(one, request_of([packed], content_encoding="gzip"))
        assert await read(one, request_of([bytes(1_000)])) == bytes(1_000)

    asyncio.run(run())


CALLERS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), CALLERS, st.just(0)),
        st.tuples(
            st.sampled_from(["take", "arrive", "close"]), st.integers(0, 20), st.integers(0, 50)
        ),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_no_order_of_bodies_takes_room_from_who_has_least(
    steps: list[tuple[str, Any, int]],
) -> None:
    """After any steps: within all limits, nothing leaks, and a refusal names its own caller."""
    budget, stack = BodyBudget(ROOM), ExitStack()
    open_bodies: list[tuple[str, HeldBody, Callable[[], None]]] = []

    def used(name: str | None = None) -> int:
        return sum(held.bytes for who, held, _ in open_bodies if name in (None, who))

    for kind, which, size in steps:
        if kind == "open":
            block = ExitStack()
            stack.callback(block.close)
            try:
                held = block.enter_context(budget.body(which))
            except NoRoomError:
                continue
            open_bodies.append((which, held, block.close))
        elif open_bodies:
            name, held, close = open_bodies[which % len(open_bodies)]
            if kind == "take":
                before = used(name)
                arriving = {who for who, one, _ in open_bodies if one.is_arriving and one.bytes}
                most = max((used(who) for who in arriving - {name}), default=0)
                was_cut = held.is_cut
                try:
                    budget.take(held, size)
                except NoRoomError:
                    is_over_its_own = before + size > ROOM.caller_bytes
                    assert was_cut or is_over_its_own or most <= before + size
            elif kind == "arrive":
                budget.arrived(held)
            else:
                close()
                open_bodies = [one for one in open_bodies if one[1] is not held]
        assert used() <= ROOM.total_bytes
        assert all(used(name) <= ROOM.caller_bytes for name in "abc")
        assert sum(one.is_arriving for _, one, _ in open_bodies) <= ROOM.total_bodies
    stack.close()
    with budget.body("d") as held:
        budget.take(held, ROOM.caller_bytes)
    assert not budget._callers
    assert (budget._bytes, budget._arriving) == (0, 0)
