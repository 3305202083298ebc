"""What would become of a file's rows under a mapping: the real pipeline, and nothing stored."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, cast

import polars as pl

from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.pipeline.batch import BatchPipeline, Result
from ingest_service.pipeline.runner import BatchRunner, StartOverError
from ingest_service.readers.base import RowFile
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.inspecting.bounded import Bounded
from ingest_service.sources.reading import BatchRun
from ingest_service.sources.uploads.opening import open_rows, second_reading
from ingest_service.sources.uploads.upload import FileUpload, unwatched
from lakehouse.privacy.suppression import EmptySuppressionList

CHUNK_BYTES: Final = 1024 * 1024
ROWS: Final = 10
LONGEST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that is wrong, or odd, with `count` rows; `example_line` has the first."""

    code: str
    count: int
    message: str
    example_line: int


@dataclass(slots=True)
class _Reasons:
    """Counts rows by code and keeps the first message of each."""

    found: dict[str, Reason] = field(default_factory=dict)

    def add(self, issues: pl.DataFrame) -> None:
        """Take in issues: `line`, `column`, `code`, `reason`."""
        for (code,), rows in issues.group_by("code", maintain_order=True):
            first = rows.row(0, named=True)
            before = self.found.get(str(code))
            self.found[str(code)] = Reason(
                str(code),
                rows["line"].n_unique() + (before.count if before else 0),
                before.message if before else first["reason"],
                before.example_line if before else first["line"],
            )

    def all(self) -> list[Reason]:
        """Return them, the most frequent first."""
        return sorted(self.found.values(), key=lambda one: -one.count)


@dataclass(slots=True)
class Trial:
    """`rows`: the first that would be stored; `received` is the sum of the four counts."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)
    received: int = 0
    stored: int = 0
    repeated: int = 0
    rejected: int = 0
    is_whole: bool = True


def try_mapping(upload: FileUpload, known_at: datetime, limit: int, *, is_start: bool) -> Trial:
    """Read the first `limit` bytes of a file as an upload would, wrong rows set aside.

    Whether the lake has the rows already is not looked at. Raises `FileRefusedError`.
    """
    upload_now, trial = upload, Trial()

    def read(batch: BatchPipeline) -> bool:
        nonlocal upload_now, trial
        trial, errors, warnings = Trial(), _Reasons(), _Reasons()
        run = BatchRun(upload_now, batch, hear=_keep_rows(trial, upload_now))
        run.errors.keep_all, run.warnings.keep_all = errors.add, warnings.add
        try:
            file = Bounded(open_rows(upload_now, CHUNK_BYTES), limit, is_start=is_start)
            run.read(cast("RowFile", file), unwatched)
        except NotUtf8Error as error:
            upload_now = second_reading(upload_now, error)
            raise StartOverError from error
        trial.reasons, trial.warnings = errors.all(), warnings.all()
        counts = batch.counts
        trial.received, trial.stored, trial.repeated = run.received, counts.stored, counts.duplicate
        trial.rejected = counts.quarantined
        trial.is_whole = file.is_whole
        return False

    def key() -> BatchKey:
        return BatchKey(
            upload.tenant_id, upload.data_type, upload.batch_id, known_at, upload.source
        )

    runner = BatchRunner(MemorySink(), NoHistory(), DedupeWindows(), EmptySuppressionList())
    runner.run(upload.tenant_id, upload.data_type, key, read, is_dry=True)
    return trial


def _keep_rows(trial: Trial, upload: FileUpload) -> Callable[[Result], None]:
    columns = [found.column for found in upload.data_type.definition.fields]

    def hear(result: Result) -> None:
        if len(trial.rows) < ROWS:
            rows = result.stored.head(ROWS - len(trial.rows)).select(columns)
            trial.rows += [
                {name: _json_value(value) for name, value in row.items()}
                for row in rows.iter_rows(named=True)
            ]

    return hear


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "…"
    return value
