"""The quality of a tenant's data as one document."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response, Security
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.auth import Viewer, viewer
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.quality import QualityBusyError
from lakehouse.contracts.tenant import UNATTRIBUTED
from lakehouse.quality.document import QualityOverview, QualityReport
from lakehouse.quality.history import DAYS, MOST_DAYS

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: problem_response("Neither a valid API key nor the operator's token."),
    403: problem_response("The key is another tenant's, or may not read."),
    422: problem_response("A parameter is wrong."),
    503: problem_response("Too many reports are being read."),
}
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    404: problem_response("There is no such tenant.")
}

Who = Annotated[Viewer, Security(viewer, scopes=["read", "admin"])]
Parts = Annotated[Services, Depends(services_of)]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="How far back to look.")]

router = APIRouter(tags=["quality"])


@router.get("/v1/quality", responses={200: {"model": QualityOverview}, **_PROBLEMS})
async def overview(who: Who, services: Parts, days: Days = DAYS) -> Response:
    """Say how good the data of each tenant is that the caller may see: its own, or all."""
    try:
        return _json(await services.quality.overview(who.tenant_id, days))
    except QualityBusyError as error:
        raise _busy(error) from None


@router.get(
    "/v1/tenants/{tenant_id}/quality",
    responses={200: {"model": QualityReport}, **_PROBLEMS, **_UNKNOWN},
)
async def report(
    who: Who,
    services: Parts,
    tenant_id: Annotated[str, Path(description="The tenant the key belongs to.")],
    days: Days = DAYS,
) -> Response:
    """Give a tenant's quality over time: measurements, rejects, runs, gates and dbt's results."""
    who.require(tenant_id)
    if tenant_id != UNATTRIBUTED:
        await run_in_threadpool(services.control.tenant_settings, tenant_id)  # 404 if unknown
    try:
        return _json(await services.quality.report(tenant_id, days))
    except QualityBusyError as error:
        raise _busy(error) from None


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _busy(error: QualityBusyError) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        error.message,
        remedy=error.remedy,
        headers={"Retry-After": "5"},
    )
