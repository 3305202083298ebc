"""Who is calling: an API key, checked before a request's body is touched."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import SecretStr

from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ApiKey

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}

# For the API's description alone: the key is read by `presented_key`. The scopes that an operation
# is described with are those of which a key needs one.
_DESCRIBED: Final = (
    Security(HTTPBearer(scheme_name="Bearer", description="The API key.", auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", scheme_name="Header", auto_error=False)),
)
_OPERATOR: Final = Security(
    HTTPBearer(scheme_name="Operator", description="The operator's token.", auto_error=False)
)
_METRICS: Final = Security(
    HTTPBearer(scheme_name="Metrics", description="The token of the metrics.", auto_error=False)
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at figures: a tenant at its own, the operator (None) at those of all."""

    tenant_id: str | None

    def require(self, tenant_id: str) -> None:
        """Raise `ProblemError` 403 for a tenant that is not the viewer's."""
        if self.tenant_id not in (None, tenant_id):
            raise _wrong_tenant()


def presented_key(request: Request) -> str | None:
    """Return the key of `Authorization: Bearer` or `X-API-Key`, None when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key")


async def authenticated(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    _bearer: Annotated[object, _DESCRIBED[0]],
    _header: Annotated[object, _DESCRIBED[1]],
) -> ApiKey:
    """Return the caller's key; 401 without a good one."""
    return await key_of(request, services)


async def key_of(request: Request, services: Services) -> ApiKey:
    """Return the key of a request; raises `ProblemError` 401 when it has no good one."""
    presented = presented_key(request)
    key, control = None, services.control
    if presented is not None and control.is_quick:
        key = control.authenticate(presented)
    elif presented is not None:
        key = await run_in_threadpool(control.authenticate, presented)
    if key is None:
        raise _unauthorized()
    return key


async def may_ingest(
    key: Annotated[ApiKey, Security(authenticated, scopes=["ingest"])],
    tenant_id: Annotated[str, Query(description="The tenant the file belongs to.")],
) -> ApiKey:
    """Return the caller's key when it may write for `tenant_id`; 403 otherwise."""
    _require_tenant(key, tenant_id)
    return require_scope(key, "ingest")


async def may_administer(
    key: Annotated[ApiKey, Security(authenticated, scopes=["admin"])],
    tenant_id: Annotated[str, Path(description="The tenant the key belongs to.")],
) -> ApiKey:
    """Return the caller's key when it may manage `tenant_id`'s keys; 403 otherwise."""
    _require_tenant(key, tenant_id)
    return require_scope(key, "admin")


async def privacy_officer(
    key: Annotated[ApiKey, Security(authenticated, scopes=["privacy"])],
) -> ApiKey:
    """Return the caller's key when it may erase and export people of its tenant; else 403."""
    return require_scope(key, "privacy")


def require_scope(key: ApiKey, scope: str) -> ApiKey:
    """Return the key when it has a scope; raises `ProblemError` 403 otherwise."""
    if scope not in key.scopes:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "missing_scope",
            f"the API key lacks the scope `{scope}`",
            remedy=f"use a key with the scope `{scope}`",
        )
    return key


async def may_see(
    key: Annotated[ApiKey, Security(authenticated, scopes=["ingest", "read"])],
    tenant_id: Annotated[str, Path(description="The tenant the key belongs to.")],
) -> ApiKey:
    """Return the caller's key when it may see what became of `tenant_id`'s data; else 403."""
    _require_tenant(key, tenant_id)
    if not key.scopes & {"ingest", "read"}:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "missing_scope",
            "the API key may not read",
            remedy="use a key with the scope `read` or `ingest`",
        )
    return key


async def may_correct(
    key: Annotated[ApiKey, Security(authenticated, scopes=["ingest"])],
    tenant_id: Annotated[str, Path(description="The tenant the key belongs to.")],
) -> ApiKey:
    """Return the caller's key when it may send rows of `tenant_id` once more; 403 otherwise."""
    _require_tenant(key, tenant_id)
    return require_scope(key, "ingest")


async def may_read_rejects(
    key: Annotated[ApiKey, Security(authenticated, scopes=["quarantine"])],
    tenant_id: Annotated[str, Path(description="The tenant the key belongs to.")],
) -> ApiKey:
    """Return the caller's key when it may have rejected rows as they were sent; 403 otherwise."""
    _require_tenant(key, tenant_id)
    return require_scope(key, "quarantine")


async def metrics_reader(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    _token: Annotated[object, _METRICS],
) -> None:
    """Let only the token of the metrics pass: they tell about every tenant at once."""
    token = services.settings.metrics_token
    if token is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "metrics_closed",
            "the metrics are closed",
            remedy="set ETA_SERVICE_METRICS_TOKEN and send it as a bearer token",
        )
    if not _is_token(request, token):
        raise _unauthorized()


async def viewer(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    _bearer: Annotated[object, _DESCRIBED[0]],
    _header: Annotated[object, _DESCRIBED[1]],
    _token: Annotated[object, _OPERATOR],
) -> Viewer:
    """Return whose figures the caller may see: the operator's token opens all, a key its own.

    The token of the metrics opens none: it lies with who scrapes them.
    """
    if _is_token(request, services.settings.operator_token):
        return Viewer(None)
    key = await key_of(request, services)
    if not key.scopes & {"read", "admin"}:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "missing_scope",
            "the API key may not read",
            remedy="use a key with the scope `read` or `admin`",
        )
    return Viewer(key.tenant_id)


def _is_token(request: Request, token: SecretStr | None) -> bool:
    presented = presented_key(request) or ""
    return token is not None and hmac.compare_digest(
        presented.encode(), token.get_secret_value().encode()
    )


def _require_tenant(key: ApiKey, tenant_id: str) -> None:
    if key.tenant_id != tenant_id:
        raise _wrong_tenant()


def _wrong_tenant() -> ProblemError:
    return ProblemError(
        HTTPStatus.FORBIDDEN,
        "wrong_tenant",
        "the API key belongs to another tenant",
        remedy="send the tenant_id that the key was made for",
    )


def _unauthorized() -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "there is no valid API key in the request",
        remedy="send the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
        headers=_CHALLENGE,
    )
