"""Every error as RFC 9457 problem details: what went wrong, what to do, never a stack trace."""

import logging
import re
import traceback
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final

from deltalake.exceptions import DeltaError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_service.metrics import ServiceMetrics
from ingest_service.sources.events.quotas import QuotaError
from ingest_service.sources.uploads.spool import SpoolQuotaError
from lakehouse.control.key_room import TooManyKeys
from lakehouse.errors import EtaError
from lakehouse.storage.faults import RETRY_SECONDS, Fault, StorageError, fault_of, storage_error

MEDIA_TYPE: Final = "application/problem+json"

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
        self._headers = headers or {}

    @property
    def headers(self) -> dict[str, str]:
        """As they were given."""
        return self._headers


class BodyGivenUpError(HTTPException):
    """A body that was not waited for. FastAPI lets an `HTTPException` alone through its readers."""

    def __init__(self, problem: ProblemError) -> None:
        super().__init__(problem.status or HTTPStatus.SERVICE_UNAVAILABLE, problem.message)
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


def body_of(error: EtaError, status: int) -> dict[str, Any]:
    """Return the problem that an error is."""
    return problem_body(status, error.code, error.message, error.remedy, **error.details)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[JSONResponse]]] = {
        EtaError: _on_error,
        DeltaError: _on_storage,
        OSError: _on_storage,
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


async def _on_error(request: Request, error: EtaError) -> JSONResponse:
    """Answer as the error's class says; one that says nothing is ours, and for the log."""
    if isinstance(error, StorageError) or (error.status is None and fault_of(error) is not None):
        return storage_problem(error)
    if error.status is None:
        _log.error("unavailable: %s", error)
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            error.code,
            "the request could not be served now; nothing of it is stored",
            "try again in a moment; the operator finds the reason in the service's log",
        )
    if isinstance(error, TooManyKeys | QuotaError | SpoolQuotaError):
        _count_refused(request.app.state.services.metrics, error)
    return JSONResponse(body_of(error, error.status), error.status, error.headers, MEDIA_TYPE)


def _count_refused(metrics: ServiceMetrics, error: EtaError) -> None:
    if isinstance(error, TooManyKeys):
        metrics.keys_refused.inc()
    else:
        metrics.over_quota.labels(error.code).inc()


async def _on_given_up(request: Request, error: BodyGivenUpError) -> JSONResponse:
    return await _on_error(request, error.problem)


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
