"""The Events API: interactions, items, clickstream events and users, one by one or in batches."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.routing import APIRoute

from ingest_service.api.auth import key_of, require_scope
from ingest_service.api.event_schemas import SCOPE, event_body, event_responses
from ingest_service.api.idempotency import (
    REPLAYED,
    KeyHeader,
    check_idempotency_key,
    claim_of_bytes,
    kept_answer,
    limits_of,
    still_running,
)
from ingest_service.api.parameters import check_parameters
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.readers.events.parsing import (
    BadEventsError,
    EventLimits,
    TooLargeError,
    parse_events,
)
from ingest_service.readers.events.plain import plain_body
from ingest_service.readers.events.rows import EventTexts
from ingest_service.readers.json.rows import JsonColumns, RowTexts, texts_of
from ingest_service.sources.events.outcomes import EventStatus
from ingest_service.sources.events.writer import EventRequest, Written
from lakehouse.contracts.mapping import FileRefusedError, refuse_file_settings
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.control.database import ANSWER_KIND, ApiKey, IdempotencyKey, Work
from lakehouse.errors import EtaError

CONTRACT: Final = "contract"
_LISTS: Final = ("results",)
INLINE_BYTES: Final = 64 * 1024
"""Up to here a body is parsed where it is: a thread would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and what its tenant has decided; within its quota when the request came."""

    services: Services
    key: ApiKey
    settings: TenantSettings


async def sender(request: Request) -> Sender:
    """Return the caller if there is room for what it sends; else 429 or 503, the body unread."""
    services = await services_of(request)
    key = require_scope(await key_of(request, services), SCOPE)
    settings = await settings_of(services, key.tenant_id)
    services.quotas.admit(key.tenant_id, settings.quotas)
    services.writer.check_room(key.tenant_id)
    return Sender(services, key, settings)


async def settings_of(services: Services, tenant_id: str) -> TenantSettings:
    """Return a tenant's settings; asks in a thread where the database is not on this machine."""
    if services.control.is_quick:
        return services.control.tenant_settings(tenant_id)
    return await run_in_threadpool(services.control.tenant_settings, tenant_id)


class EventsRoute(APIRoute):
    """Calls an endpoint with its arguments; its signature is for the description alone.

    FastAPI's own reading of them took a quarter of a request's time. What it would have refused is
    refused here or in the endpoint; the description's `security` stands in `event_body`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""

        async def handle(request: Request) -> Response:
            await check_parameters(request)
            caller = await sender(request)
            mapping = request.query_params.get("mapping", CONTRACT)
            key = request.headers.get("idempotency-key")
            found: Response = await self.endpoint(request, caller, mapping, key)
            return found

        return handle


router = APIRouter(prefix="/v1", tags=["events"], route_class=EventsRoute)

Mapped = Annotated[
    str,
    Query(
        max_length=200,
        description="The tenant's source mapping that reads the events; without it their fields "
        "have the contract's own names.",
    ),
]


def _endpoint(data_type: DataType) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Return what takes in events of a data type."""

    async def take_in(
        request: Request,
        caller: Annotated[Sender, Depends(sender)],
        mapping: Mapped = CONTRACT,
        idempotency_key: KeyHeader = None,
    ) -> Response:
        order = _Order(data_type, mapping, idempotency_key)
        return await _take_in(request, caller, order)

    return take_in


