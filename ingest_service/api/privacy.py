"""Erasing people: a request for up to 10,000 of them, and how far it is."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ingest_service.api.auth import privacy_officer
from ingest_service.api.event_schemas import problem_response
from ingest_service.api.json_body import JsonRoute
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ApiKey, Erasure, ErasureNotFound
from lakehouse.control.erasures import MAX_SUBJECTS
from lakehouse.control.tenants import SettingsHistoryLost
from lakehouse.control.withdrawals import NotOpenError
from lakehouse.privacy.mapping_history import MappingHistory

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: problem_response("No valid API key."),
    403: problem_response("The key may not erase people."),
    413: problem_response("The body is too large."),
    422: problem_response("A parameter is wrong, or the body is not JSON."),
}
_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: problem_response("The tenant has no such erasure.")
}
_WITHDRAWN: Final[dict[int | str, dict[str, Any]]] = {
    **_NOT_FOUND,
    409: problem_response("It has ended, or is being carried out at this moment."),
}

MAX_BYTES: Final = 32 * 1024 * 1024
"""Of a body: 10,000 ids of 512 characters, each of which JSON may write as six."""

router = APIRouter(
    prefix="/v1/privacy/erasures", tags=["privacy"], responses=_PROBLEMS, route_class=JsonRoute
)

Subject = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=512, pattern=r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"
    ),
]
"""With a character that no language takes for white space: not all agree on these. Without a NUL,
which no stored id has."""

Parts = Annotated[Services, Depends(services_of)]


Officer = Annotated[ApiKey, Depends(privacy_officer)]


class ErasureRequest(BaseModel):
    """Whom to erase."""

    model_config = ConfigDict(extra="forbid")

    subjects: list[Subject] = Field(
        min_length=1,
        max_length=MAX_SUBJECTS,
        description="User ids, or anonymous ids, exactly as they were sent with the events.",
    )


class ErasureState(BaseModel):
    """How far an erasure is; times are UTC. It names nobody."""

    request_id: str
    state: str = Field(
        description="pending, running, waiting, needs_attention (tried many times, or for long: "
        "`waits_for` says what to do), completed, withdrawn, or nothing_found: none of "
        "the subjects was anywhere, so nothing was erased and nothing is certified; they stay "
        "suppressed."
    )
    step: str = Field(description="fence, raw, models, stores, proof or done.")
    subject_count: int
    requested_at: datetime
    due_at: datetime
    finished_at: datetime | None
    waits_for: list[str] = Field(description="What it cannot go on without, if it waits.")
    rows_deleted: dict[str, int] = Field(description="Rows per table, as far as it is known.")
    unknown_count: int | None = Field(
        description="How many subjects stand nowhere in the tables; null until that is known."
    )
    certificate: dict[str, Any] | None = Field(
        description="Null until it is completed, and when nothing was found."
    )


class ErasureMade(ErasureState):
    """An erasure that was just asked for."""

    unknown: list[int] | None = Field(
        description="Which subjects stand nowhere in the tables, by their places in the request, "
        "from 0; null when that could not be looked up in time."
    )
    mapped_count: int | None = Field(
        description="How many other ids the tenant's mappings store subjects as (`values`, in any "
        "version): those are erased as well. Null when the history of the settings is damaged; "
        "the erasure then waits for it."
    )


@router.post("", status_code=HTTPStatus.ACCEPTED, max_body_size=MAX_BYTES)
async def request_erasure(
    key: Officer, services: Parts, wanted: ErasureRequest, response: Response
) -> ErasureMade:
    """Suppress people at once, and have them erased within 24 hours.

    From when this is answered, nothing of them is stored any more, by whichever way it comes.
    """
    made = await run_in_threadpool(
        services.control.erasures.request, key.tenant_id, wanted.subjects, by=f"key:{key.key_id}"
    )
    response.headers["Location"] = f"{router.prefix}/{made.request_id}"
    mapped = await run_in_threadpool(_mapped_count, services, key.tenant_id, wanted.subjects)
    stored = await services.lookup.of(key.tenant_id, wanted.subjects)
    if stored is None:
        return ErasureMade(**dict(_state(made)), unknown=None, mapped_count=mapped)
    unknown = [place for place, one in enumerate(wanted.subjects) if one not in stored]
    state = _state(made).model_copy(
        update={"unknown_count": len({wanted.subjects[place] for place in unknown})}
    )
    return ErasureMade(**dict(state), unknown=unknown, mapped_count=mapped)


@router.get("/{request_id}", responses=_NOT_FOUND)
async def see_erasure(
    request_id: Annotated[str, Path(max_length=64, description="The erasure's id.")],
    key: Officer,
    services: Parts,
) -> ErasureState:
    """Say how far an erasure is, with its certificate once it is completed."""
    try:
        found = await run_in_threadpool(services.control.erasures.get, request_id, key.tenant_id)
    except ErasureNotFound as error:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "unknown_erasure", error.message, remedy=error.remedy
        ) from None
    return _state(found)


@router.post("/{request_id}/withdraw", responses=_WITHDRAWN)
async def withdraw_erasure(
    request_id: Annotated[str, Path(max_length=64, description="The erasure's id.")],
    key: Officer,
    services: Parts,
) -> ErasureState:
    """End an erasure that is not completed: its people may be stored again.

    Unless another request is about them. What was deleted already stays deleted.
    """
    try:
        found = await run_in_threadpool(
            services.control.erasures.withdraw,
            request_id,
            key.tenant_id,
            by=f"key:{key.key_id}",
        )
    except ErasureNotFound as error:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "unknown_erasure", error.message, remedy=error.remedy
        ) from None
    except NotOpenError as error:
        raise ProblemError(
            HTTPStatus.CONFLICT, "erasure_not_open", error.message, remedy=error.remedy
        ) from None
    return _state(found)


def _mapped_count(services: Services, tenant_id: str, subjects: list[str]) -> int | None:
    try:
        return len(MappingHistory.read(services.control, tenant_id).stored_as(subjects))
    except SettingsHistoryLost:
        return None


def _state(found: Erasure) -> ErasureState:
    return ErasureState(
        request_id=found.request_id,
        state=found.state,
        step=found.step,
        subject_count=found.subject_count,
        requested_at=found.requested_at,
        due_at=found.due_at,
        finished_at=found.finished_at,
        waits_for=list(found.waits_for),
        rows_deleted={**found.notes.get("raw_rows", {}), **found.notes.get("derived_rows", {})},
        unknown_count=found.notes.get("unknown"),
        certificate=None if found.certificate is None else dict(found.certificate),
    )
