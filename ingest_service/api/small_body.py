"""Bodies that are kept in memory: within a limit each, within a budget together, within a time."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import Request

from ingest_service.api.door import too_slow
from ingest_service.api.problems import ProblemError

_CODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip"})
_GZIP_WINDOW: Final = 31
_BUSY: Final = {"Retry-After": "2"}


class BodyReader:
    """Reads bodies; all that are being read and used share one budget of bytes."""

    def __init__(self, budget: int, seconds: float) -> None:
        self._left = budget
        self._seconds = seconds

    @asynccontextmanager
    async def read(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """Yield a request's body, unpacked; its room in memory is free again after the block.

        Raises `ProblemError`: 413 as soon as the body is, or announces that it will be, larger
        than `limit`, packed or unpacked; 415 for another packing than gzip; 400 for a damaged one;
        408 when it comes too slowly; 503 when too much is being read already.
        """
        coding = request.headers.get("content-encoding", "").strip().lower()
        if coding not in _CODINGS:
            raise _wrong_coding()
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large(limit)
        held = _Held()
        try:
            body = await self._collected(request, limit, held)
            if coding in ("gzip", "x-gzip"):
                body = _unpacked(body, limit)
            yield body
        finally:
            self._left += held.bytes

    async def _collected(self, request: Request, limit: int, held: "_Held") -> bytes:
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout(self._seconds):
                async for piece in request.stream():
                    held.bytes += len(piece)
                    self._left -= len(piece)
                    if held.bytes > limit:
                        raise too_large(limit)
                    if self._left < 0:
                        raise _too_much()
                    pieces.append(piece)
            return b"".join(pieces)
        except TimeoutError:
            raise too_slow() from None


@dataclass(slots=True)
class _Held:
    """How many bytes of the budget a request holds."""

    bytes: int = 0


def _unpacked(packed: bytes, limit: int) -> bytes:
    """Unpack gzip, one member or several, to `limit` bytes at most."""
    parts: list[bytes] = []
    size = 0
    try:
        while packed:
            member = zlib.decompressobj(_GZIP_WINDOW)
            part = member.decompress(packed, limit - size + 1)
            size += len(part)
            if size > limit:
                raise too_large(limit, "what the body unpacks to")
            if not member.eof:
                raise _damaged()
            parts.append(part)
            packed = member.unused_data
    except zlib.error:
        raise _damaged() from None
    return b"".join(parts)


def too_large(limit: int, what: str = "the body") -> ProblemError:
    """Return what to raise for a body over its limit."""
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"{what} is larger than {limit:,} bytes",
        remedy="send it in several requests",
    )


def _too_much() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "the service is reading as much as it can hold",
        remedy="send the same request again after the time in Retry-After",
        headers=_BUSY,
    )


def _wrong_coding() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_body",
        "the body's Content-Encoding is neither gzip nor identity",
        remedy="pack the body with gzip, or send it as it is",
    )


def _damaged() -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "damaged_pack",
        "the gzip body is damaged or cut off",
        remedy="pack it again, or send it as it is",
    )
