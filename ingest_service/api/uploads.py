"""CSV uploads over HTTP."""

from asyncio import Semaphore
from http import HTTPStatus
from time import perf_counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from ingest_service.api.auth import may_ingest
from ingest_service.api.models import UploadInvalid, UploadStored, upload_result
from ingest_service.api.multipart import spool_part
from ingest_service.api.parameters import UploadParameters
from ingest_service.api.problems import MEDIA_TYPE, ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.batch import CsvUpload
from ingest_service.report import IngestReport
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import SourceMapping, TenantSettings
from lakehouse.control.database import ApiKey
from lakehouse.errors import EtaError

JOB_KIND: Final = "upload-csv"

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV (RFC 4180) with a header.",
                        }
                    },
                }
            }
        },
    }
}
_PROBLEM: Final[dict[str, Any]] = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The file or the body cannot be read; nothing is stored.", **_PROBLEM},
    401: {"description": "No valid API key.", **_PROBLEM},
    403: {"description": "The key is another tenant's, or may not ingest.", **_PROBLEM},
    413: {"description": "The body is too large.", **_PROBLEM},
    415: {"description": "The body is no multipart form.", **_PROBLEM},
    422: {"description": "A parameter is missing or wrong.", **_PROBLEM},
    503: {"description": "Not possible now; nothing is stored.", **_PROBLEM},
}


def router(parallel_uploads: int) -> APIRouter:
    """Return the upload routes; at most `parallel_uploads` files are read at the same time."""
    routes = APIRouter(prefix="/internal/data", tags=["uploads"])
    turns = Semaphore(parallel_uploads)

    @routes.post("/upload-csv", openapi_extra=_BODY, responses=_PROBLEMS)
    async def upload_csv(
        request: Request,
        key: Annotated[ApiKey, Depends(may_ingest)],
        services: Annotated[Services, Depends(services_of)],
        parameters: Annotated[UploadParameters, Query()],
    ) -> UploadStored | UploadInvalid:
        """Take in a CSV file: all of it, or with a wrong row what `on_error` says.

        Sending a file again stores nothing twice.
        """
        settings = await run_in_threadpool(services.control.tenant_settings, key.tenant_id)
        chosen = _mapping(settings, parameters.mapping)
        with services.spool.file() as spooled:
            limit = services.settings.max_upload_bytes
            services.metrics.bytes.inc(await spool_part(request, "file", spooled, limit))
            upload = CsvUpload(
                spooled.path,
                key.tenant_id,
                parameters.data_type,
                chosen,
                settings,
                services.new_batch_id(),
                parameters.on_error,
                parameters.mapping or "default",
                parameters.encoding,
                parameters.delimiter,
            )
            async with turns:
                report = await run_in_threadpool(_run, services, upload)
        return upload_result(report)

    return routes


def _mapping(settings: TenantSettings, name: str | None) -> SourceMapping:
    try:
        return settings.mapping(name)
    except EtaError as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "unknown_mapping", error.message, remedy=error.remedy
        ) from None


def _run(services: Services, upload: CsvUpload) -> IngestReport:
    """Read a spooled file as a job whose end is always recorded."""
    jobs = services.control.jobs
    job = jobs.start(upload.tenant_id, JOB_KIND, upload.batch_id)
    started = perf_counter()
    try:
        report = services.ingest.ingest_csv(upload)
    except FileRefusedError as error:
        jobs.finish(job, "refused", {"code": error.code.value, "line": error.line})
        raise
    except BaseException as error:
        jobs.finish(job, "failed", {"error": type(error).__qualname__})
        raise
    services.metrics.observe(upload.data_type, report, perf_counter() - started)
    if report.is_stored:
        jobs.finish(
            job,
            "succeeded",
            upload_result(report).model_dump(exclude={"s3_path", "errors", "warnings"}),
        )
    else:
        jobs.finish(job, "refused", {"errors_by_code": dict(report.errors.by_code)})
    return report
