"""Bodies kept in memory: within a limit, within their caller's room, within a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from weakref import WeakValueDictionary

from fastapi import Request

from ingest_service.api.budgets import RETRY_SECONDS, BodyBudget, HeldBody, Room
from ingest_service.api.coding import packing_of_body, unpacking_problem
from ingest_service.api.pace import too_slow
from ingest_service.api.problems import ProblemError
from ingest_service.unpack import DamagedPackError, UnpackedTooLargeError, unpacked_body

UNPACKING_THREADS: Final = 2
"""Bodies unpacked at the same time per process, one per tenant; each is 5 MiB at most."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Room for bodies of known tenants, and for those whose sender is not known yet."""

    tenants: Room
    strangers: Room


class BodyReader:
    """Reads bodies within their callers' budgets and unpacks them off the event loop."""

    def __init__(self, rooms: Rooms, seconds: float) -> None:
        self._tenants = BodyBudget(rooms.tenants)
        self._strangers = BodyBudget(rooms.strangers)
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(UNPACKING_THREADS, thread_name_prefix="unpack")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def read(self, request: Request, limit: int, tenant_id: str) -> AsyncIterator[bytes]:
        """Yield a tenant's body, unpacked; its room in memory is free again after the block.

        Raises `ProblemError`: 413 as soon as the body is, or announces that it will be, larger
        than `limit`, packed or unpacked; 415 for a packing that is not known; 400 for a damaged
        one; 408 when it comes too slowly; 503 when too much of the tenant is being read already.
        """
        packing = packing_of_body(request)
        with self._tenants.body(tenant_id) as held:
            data = await self._collected(request, limit, self._tenants, held)
            if packing is not None:
                data = await self._unpacked(data, packing, limit, held, tenant_id)
            yield data

    @asynccontextmanager
    async def read_unverified(
        self, request: Request, limit: int, caller: str
    ) -> AsyncIterator["UnverifiedBody"]:
        """Yield a body as it was sent, whose sender is to be verified by its bytes.

        Until `UnverifiedBody.content` is called it is in a room of its own, apart from tenants'.
        Raises as `read`.
        """
        packing = packing_of_body(request)
        with self._strangers.body(caller) as stranger, ExitStack() as stack:
            data = await self._collected(request, limit, self._strangers, stranger)

            async def content(tenant_id: str) -> bytes:
                held = stack.enter_context(self._tenants.body(tenant_id))
                self._tenants.arrived(held)
                self._tenants.take(held, len(data))
                self._strangers.free(stranger)
                if packing is None:
                    return data
                return await self._unpacked(data, packing, limit, held, tenant_id)

            yield UnverifiedBody(data, content)

    async def _collected(
        self, request: Request, limit: int, budget: BodyBudget, held: HeldBody
    ) -> bytes:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large(limit)
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds) as held.timeout:
                async for piece in request.stream():
                    size += len(piece)
                    if size > limit:
                        raise too_large(limit)
                    budget.take(held, len(piece))
                    pieces.append(piece)
        except TimeoutError:
            raise (cut_off() if held.is_cut else too_slow()) from None
        budget.arrived(held)
        return b"".join(pieces)

    async def _unpacked(
        self, data: bytes, packing: str, limit: int, held: HeldBody, tenant_id: str
    ) -> bytes:
        """Unpack in a thread, one body of a tenant after the other."""
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        loop = asyncio.get_running_loop()
        try:
            async with turn:
                found = await loop.run_in_executor(
                    self._threads, unpacked_body, data, packing, limit
                )
        except (UnpackedTooLargeError, DamagedPackError) as error:
            raise unpacking_problem(error, "too_large") from None
        self._tenants.take(held, len(found))
        return found


@dataclass(frozen=True, slots=True)
class UnverifiedBody:
    """A body byte for byte as it was sent. `content` unpacks it once its tenant is known."""

    sent: bytes
    content: Callable[[str], Awaitable[bytes]]


def too_large(limit: int) -> ProblemError:
    """Return what to raise for a body over its limit."""
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the body is larger than {limit:,} bytes",
        remedy="send it in several requests",
    )


def cut_off() -> ProblemError:
    """Return what to raise for a body that others needed the room of."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "the body did not arrive before its room was needed for those of others",
        remedy="send the same request again after the time in Retry-After, fewer at a time",
        headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
    )
