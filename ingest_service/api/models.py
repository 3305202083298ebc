"""Response bodies as OpenAPI shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest_service.pipeline.report import IngestReport
from lakehouse.control.database import Job


class UploadRowIssue(BaseModel):
    """One thing that is wrong or odd: with one row, or with the file itself."""

    model_config = ConfigDict(from_attributes=True)

    line: int = Field(
        description="Line of the file the record starts on, from 1; its row where there are none."
    )
    column: str = Field(description="The file's column, or the field; empty for a whole row.")
    code: str
    reason: str
    place: str = Field(
        "",
        description="Where the row stands, in the file's own terms: `line 42`, `element 42` of a "
        "JSON array, `sheet 'May', row 42`, `row group 3, row 42`, `record 42`; empty for the file "
        "itself.",
    )


class FileRead(BaseModel):
    """How the file was read; confidences from 0 to 1, `…_from` is given, mark or detected."""

    model_config = ConfigDict(from_attributes=True)

    encoding: str
    encoding_confidence: float
    encoding_from: str
    delimiter: str | None
    delimiter_confidence: float | None
    delimiter_from: str | None
    format: str = Field("csv", description="What the content is: csv, json, xlsx, parquet, avro.")
    sheet: str | None = Field(None, description="Of a workbook, the sheet that was read.")


class _RowIssues(BaseModel):
    dry_run: bool = Field(description="Nothing was stored: this says what would have happened.")
    job_id: str
    row_issues_url: str | None = Field(
        description="Where all errors and warnings can be had; null when there are none."
    )
    findings_url: str | None = Field(
        description="The same under its earlier name; use `row_issues_url`.", deprecated=True
    )
    error_count: int = Field(description="All errors; `errors` holds the first 1,000.")
    errors_by_code: dict[str, int]
    errors: list[UploadRowIssue]
    warning_count: int = Field(description="All warnings; `warnings` holds the first 1,000.")
    warnings_by_code: dict[str, int]
    warnings: list[UploadRowIssue]
    file: FileRead | None


class UploadStored(_RowIssues):
    """What was taken in, durably: the whole file, or with `on_error=quarantine` its good rows."""

    status: Literal["success", "all_rejected"] = Field(
        "success", description="`all_rejected`: every row is in quarantine, and none is stored."
    )
    rows_received: int = Field(description="Rows of the file, the header apart.")
    rows_accepted: int = Field(description="Rows newly stored; a repeated upload has none.")
    duplicates: int = Field(
        description="Rows that are not stored again: known already, or repeated in the file."
    )
    repeated_in_file: int | None = Field(
        description="Those of `duplicates` that repeat another row of the file and were not known "
        "before it; null when the file was stored by an attempt that was cut off."
    )
    quarantined: int = Field(
        description="Rows kept aside: known event_id, other content; or wrong (`errors`)."
    )
    suppressed: int = Field(description="Rows of erased people, dropped.")
    skipped: int = Field(
        0, description="Rows that the source mapping leaves out (`skip`); the ledger has them not."
    )
    batch_id: str | None = Field(description="Null when nothing was stored (`dry_run`).")
    s3_path: str = Field(description="Where the raw table is: a URL, or a path for a local lake.")


class UploadInvalid(_RowIssues):
    """At least one row is wrong, or too many are; nothing of the file is stored."""

    status: Literal["validation_failed", "too_many_rejected"] = Field(
        "validation_failed",
        description="`too_many_rejected`: more than the mapping's `max_reject_share` are wrong.",
    )
    rows_received: int
    rows_rejected: int


class UploadJob(BaseModel):
    """An upload that was taken in: how far it is, and what came of it."""

    job_id: str
    batch_id: str
    state: Literal["queued", "running", "succeeded", "refused", "failed"]
    url: str
    created_at: datetime
    finished_at: datetime | None
    progress: dict[str, int] | None = Field(
        description="`bytes_read` of `bytes_total`, and `rows_read`."
    )
    http_status: int | None = Field(description="What a request that waited would have got.")
    result: dict[str, Any] | None = Field(description="Its body.")


class UploadJobs(BaseModel):
    """A tenant's newest uploads, newest first."""

    uploads: list[UploadJob]


class RowIssuesPage(BaseModel):
    """Errors or warnings of an upload, in the order of its lines."""

    kind: Literal["errors", "warnings"]
    total: int
    offset: int
    row_issues: list[UploadRowIssue]
    next_offset: int | None = Field(description="Where the next page begins; null at the end.")


class FindingsPage(BaseModel):
    """A `RowIssuesPage` under its earlier name."""

    kind: Literal["errors", "warnings"]
    total: int
    offset: int
    findings: list[UploadRowIssue]
    next_offset: int | None


def job_url(job: Job) -> str:
    """Return where a job can be asked for."""
    return f"/v1/tenants/{job.tenant_id}/ingest/uploads/{job.job_id}"


def job_body(job: Job) -> UploadJob:
    """Return a job as its endpoint shows it."""
    result = job.result or {}
    is_answer = "status" in result and "body" in result
    return UploadJob(
        job_id=job.job_id,
        batch_id=job.batch_id,
        state=job.state,
        url=job_url(job),
        created_at=job.created_at,
        finished_at=job.finished_at,
        progress=job.progress,
        http_status=result["status"] if is_answer else None,
        result=result["body"] if is_answer else job.result,
    )


def upload_result(report: IngestReport, job: Job) -> UploadStored | UploadInvalid:
    """Return the response body of a finished upload."""
    counts = report.counts
    has_issues = report.errors.total + report.warnings.total > 0
    issues = _RowIssues(
        dry_run=report.is_dry,
        job_id=job.job_id,
        row_issues_url=f"{job_url(job)}/row-issues" if has_issues else None,
        findings_url=f"{job_url(job)}/findings" if has_issues else None,
        error_count=report.errors.total,
        errors_by_code=dict(report.errors.by_code),
        errors=[UploadRowIssue.model_validate(found) for found in report.errors.kept],
        warning_count=report.warnings.total,
        warnings_by_code=dict(report.warnings.by_code),
        warnings=[UploadRowIssue.model_validate(found) for found in report.warnings.kept],
        file=FileRead.model_validate(report.reading) if report.reading else None,
    ).__dict__
    if report.is_stored:
        return UploadStored(
            status="all_rejected" if report.is_all_wrong else "success",
            rows_received=counts.received + report.skipped,
            rows_accepted=counts.stored,
            duplicates=counts.duplicate,
            repeated_in_file=report.repeated,
            quarantined=counts.quarantined,
            suppressed=counts.suppressed,
            skipped=report.skipped,
            batch_id=None if report.is_dry else report.batch_id,
            s3_path=report.location,
            **issues,
        )
    return UploadInvalid(
        status="too_many_rejected" if report.has_too_many_wrong else "validation_failed",
        rows_received=counts.received + report.skipped,
        rows_rejected=report.errors.rows,
        **issues,
    )
