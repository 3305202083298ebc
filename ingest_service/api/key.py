"""What a key is: whose, and what it may do. A page or program asks before it offers anything."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Security
from pydantic import BaseModel, Field

from ingest_service.api.auth import authenticated
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.events import settings_of
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import SCOPES, ApiKey

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: problem_response("No valid API key."),
}

router = APIRouter(prefix="/v1/key", tags=["keys"])


class KeyFacts(BaseModel):
    """A key as its holder may see it."""

    key_id: str
    tenant_id: str
    scopes: list[str] = Field(description="What it may do.")
    mappings: list[str] = Field(
        description="Names of the source mappings in the tenant's settings."
    )


@router.get("", responses=_PROBLEMS)
async def describe_key(
    key: Annotated[ApiKey, Security(authenticated, scopes=sorted(SCOPES))],
    services: Annotated[Services, Depends(services_of)],
) -> KeyFacts:
    """Say whose the key of the request is and what it may do."""
    settings = await settings_of(services, key.tenant_id)
    return KeyFacts(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        scopes=sorted(key.scopes),
        mappings=sorted(settings.sources),
    )
