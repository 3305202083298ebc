"""Whether the service lives and can work. Public on purpose: no answer names tenants or files."""

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest_service.api.auth import metrics_reader
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.services import Services, services_of

CONTENT_TYPE: Final = "text/plain"

router = APIRouter(tags=["operation"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "Not ready."}})
async def ready(services: Annotated[Services, Depends(services_of)]) -> JSONResponse:
    """Answer 200 when this process can commit, and nothing acknowledged is known to be lost.

    Else 503, with the part that fails, a stable code, and what to do. Looked at every two seconds
    at most.
    """
    problems = await run_in_threadpool(services.not_ready)
    if not problems:
        return JSONResponse({"status": "ready"})
    named = [asdict(one) for one in problems]
    return JSONResponse({"status": "not_ready", "problems": named}, 503)


@router.get(
    "/metrics",
    dependencies=[Depends(metrics_reader)],
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {CONTENT_TYPE: {}}},
        401: problem_response("Not the operator's token."),
        403: problem_response("Closed: the service was given no token."),
    },
)
async def metrics(services: Annotated[Services, Depends(services_of)]) -> Response:
    """Prometheus metrics, for the operator's token."""
    body = generate_latest(services.metrics.registry)
    return Response(body, media_type=CONTENT_TYPE_LATEST)
