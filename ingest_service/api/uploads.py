"""Uploads of files over HTTP."""

from asyncio import Semaphore
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from ingest_service.api.auth import may_ingest
from ingest_service.api.body import MAPPING_PART, MOST_MAPPING, PART, announced_length, received
from ingest_service.api.event_schemas import waiting_response
from ingest_service.api.events import settings_of
from ingest_service.api.idempotency import (
    REPLAYED,
    KeyHeader,
    claim_of,
    limits_of,
    still_running,
)
from ingest_service.api.models import (
    UploadInvalid,
    UploadJob,
    UploadStored,
    job_body,
    job_url,
)
from ingest_service.api.pace import going_down
from ingest_service.api.problems import MEDIA_TYPE, ProblemError
from ingest_service.api.sent_mapping import sent_mapping
from ingest_service.api.services import Services, services_of
from ingest_service.api.work import Answer, StoppedError, run_upload, until_stopped
from ingest_service.api.worker import UploadWorker
from ingest_service.sources.uploads.orders import UploadOrder, UploadParameters
from ingest_service.sources.uploads.spool import SpoolFile
from lakehouse.contracts.tenant import FileFormat, SourceMapping, TenantSettings
from lakehouse.control.database import Accepted, ApiKey, IdempotencyKey, Job, Work
from lakehouse.errors import EtaError

_PACKED: Final = "may be gzip, zstd, bzip2, xz or a zip archive of that one file"
_PROBLEM: Final[dict[str, Any]] = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The file or the body cannot be read; nothing is stored.", **_PROBLEM},
    401: {"description": "No valid API key.", **_PROBLEM},
    403: {"description": "The key is another tenant's, or may not ingest.", **_PROBLEM},
    409: {"description": "A request of the same Idempotency-Key is worked on.", **_PROBLEM},
    413: {"description": "The body, or what it unpacks to, is too large.", **_PROBLEM},
    408: {"description": "The body came too slowly.", **_PROBLEM},
    415: {"description": "The body is of no known type.", **_PROBLEM},
    422: {"description": "A parameter is wrong, or the Idempotency-Key was reused.", **_PROBLEM},
    429: waiting_response("Too many uploads at once, bytes today, or Idempotency-Keys."),
    503: {"description": "Not possible now; not acknowledged.", **_PROBLEM},
    507: {"description": "No room on the service's disk; not acknowledged.", **_PROBLEM},
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Read to its end.", "model": UploadStored | UploadInvalid},
    202: {"description": "Kept; a job reads it (`async`).", "model": UploadJob},
    **PROBLEMS,
}


Format = Annotated[
    FileFormat, Query(alias="format", description="What the file is; told from its content.")
]
SheetName = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        description="Of a workbook, the sheet to read: its name, or its number from 1.",
    ),
]


