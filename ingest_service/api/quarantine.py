"""The rejected rows of a tenant: how many by reason, as they were sent, and once more.

A key that ingests may count them and send corrected ones. It cannot read back what was sent: who
downloads rows has people's data in hand, which takes a scope that no key has unless it is given.
"""

from asyncio import Semaphore
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ingest_service.api.auth import may_correct, may_read_rejects, may_see
from ingest_service.api.body import announced_length, received
from ingest_service.api.event_schemas import problem_response, waiting_response
from ingest_service.api.events import settings_of
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.api.uploads import file_body
from ingest_service.readers.quarantined import EditedRows, read_edited
from ingest_service.rejects import Rejects
from ingest_service.sources.replay import ReplayedBatch
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.control.database import ApiKey
from lakehouse.errors import EtaError
from lakehouse.storage.faults import StorageError
from lakehouse.storage.quarantine import OWN_COLUMNS

MOST_CORRECTED: Final = 32 * 1024 * 1024
"""Bytes of corrected rows in one request: they are held in memory."""
_PIECE: Final = 256 * 1024
"""Bytes of a download per piece."""

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: problem_response("No valid API key."),
    403: problem_response("The key is another tenant's, or lacks the scope."),
    422: problem_response("A parameter is wrong."),
}
_CORRECTIONS: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response("The corrected rows cannot be read; nothing was replayed."),
    408: problem_response("The body came too slowly."),
    413: problem_response("The corrected rows are too many for one request."),
    415: problem_response("The body is of no known type."),
    429: waiting_response("Too many uploads at once, or bytes today."),
    503: problem_response("Not possible now."),
    507: problem_response("No room on the service's disk."),
}
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": f"{', '.join(OWN_COLUMNS)}, then the columns of the file.",
        "content": {"text/csv": {}},
    },
    400: problem_response("The batch's rows have different columns."),
}
_DESCRIBED: Final = "A download of `rows.csv` with corrected values; lines may be left out."

BatchId = Annotated[
    str, Query(pattern=r"^[A-Za-z0-9._:-]{1,300}$", description="The batch the rows came in.")
]
OneBatch = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9._:-]{1,300}$", description="Only this batch.")
]
Code = Annotated[str | None, Query(max_length=100, description="Only rows with this reason.")]
MappingName = Annotated[
    str | None,
    Query(description="Read the rows with this source mapping of the tenant, not with their own."),
]
Parts = Annotated[Services, Depends(services_of)]
Corrector = Annotated[ApiKey, Depends(may_correct)]


class RejectReason(BaseModel):
    """How many open rows have a reason; a row with several is in several counts."""

    data_type: str
    code: str
    field: str
    rows: int
    batches: int
    meaning: str | None = Field(description="What the code means; null for an unknown one.")
    remedy: str | None = Field(description="What the sender can do.")


class RejectBatch(BaseModel):
    """A batch with open rows."""

    model_config = ConfigDict(from_attributes=True)

    batch_id: str
    data_type: str
    source: str
    rows: int


class RejectCounts(BaseModel):
    """The tenant's open rejected rows, or those of one batch."""

    rows: int
    reasons: list[RejectReason] = Field(description="The most frequent first.")
    batches: list[RejectBatch] = Field(description="The newest first, 1,000 at most.")


class BatchReplayed(BaseModel):
    """What a replay made of a batch; tried = stored + duplicate + suppressed + still_open."""

    model_config = ConfigDict(from_attributes=True)

    batch_id: str
    tried: int
    stored: int
    duplicate: int
    suppressed: int
    still_open: int
    still_open_by_code: dict[str, int] = Field(description="Counts reasons, not rows.")
    refusal: str | None = Field(description="Why none could be tried.")


class Replayed(BaseModel):
    """What became of the rows of each batch."""

    batches: list[BatchReplayed]
    rows_given: int | None = Field(description="Corrected rows that were sent; null for none.")
    not_open: int = Field(
        description="Corrected rows that are in quarantine no more, or never were: not taken in."
    )


