"""Every error as RFC 9457 problem details: what went wrong, what to do, never a stack trace."""

import logging
import re
import traceback
from asyncio import CancelledError
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from deltalake.exceptions import DeltaError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_service.api.budgets import NoRoomError
from ingest_service.metrics import ServiceMetrics
from ingest_service.sources.events.quotas import QuotaError
from ingest_service.sources.events.writer import BehindError
from ingest_service.sources.uploads.spool import SpoolQuotaError
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.control.database import (
    IdempotencyKeyReused,
    JobNotFound,
    TenantNotFound,
    TooManyKeys,
)
from lakehouse.errors import EtaError
from lakehouse.storage.faults import RETRY_SECONDS, Fault, StorageError, fault_of, storage_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MEDIA_TYPE: Final = "application/problem+json"

SPOOL_RETRY_SECONDS: Final = 60

_log = logging.getLogger(__name__)


class ProblemError(EtaError):
    """An error with an HTTP status and a stable code."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        remedy: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code
        self.headers = headers


class BodyGivenUpError(HTTPException):
    """A body that was not waited for. FastAPI lets an `HTTPException` alone through its readers."""

    def __init__(self, problem: ProblemError) -> None:
        super().__init__(problem.status, problem.message)
        self.problem = problem


class RefusedBodyError(BodyGivenUpError):
    """A body that cannot be read in one way alone."""


def problem(
    status: int,
    code: str,
    detail: str,
    remedy: str,
    *,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """Return a problem response; `code` is stable, `detail` and `remedy` are for people."""
    body = problem_body(status, code, detail, remedy, **extra)
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def problem_body(status: int, code: str, detail: str, remedy: str, **extra: Any) -> dict[str, Any]:
    """Return the body of a problem response."""
    return {
        "type": f"urn:eta:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy,
        **extra,
    }


def refused_file_body(error: FileRefusedError) -> dict[str, Any]:
    """Return the problem of a file that cannot be read."""
    return problem_body(
        HTTPStatus.BAD_REQUEST,
        error.code.value,
        error.message,
        error.remedy,
        line=error.line,
        columns=list(error.columns),
    )


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[JSONResponse]]] = {
        ProblemError: _on_problem,
        FileRefusedError: _on_refused_file,
        TenantNotFound: _on_tenant_not_found,
        JobNotFound: _on_job_not_found,
        IdempotencyKeyReused: _on_key_reused,
        TooManyKeys: _on_too_many_keys,
        QuotaError: _on_quota,
        BehindError: _on_behind,
        NoRoomError: _on_behind,
        SpoolQuotaError: _on_spool_quota,
        StorageError: _on_storage,
        DeltaError: _on_storage,
        OSError: _on_storage,
        EtaError: _on_eta_error,
        RequestValidationError: _on_invalid_request,
        BodyGivenUpError: _on_given_up,
        HTTPException: _on_http_exception,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(IncidentMiddleware)


class IncidentMiddleware:
    """Turns what nobody expected into a 500 with an incident id that the log has too.

    The log gets the type and the code positions, not the exception's text, which may quote data.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            _log.info("a client left before its request was complete")
        except (CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the last line of defence; panics as well
            incident = token_hex(8)
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("incident %s: %s\n%s", incident, type(error).__qualname__, where)
            if not has_started:
                response = problem(
                    500,
                    "internal_error",
                    f"something unexpected happened; it is logged as incident {incident}",
                    "try again; if it happens again, give the incident's id to the operator",
                    incident=incident,
                )
                await response(scope, receive, send)


async def _on_problem(_: Request, error: ProblemError) -> JSONResponse:
    return problem(error.status, error.code, error.message, error.remedy, headers=error.headers)


async def _on_given_up(request: Request, error: BodyGivenUpError) -> JSONResponse:
    return await _on_problem(request, error.problem)


async def _on_refused_file(_: Request, error: FileRefusedError) -> JSONResponse:
    return JSONResponse(refused_file_body(error), HTTPStatus.BAD_REQUEST, media_type=MEDIA_TYPE)


async def _on_tenant_not_found(_: Request, error: TenantNotFound) -> JSONResponse:
    return problem(HTTPStatus.NOT_FOUND, "unknown_tenant", error.message, error.remedy)


async def _on_job_not_found(_: Request, error: JobNotFound) -> JSONResponse:
    return problem(HTTPStatus.NOT_FOUND, "unknown_job", error.message, error.remedy)


async def _on_key_reused(_: Request, error: IdempotencyKeyReused) -> JSONResponse:
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", error.message, error.remedy
    )


