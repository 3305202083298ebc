"""Runs an upload as a job whose end, and answer, are always recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, Final

from ingest_service.api.idempotency import kept_answer
from ingest_service.api.models import upload_result
from ingest_service.api.problems import body_of
from ingest_service.api.services import Services
from ingest_service.sources.uploads.orders import UploadOrder
from ingest_service.sources.uploads.upload import FileUpload, Watch, unwatched
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.control.database import Job
from lakehouse.errors import EtaError
from lakehouse.storage.faults import Fault, fault_of

REPORT_SECONDS: Final = 1.0
_LISTS: Final = ("errors", "warnings")
_DISKS: Final[dict[Fault, str]] = {"full": "full", "read_only": "read-only"}
_FAILED: Final = "send the file again: rows that were stored are not stored twice"
_STOPPED: Final = {"error": "the service was stopped", "remedy": _FAILED}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told at the end: an HTTP status and a body."""

    status: int
    body: dict[str, Any]


class StoppedError(EtaError):
    """The service is going down; the job is left for its next start."""


def run_upload(
    services: Services,
    job: Job,
    path: Path,
    *,
    is_repeat: bool,
    keeps_answer: bool,
    keeps_whole: bool = True,
    watch: Watch = unwatched,
) -> Answer:
    """Take in a spooled file and end its job.

    `is_repeat`: an attempt before may have stored the batch. `keeps_answer`: the answer may be
    asked for again, so the job keeps all of it that there is room for (`keeps_whole`). What
    prevents an answer is raised, after the job has been ended as failed; a `StoppedError` leaves
    a job running that can be run again.
    """
    queue = services.control.queue
    try:
        answer, state = _ingest(services, job, path, watch, is_repeat=is_repeat)
    except StoppedError:
        if job.spool_name is None:
            queue.finish(job.job_id, "failed", _STOPPED)
        raise
    except BaseException as error:
        failure = {"error": type(error).__qualname__, "remedy": _FAILED}
        fault = fault_of(error)
        if fault is not None:
            failure |= {
                "code": f"storage_{fault}",
                "error": f"the service's disk is {_DISKS[fault]}",
            }
        queue.finish(job.job_id, "failed", failure)
        raise
    told = without_samples(answer.body)
    if keeps_answer:
        kept = kept_answer(services, answer.status, told, _LISTS, whole=keeps_whole)
    else:
        body = {name: value for name, value in told.items() if name not in _LISTS}
        kept = {"status": answer.status, "body": body}
    queue.finish(job.job_id, state, kept)
    return answer


def without_samples(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without text of the file, which may name a person and must not be kept."""
    if "candidates" not in body:
        return body
    return {**body, "candidates": [{"encoding": one["encoding"]} for one in body["candidates"]]}


def until_stopped(services: Services) -> Watch:
    """Return what ends the reading of a file that somebody waits for when the service goes down."""

    def watch(bytes_read: int, rows: int) -> None:  # noqa: ARG001
        if services.stopping.has_no_time_for_files:
            raise StoppedError("the service is going down", remedy=_FAILED)

    return watch


def progress_of(services: Services, job: Job, total: int, is_stopping: Callable[[], bool]) -> Watch:
    """Return what tells a job's progress, about once a second, and stops it when asked to."""
    last = monotonic()

    def watch(bytes_read: int, rows: int) -> None:
        nonlocal last
        if is_stopping():
            raise StoppedError("the service is stopping", remedy="start it again")
        if monotonic() - last >= REPORT_SECONDS:
            last = monotonic()
            progress = {"bytes_read": bytes_read, "bytes_total": total, "rows_read": rows}
            services.control.queue.report(job.job_id, progress)

    return watch


def _ingest(
    services: Services, job: Job, path: Path, watch: Watch, *, is_repeat: bool
) -> tuple[Answer, str]:
    order = UploadOrder.model_validate(job.request)
    started = perf_counter()
    try:
        report = services.ingest.ingest(_upload(services, job, order, path, is_repeat), watch)
    except FileRefusedError as error:
        return Answer(HTTPStatus.BAD_REQUEST, body_of(error, HTTPStatus.BAD_REQUEST)), "refused"
    if not report.is_dry:
        data_type = order.parameters.data_type
        services.metrics.observe(data_type, report, perf_counter() - started)
    body = upload_result(report, job).model_dump(mode="json")
    return Answer(HTTPStatus.OK, body), "succeeded" if report.is_stored else "refused"


def _upload(
    services: Services, job: Job, order: UploadOrder, path: Path, is_repeat: bool
) -> FileUpload:
    settings = services.control.tenant_settings(job.tenant_id)
    parameters = order.parameters
    return FileUpload(
        path,
        job.tenant_id,
        parameters.data_type,
        (
            order.mapping_settings.of(parameters.data_type)
            if order.mapping_settings
            else settings.mapping(parameters.mapping, parameters.data_type)
        ),
        settings,
        job.batch_id,
        on_error=parameters.on_error,
        mapping_name=parameters.mapping or "default",
        is_mapping_sent=order.mapping_settings is not None,
        format=order.format,
        encoding=parameters.encoding,
        delimiter=parameters.delimiter,
        declared_charset=order.declared_charset,
        named=order.named,
        sheet=order.sheet,
        is_dry=parameters.dry_run,
        is_repeat=is_repeat,
    )