def router(turns: Semaphore) -> APIRouter:
    """Return the routes; rows are taken in again in turn with uploads."""
    routes = APIRouter(
        prefix="/v1/tenants/{tenant_id}/ingest/quarantine",
        tags=["quarantine"],
        responses=_PROBLEMS,
    )

    @routes.get("")
    async def count_rejects(
        key: Annotated[ApiKey, Depends(may_see)], services: Parts, batch_id: OneBatch = None
    ) -> RejectCounts:
        """Say how many rejected rows are open, by reason and by batch."""
        return _counts(await run_in_threadpool(services.rejects.count, key.tenant_id, batch_id))

    @routes.get("/rows.csv", response_class=StreamingResponse, responses=_CSV)
    async def rejected_rows(
        key: Annotated[ApiKey, Depends(may_read_rejects)],
        services: Parts,
        batch_id: BatchId,
        code: Code = None,
    ) -> StreamingResponse:
        """Return a batch's open rows as they were sent, each with its line and reasons.

        It is in the audit log before the first byte is sent. Correct values there, keep the first
        three columns, and send it to `corrections`.
        """
        file = await run_in_threadpool(_rows_file, services, key, batch_id, code)
        headers = {"Content-Disposition": 'attachment; filename="rejected-rows.csv"'}
        return StreamingResponse(_pieces(file), headers=headers, media_type="text/csv")

    @routes.post("/replay")
    async def replay_rejects(
        key: Corrector,
        services: Parts,
        batch_id: OneBatch = None,
        mapping: MappingName = None,
    ) -> Replayed:
        """Try open rows again under the tenant's present settings; each row lands once."""
        async with turns:
            found = await run_in_threadpool(
                services.rejects.replay, key.tenant_id, batch_id, mapping, None
            )
        return _replayed(found, None)

    @routes.post("/corrections", openapi_extra=file_body(_DESCRIBED), responses=_CORRECTIONS)
    async def correct_rejects(
        request: Request, key: Corrector, services: Parts, mapping: MappingName = None
    ) -> Replayed:
        """Take in rejected rows as somebody corrected them; each row lands once."""
        edited = await _edited(request, services, key.tenant_id)
        async with turns:
            found = await run_in_threadpool(
                services.rejects.replay, key.tenant_id, None, mapping, edited
            )
        return _replayed(found, len(edited.values))

    return routes


def _counts(found: Rejects) -> RejectCounts:
    known = {code.value: EXPLANATIONS[code] for code in ReasonCode}
    reasons = [
        RejectReason(
            data_type=one.data_type,
            code=one.code,
            field=one.field,
            rows=one.rows,
            batches=one.batches,
            meaning=known[one.code].meaning if one.code in known else None,
            remedy=known[one.code].remedy if one.code in known else None,
        )
        for one in found.reasons
    ]
    batches = [RejectBatch.model_validate(one) for one in found.batches]
    return RejectCounts(rows=found.rows, reasons=reasons, batches=batches)


def _replayed(found: list[ReplayedBatch], given: int | None) -> Replayed:
    tried = sum(batch.tried for batch in found)
    return Replayed(
        batches=[BatchReplayed.model_validate(batch) for batch in found],
        rows_given=given,
        not_open=0 if given is None else given - tried,
    )


def _rows_file(services: Services, key: ApiKey, batch_id: str, code: str | None) -> BinaryIO:
    """Return the rows in an open file that has no name any more: it ends with its reader."""
    by = f"key:{key.key_id}"
    services.control.disclosures.note_rejects(key.tenant_id, batch_id, by=by)
    with services.spool.file(key.tenant_id) as spooled:
        try:
            count = services.rejects.lines(key.tenant_id, batch_id, code, spooled.write)
        except StorageError:
            raise
        except EtaError as error:
            status, problem = HTTPStatus.BAD_REQUEST, "different_columns"
            raise ProblemError(status, problem, error.message, remedy=error.remedy) from None
        if not count:
            spooled.write((",".join(OWN_COLUMNS) + "\n").encode())
        return spooled.path.open("rb")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


async def _edited(request: Request, services: Services, tenant_id: str) -> EditedRows:
    settings = await settings_of(services, tenant_id)
    announced = announced_length(request, services.settings.max_upload_bytes)
    with services.uploads.upload(tenant_id, settings.quotas, announced) as count:
        total = 0

        def count_all(size: int) -> None:
            nonlocal total
            total += size
            if total > MOST_CORRECTED:
                raise _too_many()
            count(size)

        async with received(request, services, tenant_id, count_all) as file:
            return await run_in_threadpool(_read, file.path)


def _read(path: FilePath) -> EditedRows:
    if path.stat().st_size > MOST_CORRECTED:  # it was packed
        raise _too_many()
    try:
        return read_edited(path)
    except EtaError as error:
        status, code = HTTPStatus.BAD_REQUEST, "bad_corrections"
        raise ProblemError(status, code, error.message, remedy=error.remedy) from None


def _too_many() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the corrected rows are larger than {MOST_CORRECTED:,} bytes",
        remedy="send them in parts, each with the header, or have the operator run "
        "`eta quarantine fix --tenant TENANT --rows FILE`",
    )
