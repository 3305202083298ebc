"""A request's body as a file on disk: out of its form, out of its packing, within its limits."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.coding import packing_of_body, unpacking_problem
from ingest_service.api.multipart import FORM, TextPart, charset_of, spool_part
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services
from ingest_service.api.spooling import WRITE_BYTES, write
from ingest_service.readers.formats import can_be_cut
from ingest_service.sources.uploads.spool import SpoolFile
from ingest_service.unpack import DamagedPackError, UnpackedTooLargeError
from ingest_service.zip_archive import (
    PackRefusedError,
    nested_archive,
    packing_of_file,
    unpacked_file,
)
from lakehouse.contracts.file_names import FILE_TYPES, format_of_type

PART: Final = "file"
MAPPING_PART: Final = "mapping_settings"
MOST_MAPPING: Final = 16 * 1024
"""Bytes of a mapping that comes with a file: rows that go to quarantine keep it, each."""


@asynccontextmanager
async def received(
    request: Request,
    services: Services,
    tenant_id: str,
    count: Callable[[int], None],
    *,
    takes_mapping: bool = False,
    enough: int | None = None,
) -> AsyncIterator[SpoolFile]:
    """Spool the file that a request carries and yield it, unpacked; it is gone after the block.

    The file is the form part `file`, or the whole body when that is no form. With `takes_mapping` a
    form may have a part `mapping_settings` beside it. The body may be
    packed (`Content-Encoding`), and so may the file, which its first bytes tell. Raises
    `ProblemError`: 413 when the body or what it unpacks to is too large, 415 for a type that is
    not known, 400 for a damaged body, 507 when the disk is full; and what `count` raises, which is
    given the size of every piece of the body. Of a packed file no more is unpacked than `enough`
    bytes and what comes with them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    packing = packing_of_body(request)
    if kind != FORM and kind not in FILE_TYPES:
        raise _unknown_type("the body is neither multipart/form-data nor a file of a known type")
    with ExitStack() as stack:
        chunks = _counted(request, services, count)
        packed: SpoolFile | None = None
        if packing is not None:
            packed = stack.enter_context(services.spool.file(tenant_id))
            await _write_all(chunks, packed)
            chunks = _unpacked(packed, packing, services.settings.max_unpacked_bytes)
        sent = stack.enter_context(services.spool.file(tenant_id))
        if kind == FORM:
            beside = TextPart(MAPPING_PART, MOST_MAPPING) if takes_mapping else None
            await spool_part(chunks, request.headers["content-type"], PART, sent, beside)
            sent.mapping_text = beside.value if beside is not None else None
        else:
            await _write_all(chunks, sent)
            sent.charset = charset_of(request.headers["content-type"])
            sent.named = format_of_type(kind)
        if packed is not None:
            packed.drop()
        packing = await run_in_threadpool(_packing_of_file, sent.path)
        if packing is None:
            yield sent
            return
        plain = stack.enter_context(services.spool.file(tenant_id))
        pieces = _unpacked(sent, packing, services.settings.max_unpacked_bytes)
        plain.is_start = await _write_all(pieces, plain, enough)
        sent.drop()
        plain.charset, plain.named, plain.packing = sent.charset, sent.named, packing
        plain.mapping_text = sent.mapping_text
        if await run_in_threadpool(_packing_of_file, plain.path) is not None:
            raise unpacking_problem(nested_archive(), "nested_archive")
        yield plain


def announced_length(request: Request, limit: int) -> int | None:
    """Return how long the body of a request will be, None when that is not said.

    Raises `ProblemError` 413 when it is over the limit.
    """
    announced = request.headers.get("content-length", "")
    length = int(announced) if announced.isdecimal() else None
    if length is not None and length > limit:
        raise _too_large(limit)
    return length


async def _counted(
    request: Request, services: Services, count: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """Yield the body; it is refused as soon as it is too large."""
    limit, size = services.settings.max_upload_bytes, 0
    async for data in request.stream():
        size += len(data)
        if size > limit:
            raise _too_large(limit)
        count(len(data))
        yield data
    services.metrics.bytes.inc(size)


async def _unpacked(packed: SpoolFile, packing: str, limit: int) -> AsyncIterator[bytes]:
    pieces = unpacked_file(packed.path, packing, limit)
    while (piece := await run_in_threadpool(_next, pieces)) is not None:
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    try:
        return next(pieces, None)
    except (UnpackedTooLargeError, DamagedPackError, PackRefusedError) as error:
        raise unpacking_problem(error, "unpacked_too_large") from None


def _packing_of_file(path: Path) -> str | None:
    try:
        return packing_of_file(path)
    except (UnpackedTooLargeError, DamagedPackError) as error:
        raise unpacking_problem(error, "unpacked_too_large") from None


async def _write_all(
    chunks: AsyncIterator[bytes], target: SpoolFile, enough: int | None = None
) -> bool:
    """Write what comes, of text up to about `enough` bytes; return whether that is not all."""
    pending, size = bytearray(), 0
    async for data in chunks:
        if size == 0 and not can_be_cut(data):
            enough = None
        if enough is not None and size > enough:
            await write(target, bytes(pending))
            return True
        pending += data
        size += len(data)
        if len(pending) >= WRITE_BYTES:
            await write(target, bytes(pending))
            pending.clear()
    await write(target, bytes(pending))
    return False


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
