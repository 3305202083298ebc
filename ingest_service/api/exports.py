"""What is held of one person, sent to who may have it: the right of access and to portability.

The person's id travels in the body: an URL is written down by proxies and browsers on its way.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ingest_service.api.auth import privacy_officer
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.json_body import JsonRoute
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
    403: problem_response("The key may not export people."),
    422: problem_response("The user's id is empty, too long, or no text; the body is no JSON."),
    503: problem_response("Redis does not answer: the export would lack the embedding."),
}
_BODY: Final[dict[int | str, dict[str, Any]]] = {
    413: problem_response("The body is too large."),
}

WITHOUT_NUL: Final = r"^[^\x00]*$"
"""No stored id has one."""
MAX_BYTES: Final = 16 * 1024
"""Of a body: one id of 512 characters, each of which JSON may write as twelve."""

router = APIRouter(prefix="/v1/privacy/exports", tags=["privacy"], route_class=JsonRoute)

Officer = Annotated[ApiKey, Depends(privacy_officer)]
Parts = Annotated[Services, Depends(services_of)]


class ExportRequest(BaseModel):
    """Whose data is wanted."""

    model_config = ConfigDict(extra="forbid")

    user_id: str = Field(
        min_length=1, max_length=512, pattern=WITHOUT_NUL, description="As it was sent."
    )


@router.post(
    "",
    responses={**_RESPONSES, **_BODY},
    response_class=StreamingResponse,
    max_body_size=MAX_BYTES,
)
async def export_person(key: Officer, services: Parts, wanted: ExportRequest) -> StreamingResponse:
    """Send everything that is held of a user of the key's tenant; no rows for an unknown one.

    It is in the audit log before the first byte is sent, with a keyed hash of the user.
    """
    return await _send(key, services, wanted.user_id)


@router.get(
    "/{user_id:path}", responses=_RESPONSES, response_class=StreamingResponse, deprecated=True
)
async def export_user(
    key: Officer,
    services: Parts,
    user_id: Annotated[
        str,
        Path(min_length=1, max_length=512, pattern=WITHOUT_NUL, description="As it was sent."),
    ],
) -> StreamingResponse:
    """Send the same with the id in the URL, which programs on the way may keep: prefer POST."""
    return await _send(key, services, user_id)


async def _send(key: ApiKey, services: Services, user_id: str) -> StreamingResponse:
    def opened() -> Iterator[bytes]:
        chunks = services.export(key.tenant_id, user_id)
        services.control.disclosures.note(key.tenant_id, user_id, by=f"key:{key.key_id}")
        return chunks

    try:
        chunks = await run_in_threadpool(opened)
    except EmbeddingsAway as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "embeddings_away", error.message, remedy=error.remedy
        ) from None
    headers = {"Content-Disposition": 'attachment; filename="export.zip"'}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)
