"""`Idempotency-Key`: the same request sent again gets the same answer and makes no second batch."""

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import Header

from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services
from ingest_service.settings import ServiceSettings
from ingest_service.sources.uploads.orders import UploadOrder
from ingest_service.sources.uploads.spool import SpoolFile
from lakehouse.contracts.kinds import FileFormat
from lakehouse.control.database import IdempotencyKey, KeyLimits

REPLAYED: Final = {"Idempotent-Replayed": "true"}
MAX_KEY: Final = 255

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Your own name for the request: sent again with the same content it gets the "
        "same answer.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
    ),
]


def claim_of(key: str | None, order: UploadOrder, file: SpoolFile) -> IdempotencyKey | None:
    """Return what a request's key claims: the order and the unpacked content of its file.

    Reads the file (about 1 s per GB), so only requests with a key pay. The key itself is not kept:
    somebody may have put a name into it. Raises `ProblemError` 400 for a key that is none.
    """
    if key is None:
        return None
    check_idempotency_key(key)
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    # Absent as it was before orders had it, so that keys of then are known.
    since = ("declared_charset", "mapping_settings", "named", "sheet")
    unsaid = {name for name in since if getattr(order, name) is None}
    if order.format is not FileFormat.AUTO:
        unsaid.add("named")  # a hint that decides nothing
    asked = f"{order.model_dump_json(exclude=unsaid)}\n{digest}"
    return IdempotencyKey(_sha256(key), _sha256(asked))


def claim_of_bytes(key: str, asked: str, body: bytes) -> IdempotencyKey:
    """Return what a request's key claims: what is asked, and the unpacked body."""
    return IdempotencyKey(_sha256(key), _sha256(f"{asked}{hashlib.sha256(body).hexdigest()}"))


def check_idempotency_key(key: str | None) -> None:
    """Raise `ProblemError` 400 for a key that is none; a request may have no key."""
    if key is None:
        return
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "bad_idempotency_key",
            "the Idempotency-Key is not one",
            remedy=f"send 1 to {MAX_KEY} printable ASCII characters, a new UUID for example",
        )


def limits_of(settings: ServiceSettings) -> KeyLimits:
    """Return how much a tenant's keys may hold."""
    return KeyLimits(settings.idempotency_keys, settings.idempotent_total_bytes)


def kept_answer(
    services: Services, status: int, body: dict[str, Any], lists: Sequence[str], *, whole: bool
) -> dict[str, Any]:
    """Return what is kept of an answer, to be given again: all of it, or without its `lists`.

    They are left out of a large answer, and where there is no room for it (`whole`); its counts
    say what became of the request all the same, and `cut` that they are gone.
    """
    size = len(msgspec.json.encode(body))
    if whole and size <= services.settings.idempotent_answer_bytes:
        return {"status": status, "body": body}
    if not any(body.get(name) for name in lists):
        return {"status": status, "body": body}
    services.metrics.answers_cut.inc()
    kept = {name: [] if name in lists else value for name, value in body.items()}
    return {"status": status, "body": {**kept, "cut": [name for name in lists if name in body]}}


def still_running() -> ProblemError:
    """Return what to raise while another request with the key is being worked on."""
    return ProblemError(
        HTTPStatus.CONFLICT,
        "request_in_progress",
        "a request with this Idempotency-Key is being worked on",
        remedy="send it again in a few seconds",
        headers={"Retry-After": "5"},
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