async def _on_too_many_keys(request: Request, error: TooManyKeys) -> JSONResponse:
    request.app.state.services.metrics.keys_refused.inc()
    wait = {"Retry-After": str(error.retry_after)}
    status, code = HTTPStatus.TOO_MANY_REQUESTS, "too_many_idempotency_keys"
    return problem(status, code, error.message, error.remedy, headers=wait)


async def _on_quota(request: Request, error: QuotaError) -> JSONResponse:
    metrics: ServiceMetrics = request.app.state.services.metrics
    metrics.over_quota.labels(error.code).inc()
    wait = {"Retry-After": str(error.retry_after)}
    status = HTTPStatus.TOO_MANY_REQUESTS
    return problem(status, error.code, error.message, error.remedy, headers=wait)


async def _on_spool_quota(request: Request, error: SpoolQuotaError) -> JSONResponse:
    metrics: ServiceMetrics = request.app.state.services.metrics
    metrics.over_quota.labels("spool_quota").inc()
    wait = {"Retry-After": str(SPOOL_RETRY_SECONDS)}
    status = HTTPStatus.TOO_MANY_REQUESTS
    return problem(status, "spool_quota", error.message, error.remedy, headers=wait)


async def _on_behind(_: Request, error: BehindError | NoRoomError) -> JSONResponse:
    wait = {"Retry-After": str(error.retry_after)}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return problem(status, "busy", error.message, error.remedy, headers=wait)


async def _on_storage(_: Request, error: Exception) -> JSONResponse:
    """Answer what the storage of the lake, the spool or the control database refused."""
    return storage_problem(error)


def storage_problem(error: Exception) -> JSONResponse:
    """Return 507 where the disk is full, else 503; the log names the table, the file, the remedy.

    An error of the operating system that says neither is nobody's fault that is known: raised.
    """
    fault = fault_of(error)
    if isinstance(error, OSError) and fault is None:
        raise error
    named = storage_error(error, "the lake") if not isinstance(error, EtaError) else error
    _log.error("storage: %s", named)
    status, code, detail = _STORAGE[fault]
    wait = {"Retry-After": str(RETRY_SECONDS)}
    return problem(status, code, detail, _STORAGE_REMEDY, headers=wait)


_STORAGE: Final[dict[Fault | None, tuple[HTTPStatus, str, str]]] = {
    "full": (
        HTTPStatus.INSUFFICIENT_STORAGE,
        "storage_full",
        "no room is left on the service's disk; the request is not acknowledged",
    ),
    "read_only": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "storage_read_only",
        "the service's disk cannot be written; the request is not acknowledged",
    ),
    None: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "storage_unavailable",
        "a table could not be used just now; the request is not acknowledged",
    ),
}
_STORAGE_REMEDY: Final = (
    "send it again after the time in Retry-After: what was stored is not stored twice; "
    "the operator finds the reason in the service's log and with `eta ledger check`"
)


async def _on_eta_error(_: Request, error: EtaError) -> JSONResponse:
    if fault_of(error) is not None:  # a full disk behind another part's error
        return storage_problem(error)
    _log.error("unavailable: %s", error)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "the request could not be served now; nothing of it is stored",
        "try again in a moment; the operator finds the reason in the service's log",
    )


async def _on_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    faults = [
        {"where": ".".join(str(part) for part in fault["loc"]), "reason": fault["msg"]}
        for fault in error.errors()
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "the request's parameters are not valid",
        "see `faults`, and the service's OpenAPI description at /docs",
        faults=faults,
    )


async def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers) if error.headers else None
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_methods(request.app, request.url.path))}
    return problem(
        error.status_code,
        HTTPStatus(error.status_code).name.lower(),
        error.detail,
        "see the service's OpenAPI description at /docs",
        headers=headers,
    )


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return every method of a path; the framework names those of its first route alone."""
    found = [
        method.upper()
        for template, methods in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(template)), path)
        for method in methods
    ]
    return sorted(found)
