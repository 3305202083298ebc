"""What is held of one person, sent to who may have it: the right of access and to portability."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from ingest_service.api.auth import administrator
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ApiKey
from lakehouse.privacy.export_embedding import EmbeddingsAway

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A zip: JSON lines per table, the embedding, and a manifest.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    401: problem_response("No valid API key."),
    403: problem_response("The key may not administer."),
    422: problem_response("The user's id is empty or too long."),
    503: problem_response("Redis does not answer: the export would lack the embedding."),
}

router = APIRouter(prefix="/v1/privacy/exports", tags=["privacy"])


@router.get("/{user_id:path}", responses=_RESPONSES, response_class=StreamingResponse)
async def export_user(
    key: Annotated[ApiKey, Depends(administrator)],
    services: Annotated[Services, Depends(services_of)],
    user_id: Annotated[str, Path(min_length=1, max_length=512, description="As it was sent.")],
) -> StreamingResponse:
    """Send everything that is held of a user of the key's tenant; no rows for an unknown one."""
    try:
        chunks = await run_in_threadpool(services.export, key.tenant_id, user_id)
    except EmbeddingsAway as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "embeddings_away", error.message, remedy=error.remedy
        ) from None
    headers = {"Content-Disposition": 'attachment; filename="export.zip"'}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)
