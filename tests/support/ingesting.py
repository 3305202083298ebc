"""A service that takes in small files, in small pieces."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.base import Sink
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import FileUpload, Watch, unwatched
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_issues import RowIssueStore


class Ticks:
    """A clock that moves a second each time it is asked."""

    def __init__(self) -> None:
        self._now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


def service(
    sink: Sink,
    suppression: object = None,
    chunk_bytes: int = 200,
    lake: LakeSettings | None = None,
) -> IngestService:
    """A service with a new window and small chunks; in a lake it keeps all findings."""
    past = DeltaHistory(sink) if isinstance(sink, DeltaSink) else NoHistory()
    listed = suppression or EmptySuppressionList()
    findings = RowIssueStore(Lake(lake)) if lake else None
    return IngestService(sink, past, DedupeWindows(), listed, Ticks(), chunk_bytes, findings)  # type: ignore[arg-type]


def ingest(
    running: IngestService,
    folder: Path,
    content: str | bytes,
    batch_id: str = "b1",
    on_error: OnError = OnError.REJECT,
    data_type: DataType = DataType.INTERACTIONS,
    watch: Watch = unwatched,
    **options: Any,
) -> IngestReport:
    """Put a file on disk and take it in, for tenant `acme` unless told otherwise."""
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    mapping = options.pop("mapping", SourceMapping())
    tenant, name = options.pop("tenant", TenantSettings()), options.pop("tenant_id", "acme")
    return running.ingest(
        FileUpload(path, name, data_type, mapping, tenant, batch_id, on_error, **options), watch
    )
