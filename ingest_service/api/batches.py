"""What became of every batch a tenant has sent."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from ingest_service.api.auth import may_see
from ingest_service.api.problems import MEDIA_TYPE, ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ApiKey
from lakehouse.errors import EtaError

_PROBLEM: Final[dict[str, Any]] = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The cursor is not one of a page.", **_PROBLEM},
    401: {"description": "No valid API key.", **_PROBLEM},
    403: {"description": "The key is another tenant's, or may not read.", **_PROBLEM},
    422: {"description": "A parameter is wrong.", **_PROBLEM},
}

_CURSOR: Final = r"^[0-9]{1,15}~[A-Za-z0-9._:-]{1,300}$"

router = APIRouter(prefix="/v1/tenants/{tenant_id}/ingest", tags=["ledger"])


class Batch(BaseModel):
    """One batch; received = stored + duplicate + quarantined + suppressed, at any time."""

    model_config = ConfigDict(from_attributes=True)

    batch_id: str
    source: str
    data_type: str
    received_at: datetime = Field(description="When it was taken in, UTC.")
    received: int
    stored: int
    duplicate: int = Field(
        description="Rows known already, within the recent window, or repeated in the batch."
    )
    quarantined: int = Field(description="Rows that are in quarantine now.")
    suppressed: int = Field(description="Rows of erased people, dropped.")
    replays: int = Field(description="How often rows of its quarantine were taken in.")


class BatchPage(BaseModel):
    """Batches, newest first."""

    batches: list[Batch]
    next: str | None = Field(description="Send it as `after` for the next page; null at the end.")


@router.get("/batches", responses=_PROBLEMS)
async def list_batches(
    key: Annotated[ApiKey, Depends(may_see)],
    services: Annotated[Services, Depends(services_of)],
    limit: Annotated[int, Query(ge=1, le=1_000, description="Batches per page.")] = 100,
    after: Annotated[
        str | None,
        Query(description="`next` of the page before.", json_schema_extra={"pattern": _CURSOR}),
    ] = None,
) -> BatchPage:
    """Say where the rows of each batch are: stored, known already, in quarantine or dropped."""
    try:
        found = await run_in_threadpool(services.batches, key.tenant_id, limit, after)
    except EtaError as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "bad_cursor", error.message, remedy=error.remedy
        ) from None
    following = found[-1].cursor if len(found) == limit else None
    return BatchPage(batches=[Batch.model_validate(batch) for batch in found], next=following)
