"""Whether the service lives and can work. Public on purpose: the answers tell nothing else."""

import logging
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest_service.api.auth import operator
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.services import Services, services_of

CONTENT_TYPE: Final = "text/plain"

_log = logging.getLogger(__name__)

router = APIRouter(tags=["operation"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "Not ready."}})
async def ready(services: Annotated[Services, Depends(services_of)]) -> JSONResponse:
    """Answer 200 when the lake can be written and the control database answers."""
    is_ready = await run_in_threadpool(_is_ready, services)
    if is_ready:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not_ready"}, 503)


@router.get(
    "/metrics",
    dependencies=[Depends(operator)],
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


def _is_ready(services: Services) -> bool:
    try:
        services.control.ping()
        services.check_lake()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready
        _log.warning("not ready: %s", type(error).__qualname__)
        return False
    return True
