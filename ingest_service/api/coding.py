"""Which `Content-Encoding` a body may have, and what a packed one that is wrong is answered."""

from http import HTTPStatus
from typing import Final

from fastapi import Request

from ingest_service.api.problems import ProblemError
from ingest_service.unpack import GZIP, ZSTD, DamagedPackError, UnpackedTooLargeError
from ingest_service.zip_archive import PackRefusedError

_CODINGS: Final = {"": None, "identity": None, "gzip": GZIP, "x-gzip": GZIP, "zstd": ZSTD}


def packing_of_body(request: Request) -> str | None:
    """Return how a body is packed, None when it is not; raises `ProblemError` 415.

    Several codings, in one header or in several, are refused: nobody sends them in earnest, and
    each would multiply what a byte can unpack to.
    """
    coding = ",".join(request.headers.getlist("content-encoding")).strip().lower()
    if coding in _CODINGS:
        return _CODINGS[coding]
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_body",
        "the body's Content-Encoding is not one of gzip, zstd, identity",
        remedy="pack the body once, with gzip or zstd, or send it as it is",
    )


def unpacking_problem(
    error: UnpackedTooLargeError | DamagedPackError | PackRefusedError, too_large: str
) -> ProblemError:
    """Return what to raise for a packed body that cannot be used; `too_large` is a code."""
    if isinstance(error, PackRefusedError):
        status, code = HTTPStatus.BAD_REQUEST, error.code
    elif isinstance(error, DamagedPackError):
        status, code = HTTPStatus.BAD_REQUEST, "damaged_pack"
    else:
        status, code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large
    return ProblemError(status, code, error.message, remedy=error.remedy)
