"""Response bodies as OpenAPI shows them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest_service.report import IngestReport


class UploadFinding(BaseModel):
    """One thing that is wrong or odd: with one row, or with the file itself."""

    model_config = ConfigDict(from_attributes=True)

    line: int = Field(description="Line of the file the record starts on, from 1.")
    column: str = Field(description="The file's column, or the field; empty for a whole row.")
    code: str
    reason: str


class FileRead(BaseModel):
    """How the file was read; confidences from 0 to 1, `…_from` is given, mark or detected."""

    model_config = ConfigDict(from_attributes=True)

    encoding: str
    encoding_confidence: float
    encoding_from: str
    delimiter: str
    delimiter_confidence: float
    delimiter_from: str


class _Findings(BaseModel):
    error_count: int = Field(description="All errors; `errors` holds the first 1,000.")
    errors_by_code: dict[str, int]
    errors: list[UploadFinding]
    warning_count: int = Field(description="All warnings; `warnings` holds the first 1,000.")
    warnings_by_code: dict[str, int]
    warnings: list[UploadFinding]
    file: FileRead | None


class UploadStored(_Findings):
    """What was taken in, durably: the whole file, or with `on_error=quarantine` its good rows."""

    status: Literal["success"] = "success"
    rows_received: int = Field(description="Rows of the file, the header apart.")
    rows_accepted: int = Field(description="Rows newly stored; a repeated upload has none.")
    duplicates: int = Field(description="Rows known already, in the file or before it.")
    quarantined: int = Field(
        description="Rows kept aside: known event_id, other content; or wrong (`errors`)."
    )
    suppressed: int = Field(description="Rows of erased people, dropped.")
    batch_id: str
    s3_path: str = Field(description="Where the raw table is: a URL, or a path for a local lake.")


class UploadInvalid(_Findings):
    """At least one row is wrong; nothing of the file is stored."""

    status: Literal["validation_failed"] = "validation_failed"
    rows_received: int
    rows_rejected: int


def upload_result(report: IngestReport) -> UploadStored | UploadInvalid:
    """Return the response body of a finished upload."""
    counts = report.counts
    findings = _Findings(
        error_count=report.errors.total,
        errors_by_code=dict(report.errors.by_code),
        errors=[UploadFinding.model_validate(found) for found in report.errors.kept],
        warning_count=report.warnings.total,
        warnings_by_code=dict(report.warnings.by_code),
        warnings=[UploadFinding.model_validate(found) for found in report.warnings.kept],
        file=FileRead.model_validate(report.reading) if report.reading else None,
    ).__dict__
    if report.is_stored:
        return UploadStored(
            rows_received=counts.received,
            rows_accepted=counts.stored,
            duplicates=counts.duplicate,
            quarantined=counts.quarantined,
            suppressed=counts.suppressed,
            batch_id=report.batch_id,
            s3_path=report.location,
            **findings,
        )
    return UploadInvalid(
        rows_received=counts.received, rows_rejected=report.errors.rows, **findings
    )
