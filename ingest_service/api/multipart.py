"""A multipart body straight from the wire to the spool, in constant memory.

The framework's form parser would write the file to a temporary place of its own before any code
here runs; this one writes it once, where it belongs, and stops at the limit.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest_service.api.problems import ProblemError
from ingest_service.spool import SpoolFile

WRITE_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class _Parts:
    """Follows the parser: which part is being read, and what of the file is not yet on disk."""

    wanted: bytes
    pending: bytearray
    is_wanted: bool = False
    found: int = 0
    is_complete: bool = False
    header: bytes = b""
    value: bytes = b""

    def on_part_begin(self) -> None:
        self.is_wanted = False
        self.header = self.value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(self.value)
            if options.get(b"name") == self.wanted:
                self.is_wanted = True
                self.found += 1
        self.header = self.value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.is_wanted and self.found == 1:
            self.pending += memoryview(data)[start:end]

    def on_end(self) -> None:
        self.is_complete = True


async def spool_part(request: Request, name: str, target: SpoolFile, limit: int) -> int:
    """Write the part called `name` to `target`; return its size in bytes.

    Raises `ProblemError` 413 beyond `limit` bytes of body, 415 for another content type, 400 for a
    damaged body or one without exactly one such part, 507 when the disk is full, and starlette's
    `ClientDisconnect` when the client leaves.
    """
    parser, parts = _parser(request, name)
    _check_length(request, limit)
    received = size = 0
    async for data in request.stream():
        received += len(data)
        if received > limit:
            raise _too_large(limit)
        try:
            parser.write(data)
        except FormParserError:
            raise _malformed("the multipart body is damaged") from None
        if len(parts.pending) >= WRITE_BYTES:
            size += await _flush(parts, target)
    size += await _flush(parts, target)
    if not parts.is_complete:
        raise _malformed("the multipart body ends before its closing boundary")
    if parts.found != 1:
        raise _malformed(f"the body has {parts.found} parts called {name!r}, it must have one")
    return size


def _parser(request: Request, name: str) -> tuple[MultipartParser, _Parts]:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_multipart",
            "the body is not multipart/form-data with a boundary",
            remedy=f"send the file as the form part {name!r}, as `curl -F {name}=@FILE` does",
        )
    parts = _Parts(name.encode(), bytearray())
    callbacks = {
        "on_part_begin": parts.on_part_begin,
        "on_header_field": parts.on_header_field,
        "on_header_value": parts.on_header_value,
        "on_header_end": parts.on_header_end,
        "on_part_data": parts.on_part_data,
        "on_end": parts.on_end,
    }
    try:
        return MultipartParser(boundary, callbacks), parts  # type: ignore[arg-type]
    except FormParserError:
        raise _malformed("the multipart boundary is not valid") from None


def _check_length(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)


async def _flush(parts: _Parts, target: SpoolFile) -> int:
    data = bytes(parts.pending)
    parts.pending.clear()
    try:
        await run_in_threadpool(target.write, data)
    except OSError:
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "spool_full",
            "the service could not keep the file while reading it",
            remedy="try again later; the operator should look at the disk of the spool folder",
        ) from None
    return len(data)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the body is larger than {limit:,} bytes",
        remedy="split the file, each part with the header",
    )


def _malformed(message: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "malformed_body",
        message,
        remedy="send the file as the form part 'file', as `curl -F file=@FILE` does",
    )
