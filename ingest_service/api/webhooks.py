"""Webhooks: messages of a tenant's other systems, authenticated by their signature."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from ingest_service.api.event_schemas import problem_response, waiting_response
from ingest_service.api.events import settings_of
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.sources.events.outcomes import EventStatus
from ingest_service.sources.webhooks.signatures import (
    BadSignatureError,
    Message,
    signed_headers,
    verified,
)
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.control.database import WebhookNotFound, WebhookSource

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response("The body is empty or damaged, or the source's mapping cannot be used."),
    401: problem_response("Not signed by the source, or not within five minutes."),
    404: problem_response("There is no such source."),
    408: problem_response("The body came too slowly."),
    409: problem_response(
        "This very request was received before, or another message of its id: then it is kept in "
        "quarantine."
    ),
    413: problem_response("The body is too large."),
    415: problem_response("The body is packed in an unknown way."),
    422: problem_response("A parameter is wrong."),
    429: waiting_response("Over the tenant's rate or the day's quota."),
    503: waiting_response("Not possible now; nothing is kept."),
    507: waiting_response("No room on the service's disk; nothing is kept."),
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {},
                "example": {"type": "track", "userId": "u-1", "event": "Product Viewed"},
            }
        },
    }
}


class WebhookAnswer(BaseModel):
    """What became of a message; it is durable, also what could not be mapped."""

    status: Literal["taken", "duplicate"] = Field(
        description="duplicate: the message was taken in before; nothing is stored again."
    )
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = Field(0, description="Kept in quarantine with every reason.")
    suppressed: int = 0
    skipped: int = Field(0, description="Left out, as the source mapping says of their type.")
    warnings_by_code: dict[str, int] = Field(
        default_factory=dict,
        description="What is odd about its events, which were taken all the same: how often.",
    )


async def source_of(
    source: Annotated[str, Path(max_length=64, description="Id of the source (`wh_…`).")],
    services: Annotated[Services, Depends(services_of)],
) -> WebhookSource:
    """Return the source that a message is for; 404 when there is none."""
    try:
        if services.control.is_quick:
            return services.control.webhook_source(source)
        return await run_in_threadpool(services.control.webhook_source, source)
    except WebhookNotFound as error:
        status, code = HTTPStatus.NOT_FOUND, "unknown_source"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None


Signed = Annotated[str | None, Header(description="As Standard Webhooks has it.")]


@router.post("/{source}", responses=_PROBLEMS, openapi_extra=_BODY)
async def webhook(
    request: Request,
    source: Annotated[WebhookSource, Depends(source_of)],
    services: Annotated[Services, Depends(services_of)],
    webhook_id: Signed = None,  # noqa: ARG001 - for the description
    webhook_timestamp: Signed = None,  # noqa: ARG001
    webhook_signature: Signed = None,  # noqa: ARG001
) -> WebhookAnswer:
    """Take in a message: signed as Standard Webhooks has it, read by the source's adapter.

    2xx means that it is durable: its events are stored, or kept in quarantine where they could not
    be mapped. A message that is repeated with a new signature is answered and not stored again.
    """
    _check_headers(request)
    settings = await settings_of(services, source.tenant_id)
    services.quotas.admit(source.tenant_id, settings.quotas)
    services.writer.check_room(source.tenant_id)
    stranger = f"{source.source_id} {request.client.host if request.client else ''}"
    limit = services.settings.max_webhook_bytes
    async with services.bodies.read_unverified(request, limit, stranger) as unverified:
        message = _verified(source, request, unverified.sent)  # before anything is unpacked
        body = await unverified.content(source.tenant_id)
        if not body:
            raise _empty()
        events = services.inbox.request(source, settings, body)
        services.quotas.take(source.tenant_id, settings.quotas, events.count)
        events = replace(events, is_over_quota=services.quotas.is_over(source.tenant_id))
        found = await services.inbox.take(source, message, body, events)
    if found == "known":
        return WebhookAnswer(status="duplicate")
    if found == "replayed" or found == "running" or found == "conflict":
        raise _refused(found)
    return WebhookAnswer(
        status="taken",
        received=found.received,
        stored=found.count(EventStatus.STORED) + found.count(EventStatus.QUEUED),
        duplicate=found.count(EventStatus.DUPLICATE),
        rejected=found.count(EventStatus.REJECTED),
        suppressed=found.count(EventStatus.SUPPRESSED),
        skipped=found.count(EventStatus.SKIPPED),
        warnings_by_code=dict(found.warnings),
    )


def _check_headers(request: Request) -> None:
    """Refuse what cannot be signed before its body is read."""
    try:
        signed_headers(request.headers)
    except BadSignatureError as error:
        raise _bad_signature(error) from None


def _refused(found: Literal["replayed", "running", "conflict"]) -> ProblemError:
    if found == "replayed":
        return ProblemError(
            HTTPStatus.CONFLICT,
            "replayed_message",
            "this very request was received before; nothing was stored again",
            remedy="sign a message anew for every attempt to send it",
        )
    if found == "conflict":
        return ProblemError(
            HTTPStatus.CONFLICT,
            ReasonCode.CONFLICTING_MESSAGE.value,
            "a message of this id but another body was received before; this one is in quarantine",
            remedy="give every message a webhook-id of its own",
        )
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "message_in_progress",
        "another attempt to send this message is being worked on",
        remedy="send it again after the time in Retry-After",
        headers={"Retry-After": "5"},
    )


def _empty() -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "empty_body",
        "the message is signed but has no body; nothing is kept of it",
        remedy="send a JSON object or an array of them, and sign exactly what is sent",
    )


def _verified(source: WebhookSource, request: Request, body: bytes) -> Message:
    try:
        return verified(source.secrets, request.headers, body)
    except BadSignatureError as error:
        raise _bad_signature(error) from None


def _bad_signature(error: BadSignatureError) -> ProblemError:
    status, code = HTTPStatus.UNAUTHORIZED, "bad_signature"
    return ProblemError(status, code, error.message, remedy=error.remedy)
