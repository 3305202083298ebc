"""Room in memory for bodies: so much per caller, so much in all, and nobody lives on another's.

Guarantee: a caller that has less in hand than every other one is never refused because of them
while one of theirs is unfinished. When all room is taken, the caller that has the most loses the
body that has been arriving for the longest. So bodies that stall use up their own caller's room and
nobody else's. One event loop.
"""

from asyncio import Timeout, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from lakehouse.errors import EtaError

RETRY_SECONDS: Final = 2


class NoRoomError(EtaError):
    """There is no room for a body now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "busy"
    retry_after = RETRY_SECONDS

    def __init__(self) -> None:
        super().__init__(
            "as many bodies are being read as the service has room for",
            remedy="send the same request again after the time in Retry-After, fewer at a time",
        )


@dataclass(frozen=True, slots=True)
class Room:
    """Most bytes of bodies, and most bodies that are arriving, per caller and in all."""

    caller_bytes: int
    total_bytes: int
    caller_bodies: int
    total_bodies: int


@dataclass(eq=False, slots=True)
class HeldBody:
    """What one body holds. It `is_arriving` until `arrived` is called, and may be cut till then."""

    caller: "_Caller"
    bytes: int = 0
    is_arriving: bool = True
    is_cut: bool = False
    timeout: Timeout | None = None


@dataclass(slots=True)
class _Caller:
    bodies: int = 0
    bytes: int = 0
    arriving: dict[HeldBody, None] = field(default_factory=dict)


class BodyBudget:
    """Shares room between callers."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._callers: dict[str, _Caller] = {}
        self._bytes = self._arriving = 0

    @contextmanager
    def body(self, name: str) -> Iterator[HeldBody]:
        """Open a body of a caller; its room is free after the block. Raises `NoRoomError`."""
        caller = self._callers.setdefault(name, _Caller())
        caller.bodies += 1
        held = HeldBody(caller)
        try:
            self._open(held)
            yield held
        finally:
            self.free(held)
            caller.bodies -= 1
            if not caller.bodies:
                del self._callers[name]

    def take(self, held: HeldBody, size: int) -> None:
        """Count bytes of a body; raises `NoRoomError` when they would be too many."""
        caller, room = held.caller, self._room
        if held.is_cut or caller.bytes + size > room.caller_bytes:
            raise NoRoomError
        while self._bytes + size > room.total_bytes:
            self._cut_one(_bytes_of, caller.bytes + size)
        held.bytes += size
        caller.bytes += size
        self._bytes += size

    def arrived(self, held: HeldBody) -> None:
        """Say that a body is complete: from now on it is in use and is not cut."""
        if held.is_arriving:
            held.is_arriving = False
            held.caller.arriving.pop(held, None)
            self._arriving -= 1

    def _open(self, held: HeldBody) -> None:
        caller, room = held.caller, self._room
        mine = len(caller.arriving) + 1
        self._arriving += 1
        caller.arriving[held] = None
        if mine > room.caller_bodies:
            raise NoRoomError
        while self._arriving > room.total_bodies:
            self._cut_one(_bodies_of, mine)

    def free(self, held: HeldBody) -> None:
        """Give up what a body holds, before its block ends."""
        self.arrived(held)
        held.caller.bytes -= held.bytes
        self._bytes -= held.bytes
        held.bytes = 0

    def _cut_one(self, size_of: Callable[[_Caller | HeldBody], int], mine: int) -> None:
        """End the oldest arriving body of who has the most, if that is more than `mine`."""
        others = [one for one in self._callers.values() if size_of(one) > mine]
        for most in sorted(others, key=size_of, reverse=True):
            victim = next((body for body in most.arriving if size_of(body)), None)
            if victim is not None:
                break
        else:
            raise NoRoomError
        self.free(victim)
        victim.is_cut = True
        if victim.timeout is not None:
            victim.timeout.reschedule(get_running_loop().time())


def _bytes_of(one: _Caller | HeldBody) -> int:
    return one.bytes


def _bodies_of(one: _Caller | HeldBody) -> int:
    return len(one.arriving) if isinstance(one, _Caller) else 1
