"""Response bodies as OpenAPI shows them."""

from typing import Literal

from pydantic import BaseModel, Field

from ingest_service.report import IngestReport


class UploadError(BaseModel):
    """One thing that is wrong with one row."""

    line: int = Field(description="Line of the file the record starts on, from 1.")
    column: str = Field(description="The file's column, or the field when it has none.")
    code: str
    reason: str


class UploadStored(BaseModel):
    """What was taken in, durably: the whole file, or with `on_error=quarantine` its good rows."""

    status: Literal["success"] = "success"
    rows_received: int = Field(description="Rows of the file, the header apart.")
    rows_accepted: int = Field(description="Rows newly stored; a repeated upload has none.")
    duplicates: int = Field(description="Rows known already, in the file or before it.")
    quarantined: int = Field(
        description="Rows kept aside: known event_id, other content; or wrong (`errors`)."
    )
    suppressed: int = Field(description="Rows of erased people, dropped.")
    error_count: int = Field(description="All errors; `errors` holds the first 1,000.")
    errors_by_code: dict[str, int]
    errors: list[UploadError]
    batch_id: str
    s3_path: str = Field(description="Where the raw table is: a URL, or a path for a local lake.")


class UploadInvalid(BaseModel):
    """At least one row is wrong; nothing of the file is stored."""

    status: Literal["validation_failed"] = "validation_failed"
    rows_received: int
    rows_rejected: int
    error_count: int = Field(description="All errors; `errors` holds the first 1,000.")
    errors_by_code: dict[str, int]
    errors: list[UploadError]


def upload_result(report: IngestReport) -> UploadStored | UploadInvalid:
    """Return the response body of a finished upload."""
    counts = report.counts
    errors = [
        UploadError(line=e.line, column=e.column, code=e.code, reason=e.reason)
        for e in report.errors
    ]
    if report.is_stored:
        return UploadStored(
            rows_received=counts.received,
            rows_accepted=counts.stored,
            duplicates=counts.duplicate,
            quarantined=counts.quarantined,
            suppressed=counts.suppressed,
            error_count=report.error_total,
            errors_by_code=report.errors_by_code,
            errors=errors,
            batch_id=report.batch_id,
            s3_path=report.location,
        )
    return UploadInvalid(
        rows_received=counts.received,
        rows_rejected=report.rejected_rows,
        error_count=report.error_total,
        errors_by_code=report.errors_by_code,
        errors=errors,
    )
