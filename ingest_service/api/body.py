"""A request's body as a file on disk: out of its form, out of its packing, within its limits."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.multipart import FORM, charset_of, spool_part
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services
from ingest_service.api.spooling import WRITE_BYTES, write
from ingest_service.spool import SpoolFile
from ingest_service.unpack import (
    GZIP,
    ZSTD,
    DamagedPackError,
    UnpackedTooLargeError,
    packing_of,
    unpacked,
)

PART: Final = "file"

_CODINGS: Final = {"": None, "identity": None, "gzip": GZIP, "x-gzip": GZIP, "zstd": ZSTD}
_FILE_TYPES: Final = frozenset(
    {
        "text/csv",
        "text/tab-separated-values",
        "text/plain",
        "application/json",
        "application/jsonl",
        "application/x-ndjson",
        "application/gzip",
        "application/zstd",
        "application/octet-stream",
    }
)


@asynccontextmanager
async def received(request: Request, services: Services) -> AsyncIterator[SpoolFile]:
    """Spool the file that a request carries and yield it, unpacked; it is gone after the block.

    The file is the form part `file`, or the whole body when that is no form. The body may be
    packed (`Content-Encoding`), and so may the file, which its first bytes tell. Raises
    `ProblemError`: 413 when the body or what it unpacks to is too large, 415 for a type that is
    not known, 400 for a damaged body, 507 when the disk is full.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise _unknown_type("the body's Content-Encoding is not one of gzip, zstd, identity")
    if kind != FORM and kind not in _FILE_TYPES:
        raise _unknown_type("the body is neither multipart/form-data nor a file of a known type")
    with ExitStack() as stack:
        chunks = _counted(request, services)
        packing = _CODINGS[coding]
        if packing is not None:
            packed = stack.enter_context(services.spool.file())
            await _write_all(chunks, packed)
            chunks = _unpacked(packed, packing, services.settings.max_unpacked_bytes)
        sent = stack.enter_context(services.spool.file())
        if kind == FORM:
            await spool_part(chunks, request.headers["content-type"], PART, sent)
        else:
            await _write_all(chunks, sent)
            sent.charset = charset_of(request.headers["content-type"])
        packing = await run_in_threadpool(packing_of, sent.path)
        if packing is None:
            yield sent
            return
        plain = stack.enter_context(services.spool.file())
        await _write_all(_unpacked(sent, packing, services.settings.max_unpacked_bytes), plain)
        sent.drop()
        plain.charset = sent.charset
        yield plain


async def _counted(request: Request, services: Services) -> AsyncIterator[bytes]:
    """Yield the body; it is refused as soon as it is, or announces that it will be, too large."""
    limit = services.settings.max_upload_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    size = 0
    async for data in request.stream():
        size += len(data)
        if size > limit:
            raise _too_large(limit)
        yield data
    services.metrics.bytes.inc(size)


async def _unpacked(packed: SpoolFile, packing: str, limit: int) -> AsyncIterator[bytes]:
    pieces = unpacked(packed.path, packing, limit)
    while (piece := await run_in_threadpool(_next, pieces)) is not None:
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    try:
        return next(pieces, None)
    except UnpackedTooLargeError as error:
        status, code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "unpacked_too_large"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None
    except DamagedPackError as error:
        status, code = HTTPStatus.BAD_REQUEST, "damaged_pack"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None


async def _write_all(chunks: AsyncIterator[bytes], target: SpoolFile) -> None:
    pending = bytearray()
    async for data in chunks:
        pending += data
        if len(pending) >= WRITE_BYTES:
            await write(target, bytes(pending))
            pending.clear()
    await write(target, bytes(pending))


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the body is larger than {limit:,} bytes",
        remedy="split the file, each part with the header",
    )


def _unknown_type(message: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_body",
        message,
        remedy="send the file as the form part 'file', as `curl -F file=@FILE` does, or as the "
        "body itself with Content-Type text/csv",
    )
