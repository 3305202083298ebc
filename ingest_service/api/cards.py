"""The card of a training set or an evaluation snapshot: what it holds, for whoever is handed one.

A card is made by `eta training card` and `eta evaluation card`, which read the rows; here one that
is kept is shown. Its texts are escaped when it is written as a page, and the page may load and run
nothing.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.auth import Viewer, viewer
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.contracts.tenant import TENANT_ID_PATTERN
from lakehouse.errors import EtaError
from lakehouse.training.card.blocks import Card
from lakehouse.training.card.document import card_document
from lakehouse.training.card.html import card_html
from lakehouse.training.card.markdown import card_markdown
from lakehouse.training.snapshots import DamagedSnapshotError, SnapshotKind

JSON: Final = "application/json"
WRITERS: Final[Mapping[str, Callable[[Card], str | bytes]]] = {
    JSON: card_document,
    "text/html": card_html,
    "text/markdown": card_markdown,
}
"""What a card can be had as; the first is what a program gets that does not care."""

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The card.",
        "content": {JSON: {"schema": {"type": "object"}}, "text/html": {}, "text/markdown": {}},
    },
    401: problem_response("No valid API key."),
    403: problem_response("The key may not read."),
    404: problem_response("There is no such snapshot, or no card of it is kept."),
    406: problem_response("A card is JSON, HTML or Markdown."),
    500: problem_response("What the lake keeps of the snapshot is damaged; the answer names it."),
}

router = APIRouter(prefix="/v1", tags=["training sets"])

SnapshotPath = Annotated[str, Path(max_length=100, description="A snapshot's id, or `current`.")]
TenantQuery = Annotated[
    str | None,
    Query(
        description="Whose; by default the key's own tenant.",
        json_schema_extra={"pattern": TENANT_ID_PATTERN},
    ),
]
Who = Annotated[Viewer, Security(viewer, scopes=["read", "admin"])]
Parts = Annotated[Services, Depends(services_of)]


@router.get("/training/cards/{snapshot}", responses=_RESPONSES, response_class=Response)
async def card(
    request: Request,
    who: Who,
    services: Parts,
    snapshot: SnapshotPath,
    tenant_id: TenantQuery = None,
) -> Response:
    """Give the card of a training set: as JSON, HTML or Markdown."""
    return await _answer(request, who, services, "training", snapshot, tenant_id)


@router.get("/evaluation/cards/{snapshot}", responses=_RESPONSES, response_class=Response)
async def evaluation_card(
    request: Request,
    who: Who,
    services: Parts,
    snapshot: SnapshotPath,
    tenant_id: TenantQuery = None,
) -> Response:
    """Give the card of an evaluation snapshot: as JSON, HTML or Markdown."""
    return await _answer(request, who, services, "evaluation", snapshot, tenant_id)


async def _answer(
    request: Request,
    who: Viewer,
    services: Services,
    kind: SnapshotKind,
    snapshot: str,
    tenant_id: str | None,
) -> Response:
    owner = who.tenant_id if tenant_id is None else tenant_id
    if owner is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "no_tenant",
            "the operator's token belongs to no tenant",
            remedy="say whose card it is: ?tenant_id=…",
        )
    who.require(owner)
    media_type = _wanted(request.headers.getlist("accept"))
    body = await run_in_threadpool(_written, services, owner, kind, snapshot, media_type)
    return Response(body, media_type=media_type, headers={"Vary": "Accept"})


def _written(
    services: Services, tenant_id: str, kind: SnapshotKind, snapshot: str, media_type: str
) -> str | bytes:
    try:
        found = services.card(tenant_id, kind, snapshot)
    except DamagedSnapshotError as error:
        raise ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "damaged_snapshot",
            error.message,
            remedy=error.remedy,
        ) from None
    except EtaError as error:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "no_snapshot", error.message, remedy=error.remedy
        ) from None
    if found is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "no_card",
            "no card of this snapshot is kept",
            remedy=f"have one made: `eta {kind} card {tenant_id} {snapshot}`",
        )
    return WRITERS[media_type](found)


def _wanted(accepted: list[str]) -> str:
    """Return the type that the caller likes best; raises `ProblemError` (406) if none is."""
    best, found = 0.0, None
    ranges = [_range(part) for line in accepted for part in line.split(",") if part.strip()]
    for media_type in WRITERS:
        wild = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        told = [weight for name in wild for kind, weight in ranges if kind == name]
        liking = told[0] if told else 0.0
        if liking > best:
            best, found = liking, media_type
    if not ranges:
        return JSON
    if found is None:
        raise ProblemError(
            HTTPStatus.NOT_ACCEPTABLE,
            "not_acceptable",
            "a card cannot be had as that",
            remedy=f"accept one of {', '.join(WRITERS)}",
        )
    return found


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return kind, min(1.0, float(weight))
    except ValueError:
        return kind, 0.0
