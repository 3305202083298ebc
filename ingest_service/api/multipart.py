"""A multipart body straight from the wire to the spool, in constant memory.

The framework's form parser would write the file to a temporary place of its own before any code
here runs; this one writes it once, where it belongs, and stops at the limit.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest_service.api.problems import ProblemError
from ingest_service.api.spooling import WRITE_BYTES, write
from ingest_service.sources.uploads.spool import SpoolFile
from lakehouse.contracts.file_names import format_of_name
from lakehouse.contracts.tenant import FileFormat

FORM: Final = "multipart/form-data"
MAX_PARTS: Final = 100
MAX_CHARSET: Final = 40
MAX_NAME: Final = 255


@dataclass(slots=True)
class TextPart:
    """A short part that may stand beside the file; `value` is None while none came."""

    name: str
    most_bytes: int
    value: bytes | None = None

    def begin(self) -> None:
        """It comes; twice is refused."""
        if self.value is not None:
            raise _malformed(f"the body has more than one part called {self.name!r}")
        self.value = b""

    def add(self, data: bytes) -> None:
        """Take what comes of it, up to its limit."""
        self.value = (self.value or b"") + data
        if len(self.value) > self.most_bytes:
            raise _too_long(self)


@dataclass(slots=True)
class _Parts:
    """Follows the parser: which part is being read, and what of the file is not yet on disk."""

    wanted: bytes
    pending: bytearray
    beside: TextPart | None = None
    is_wanted: bool = False
    is_beside: bool = False
    parts: int = 0
    found: int = 0
    is_complete: bool = False
    header: bytes = b""
    value: bytes = b""
    kind: bytes = b""
    charset: str | None = None
    named: FileFormat | None = None

    def on_part_begin(self) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise _malformed(f"the body has more than {MAX_PARTS} parts")
        self.is_wanted = self.is_beside = False
        self.header = self.value = self.kind = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            options = parse_options_header(self.value)[1]
            name = options.get(b"name", b"")
            if name == self.wanted:
                self.is_wanted = True
                self.found += 1
                self.named = format_of_name(
                    options.get(b"filename", b"")[-MAX_NAME:].decode("utf-8", errors="replace")
                )
            elif self.beside is not None and name == self.beside.name.encode():
                self.is_beside = True
                self.beside.begin()
            else:
                raise _unknown_part(name.decode("utf-8", errors="replace"))
        elif self.header.lower() == b"content-type":
            self.kind = self.value
        self.header = self.value = b""

    def on_headers_finished(self) -> None:
        if self.is_wanted:
            self.charset = charset_of(self.kind)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.is_wanted and self.found == 1:
            self.pending += memoryview(data)[start:end]
        elif self.is_beside and self.beside is not None:
            self.beside.add(data[start:end])

    def on_end(self) -> None:
        self.is_complete = True


async def spool_part(
    chunks: AsyncIterator[bytes],
    content_type: str,
    name: str,
    target: SpoolFile,
    beside: TextPart | None = None,
) -> None:
    """Write the part called `name` of a form to `target`, and note what it declares.

    Of the others the form may have `beside`, which is given its value. Raises `ProblemError` 400
    for a damaged body or one with other parts than one such, 413 for a `beside` that is too large,
    415 for a type without a boundary, 507 when the disk is full, and what `chunks` raise.
    """
    parser, parts = _parser(content_type, name, beside)
    async for data in chunks:
        try:
            parser.write(data)
        except FormParserError:
            raise _malformed("the multipart body is damaged") from None
        if len(parts.pending) >= WRITE_BYTES:
            await _flush(parts, target)
    await _flush(parts, target)
    if not parts.is_complete:
        raise _malformed("the multipart body ends before its closing boundary")
    if parts.found != 1:
        raise _malformed(f"the body has {parts.found} parts called {name!r}, it must have one")
    target.charset = parts.charset or charset_of(content_type)
    target.named = parts.named


def charset_of(content_type: str | bytes) -> str | None:
    """Return the charset that a Content-Type declares, None for none."""
    found = parse_options_header(content_type)[1].get(b"charset", b"").decode("latin-1").strip()
    return found[:MAX_CHARSET] or None


def _parser(
    content_type: str, name: str, beside: TextPart | None
) -> tuple[MultipartParser, _Parts]:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != FORM.encode() or not boundary:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_body",
            "the body is not multipart/form-data with a boundary",
            remedy=f"send the file as the form part {name!r}, as `curl -F {name}=@FILE` does",
        )
    parts = _Parts(name.encode(), bytearray(), beside)
    callbacks = {
        "on_part_begin": parts.on_part_begin,
        "on_header_field": parts.on_header_field,
        "on_header_value": parts.on_header_value,
        "on_header_end": parts.on_header_end,
        "on_headers_finished": parts.on_headers_finished,
        "on_part_data": parts.on_part_data,
        "on_end": parts.on_end,
    }
    try:
        return MultipartParser(boundary, callbacks), parts  # type: ignore[arg-type]
    except FormParserError:
        raise _malformed("the multipart boundary is not valid") from None


async def _flush(parts: _Parts, target: SpoolFile) -> None:
    data = bytes(parts.pending)
    parts.pending.clear()
    await write(target, data)


def _unknown_part(name: str) -> ProblemError:
    """A part that nobody reads: what it asks for would not be done."""
    shown = "".join(one if one.isprintable() else "?" for one in name[:40])
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "unknown_form_part",
        f"the form has a part {shown!r}, which is not read",
        remedy="send the file alone as the part 'file'; options are parameters of the URL",
    )


def _too_long(part: TextPart) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "form_part_too_large",
        f"the form's part {part.name!r} is larger than {part.most_bytes:,} bytes",
        remedy="save it in the tenant's settings, and name it",
    )


def _malformed(message: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "malformed_body",
        message,
        remedy="send the file as the form part 'file', as `curl -F file=@FILE` does",
    )
