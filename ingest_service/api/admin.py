"""A tenant's keys and audit log, for its own keys with the scope `admin`."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ingest_service.api.auth import may_administer
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.json_body import JsonRoute
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ApiKey, KeyNotFound, ScopeNotHeld
from lakehouse.errors import EtaError

Scope = Literal["ingest", "read", "quarantine", "admin", "privacy"]

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: problem_response("No valid API key."),
    403: problem_response("The key is another tenant's, or may not administer."),
    404: problem_response("The tenant has no such key."),
    409: problem_response("The key is revoked already."),
    413: problem_response("The body is too large."),
    422: problem_response("A parameter is wrong, or the body is not JSON."),
}

MAX_BYTES: Final = 16 * 1024
"""Of a body: a few words."""

router = APIRouter(
    prefix="/v1/tenants/{tenant_id}",
    tags=["administration"],
    responses=_PROBLEMS,
    route_class=JsonRoute,
)

KeyId = Annotated[str, Path(max_length=64, description="The key's id, not its secret.")]
Admin = Annotated[ApiKey, Depends(may_administer)]
Parts = Annotated[Services, Depends(services_of)]


class KeyRequest(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    scopes: list[Scope] = Field(["ingest"], min_length=1, max_length=4)


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


class Rotation(BaseModel):
    """How long the old key stays good beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: Annotated[int, BeforeValidator(_no_boolean)] = Field(24, ge=0, le=24 * 90)


class MadeKey(BaseModel):
    """A key just made; its secret is shown this once."""

    key_id: str
    secret: str


class Key(BaseModel):
    """What is known of a key; times are UTC, the last use exact to a minute."""

    model_config = ConfigDict(from_attributes=True)

    key_id: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyList(BaseModel):
    """A tenant's keys, oldest first, the revoked ones too."""

    keys: list[Key]


class Deed(BaseModel):
    """One entry of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """What was done to the tenant, its keys and its webhook sources, newest first."""

    entries: list[Deed]


@router.get("/keys")
async def list_keys(key: Admin, services: Parts) -> KeyList:
    """Return the tenant's keys, without their secrets."""
    found = await run_in_threadpool(services.control.keys.list, key.tenant_id)
    return KeyList(keys=[Key.model_validate(record) for record in found])


@router.post("/keys", status_code=HTTPStatus.CREATED, max_body_size=MAX_BYTES)
async def create_key(key: Admin, services: Parts, wanted: KeyRequest) -> MadeKey:
    """Make a key; this is the only time its secret can be read."""
    try:
        made = await run_in_threadpool(
            services.control.keys.create,
            key.tenant_id,
            frozenset(wanted.scopes),
            by=_actor(key),
            granted_by=key.scopes,
        )
    except ScopeNotHeld as error:
        raise _not_held(error) from None
    return MadeKey(key_id=made.key_id, secret=made.secret)


@router.post("/keys/{key_id}/rotate", status_code=HTTPStatus.CREATED, max_body_size=MAX_BYTES)
async def rotate_key(key_id: KeyId, key: Admin, services: Parts, wanted: Rotation) -> MadeKey:
    """Make a key of the same scopes; the old one is refused when the overlap is over."""
    overlap = timedelta(hours=wanted.overlap_hours)
    try:
        made = await run_in_threadpool(
            services.control.keys.rotate,
            key_id,
            overlap,
            tenant_id=key.tenant_id,
            by=_actor(key),
            granted_by=key.scopes,
        )
    except KeyNotFound as error:
        raise _not_found(error) from None
    except ScopeNotHeld as error:
        raise _not_held(error) from None
    except EtaError as error:
        status, code = HTTPStatus.CONFLICT, "key_revoked"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None
    return MadeKey(key_id=made.key_id, secret=made.secret)


@router.delete("/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyId, key: Admin, services: Parts) -> None:
    """Refuse a key from now on."""
    try:
        await run_in_threadpool(
            services.control.keys.revoke, key_id, tenant_id=key.tenant_id, by=_actor(key)
        )
    except KeyNotFound as error:
        raise _not_found(error) from None


@router.get("/audit-log")
async def audit_log(
    key: Admin, services: Parts, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> AuditPage:
    """Return what was done to the tenant, its keys and its webhook sources."""
    found = await run_in_threadpool(services.control.audit.list, key.tenant_id, limit=limit)
    return AuditPage(entries=[Deed.model_validate(entry) for entry in found])


def _actor(key: ApiKey) -> str:
    return f"key:{key.key_id}"


def _not_held(error: ScopeNotHeld) -> ProblemError:
    status, code = HTTPStatus.FORBIDDEN, "missing_scope"
    return ProblemError(status, code, error.message, remedy=error.remedy)


def _not_found(error: KeyNotFound) -> ProblemError:
    status, code = HTTPStatus.NOT_FOUND, "unknown_key"
    return ProblemError(status, code, error.message, remedy=error.remedy)