for _kind in DataType:
    _about = _kind.definition.endpoint
    router.add_api_route(
        f"/{_about.name}",
        _endpoint(_kind),
        methods=["POST"],
        name=_about.name,
        summary=_about.summary,
        description=_about.description,
        openapi_extra=event_body(_kind),
        responses=event_responses(),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    data_type: DataType
    mapping: str
    idempotency_key: str | None

    def is_plain(self, caller: Sender) -> bool:
        """Whether the events have the contract's own names."""
        return self.mapping == CONTRACT and CONTRACT not in caller.settings.sources


async def _take_in(request: Request, caller: Sender, order: _Order) -> Response:
    services = caller.services
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_body",
            "the body's Content-Type is not application/json",
            remedy="send JSON, with `Content-Type: application/json`",
        )
    check_idempotency_key(order.idempotency_key)
    _check_mapping(caller.settings, order.mapping, order.data_type)
    settings = services.settings
    tenant_id = caller.key.tenant_id
    async with services.bodies.read(request, settings.max_batch_bytes, tenant_id) as body:
        limits = EventLimits(settings.max_batch_events, settings.max_event_bytes)
        rows: EventTexts | None = None
        if order.is_plain(caller):
            rows = plain_body(body, order.data_type, limits)
        if rows is None:
            mapping = caller.settings.mapping(order.mapping, order.data_type)
            columns = JsonColumns.of(order.data_type, mapping)
            rows = await parsed(body, limits, columns)
        services.quotas.take(tenant_id, caller.settings.quotas, rows.count)
        wanted = EventRequest(
            *(tenant_id, order.data_type, order.mapping, "api", rows, len(body)),
            is_over_quota=services.quotas.is_over(tenant_id),
        )
        if order.idempotency_key is None:
            return answer(*told(await services.writer.write(wanted)))
        asked = f"{order.data_type}\n{order.mapping}\n"
        claim = claim_of_bytes(order.idempotency_key, asked, body)
    return await _once(services, wanted, claim)


async def parsed(body: bytes, limits: EventLimits, columns: JsonColumns) -> RowTexts:
    """Return the events of a body; raises `ProblemError` 400 or 413."""

    def read() -> RowTexts:
        records = parse_events(body, limits)
        return texts_of(records, columns)

    try:
        if len(body) <= INLINE_BYTES:
            return read()
        return await run_in_threadpool(read)
    except BadEventsError as error:
        status, code = HTTPStatus.BAD_REQUEST, "bad_json"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None
    except TooLargeError as error:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        raise ProblemError(status, error.code, error.message, remedy=error.remedy) from None


async def _once(services: Services, wanted: EventRequest, claim: IdempotencyKey) -> Response:
    """Write a request that has an idempotency key, or answer as it was answered before.

    Its sender may go meanwhile: what was begun is ended all the same.
    """
    return await asyncio.shield(asyncio.create_task(_written_once(services, wanted, claim)))


async def _written_once(
    services: Services, wanted: EventRequest, claim: IdempotencyKey
) -> Response:
    queue = services.control.queue
    work = Work(wanted.tenant_id, ANSWER_KIND, services.new_batch_id(), {})
    accepted = await run_in_threadpool(queue.accept, work, claim, limits_of(services.settings))
    job = accepted.job
    if accepted.outcome == "busy":
        raise still_running()
    if accepted.outcome == "known" and job.result is not None:
        return answer(job.result["status"], msgspec.json.encode(job.result["body"]), REPLAYED)
    with queue.running(job.job_id):
        try:
            status, body = told(await services.writer.write(wanted))
        except BaseException as error:
            failure = {"error": type(error).__qualname__, "remedy": "send the request again"}
            await run_in_threadpool(queue.finish, job.job_id, "failed", failure)
            raise
        kept = kept_answer(
            services, status, msgspec.json.decode(body), _LISTS, whole=accepted.keeps_whole
        )
        await run_in_threadpool(queue.finish, job.job_id, "succeeded", kept)
    return answer(status, body)


def told(written: Written) -> tuple[int, bytes]:
    """Return the answer's status and body: 200 only when nothing was rejected."""
    found = written.told
    rejected = found.count(EventStatus.REJECTED)
    status = HTTPStatus.OK
    if rejected == found.received:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif rejected:
        status = HTTPStatus.MULTI_STATUS
    elif found.count(EventStatus.QUEUED):
        status = HTTPStatus.ACCEPTED
    counts = {status.value: found.count(status) for status in EventStatus}
    if found.warnings:
        counts["warning_count"] = sum(found.warnings.values())
    head = {"received": found.received, **counts, "batch_id": written.batch_id}
    return status, b'%b,"results":%b}' % (msgspec.json.encode(head)[:-1], found.results)


def answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return an answer of JSON."""
    return Response(body, status, headers, "application/json")


def _check_mapping(settings: TenantSettings, mapping: str, data_type: DataType) -> None:
    try:
        refuse_file_settings(settings.mapping(mapping, data_type))
    except FileRefusedError as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, str(error.code), error.message, remedy=error.remedy
        ) from None
    except EtaError as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "unknown_mapping", error.message, remedy=error.remedy
        ) from None