def file_body(description: str, *, takes_mapping: bool = False) -> dict[str, Any]:
    """Return how OpenAPI shows a request that carries a file, and perhaps a mapping beside it."""
    parts: dict[str, Any] = {
        PART: {"type": "string", "format": "binary", "description": description}
    }
    if takes_mapping:
        parts[MAPPING_PART] = {
            "type": "string",
            "maxLength": MOST_MAPPING,
            "contentMediaType": "application/json",
            "description": "A source mapping as settings have it, for this file alone.",
        }
    form = {"type": "object", "required": [PART], "properties": parts}
    content = {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


@dataclass(frozen=True, slots=True)
class Intake:
    """What all upload routes do with a request; files are read in turns."""

    turns: Semaphore
    worker: UploadWorker

    async def take_in(
        self,
        request: Request,
        key: ApiKey,
        services: Services,
        order: UploadOrder,
        idempotency_key: str | None,
    ) -> JSONResponse:
        """Keep the file that a request carries, and read it now or leave it to the worker."""
        settings = await settings_of(services, key.tenant_id)
        named_mapping(settings, order.parameters.mapping)
        announced = announced_length(request, services.settings.max_upload_bytes)
        with services.uploads.upload(key.tenant_id, settings.quotas, announced) as count:
            reading = received(request, services, key.tenant_id, count, takes_mapping=True)
            async with reading as file:
                mapping = sent_mapping(file.mapping_text, order.parameters.mapping)
                sent = {
                    "declared_charset": file.charset,
                    "named": file.named,
                    "mapping_settings": mapping,
                }
                order = order.model_copy(update=sent)
                claim = await run_in_threadpool(claim_of, idempotency_key, order, file)
                accepted = await run_in_threadpool(_accept, services, key, order, file, claim)
                if accepted.outcome == "busy":
                    raise still_running()
                if accepted.outcome == "known":
                    return _known(accepted.job)
                if order.parameters.is_async:
                    file.keep()
                    self.worker.add(accepted.job.job_id)
                    return _taken_in(accepted.job)
                with services.control.queue.running(accepted.job.job_id):
                    answer = await self._run(
                        services, accepted, file, keeps_answer=claim is not None
                    )
        return _answer(answer.status, answer.body)

    async def _run(
        self, services: Services, accepted: Accepted, file: SpoolFile, *, keeps_answer: bool
    ) -> Answer:
        """Read a file when its turn comes; the service may go down meanwhile."""
        async with self.turns:
            try:
                return await run_in_threadpool(
                    run_upload,
                    services,
                    accepted.job,
                    file.path,
                    is_repeat=accepted.outcome == "again",
                    keeps_answer=keeps_answer,
                    keeps_whole=accepted.keeps_whole,
                    watch=until_stopped(services),
                )
            except StoppedError:
                raise going_down() from None


def router(intake: Intake) -> APIRouter:
    """Return the upload routes."""
    routes = APIRouter(prefix="/internal/data", tags=["uploads"])

    @routes.post(
        "/upload-csv",
        openapi_extra=file_body(f"CSV (RFC 4180) with a header; {_PACKED}.", takes_mapping=True),
        responses=_RESPONSES,
    )
    async def upload_csv(
        request: Request,
        key: Annotated[ApiKey, Depends(may_ingest)],
        services: Annotated[Services, Depends(services_of)],
        parameters: Annotated[UploadParameters, Query()],
        idempotency_key: KeyHeader = None,
    ) -> JSONResponse:
        """Take in a CSV file: all of it, or with a wrong row what `on_error` says.

        Sending a file again stores nothing twice.
        """
        order = UploadOrder(parameters=parameters, format=FileFormat.CSV)
        return await intake.take_in(request, key, services, order, idempotency_key)

    @routes.post(
        "/upload-json",
        openapi_extra=file_body(
            f"An array of objects, or one object per line; {_PACKED}.", takes_mapping=True
        ),
        responses=_RESPONSES,
    )
    async def upload_json(
        request: Request,
        key: Annotated[ApiKey, Depends(may_ingest)],
        services: Annotated[Services, Depends(services_of)],
        parameters: Annotated[UploadParameters, Query()],
        idempotency_key: KeyHeader = None,
    ) -> JSONResponse:
        """Take in a JSON file, as `upload-csv` does a CSV file."""
        order = UploadOrder(parameters=parameters, format=FileFormat.JSON)
        return await intake.take_in(request, key, services, order, idempotency_key)

    @routes.post(
        "/uploads",
        openapi_extra=file_body(
            f"CSV, JSON, a sheet of an Excel workbook (.xlsx), Parquet or an Avro file; {_PACKED}.",
            takes_mapping=True,
        ),
        responses=_RESPONSES,
    )
    async def upload_any(
        request: Request,
        key: Annotated[ApiKey, Depends(may_ingest)],
        services: Annotated[Services, Depends(services_of)],
        parameters: Annotated[UploadParameters, Query()],
        file_format: Format = FileFormat.AUTO,
        sheet: SheetName = None,
        idempotency_key: KeyHeader = None,
    ) -> JSONResponse:
        """Take in a file of any format that is read, as `upload-csv` does a CSV file.

        What it is is told from its content; a name or type that says otherwise is a warning.
        """
        order = UploadOrder(parameters=parameters, format=file_format, sheet=sheet)
        return await intake.take_in(request, key, services, order, idempotency_key)

    return routes


def _accept(
    services: Services,
    key: ApiKey,
    order: UploadOrder,
    file: SpoolFile,
    claim: IdempotencyKey | None,
) -> Accepted:
    spool_name = None
    if order.parameters.is_async:
        file.sync()
        spool_name = file.name
    work = Work(
        key.tenant_id,
        f"upload-{order.format}",
        services.new_batch_id(),
        order.model_dump(mode="json"),
        spool_name,
    )
    return services.control.queue.accept(work, claim, limits_of(services.settings))


def _known(job: Job) -> JSONResponse:
    """Answer a repeated request as the first one was."""
    if job.result is None:
        return _taken_in(job, REPLAYED)
    if job.request is not None and job.spool_name is not None:
        return _taken_in(job, REPLAYED)
    return _answer(job.result["status"], job.result["body"], REPLAYED)


def _taken_in(job: Job, headers: dict[str, str] | None = None) -> JSONResponse:
    body = job_body(job).model_dump(mode="json")
    return JSONResponse(body, HTTPStatus.ACCEPTED, {"Location": job_url(job), **(headers or {})})


def _answer(
    status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> JSONResponse:
    media_type = "application/json" if status < HTTPStatus.BAD_REQUEST else MEDIA_TYPE
    return JSONResponse(body, status, headers, media_type)


def named_mapping(settings: TenantSettings, name: str | None) -> SourceMapping:
    """Return a tenant's mapping; raises `ProblemError` 400 when it has none of that name."""
    try:
        return settings.source(name)
    except EtaError as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "unknown_mapping", error.message, remedy=error.remedy
        ) from None
