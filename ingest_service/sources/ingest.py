"""Files, and rows in memory, through the pipeline into the lake. Knows no HTTP."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial

from ingest_service.dedupe.turns import Turn
from ingest_service.dedupe.window import DedupeWindows, History
from ingest_service.pipeline.batch import BatchPipeline, Result
from ingest_service.pipeline.report import IngestReport, RowIssues
from ingest_service.pipeline.runner import BatchRunner, StartOverError
from ingest_service.readers.base import RowFile
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.readers.csv.reader import CHUNK_BYTES
from ingest_service.sinks.base import BatchKey, Sink
from ingest_service.sources.reading import BatchRun
from ingest_service.sources.uploads.opening import (
    name_issues,
    open_rows,
    second_reading,
    with_format,
)
from ingest_service.sources.uploads.upload import FileUpload, Order, RowsOrder, Watch, unwatched
from lakehouse.contracts.tenant import DataType
from lakehouse.privacy.suppression import SuppressionList
from lakehouse.storage.row_issues import KINDS, Kind, RowIssueStore, RowIssueWriter


class IngestService:
    """Takes files in; one object serves every thread of a process."""

    def __init__(
        self,
        sink: Sink,
        history: History,
        windows: DedupeWindows,
        suppression: SuppressionList,
        clock: Callable[[], datetime],
        chunk_bytes: int = CHUNK_BYTES,
        row_issues: RowIssueStore | None = None,
    ) -> None:
        self._sink = sink
        self._windows = windows
        self._runner = BatchRunner(sink, history, windows, suppression)
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._row_issues = row_issues

    def ingest(self, upload: FileUpload, watch: Watch = unwatched) -> IngestReport:
        """Store a whole file, or nothing of it, or its good rows: as `upload.on_error` says.

        Every row is validated. If any is wrong then, with `reject`, nothing is stored and the
        report lists the errors; with `quarantine` it is kept there with its bytes and every reason.
        Else the batch is durable when this returns. Rows already known, in the file or in the
        recent window, are counted as duplicates and not stored; rows with a known `event_id` but
        another content go to quarantine. Uploads of one tenant and data type run one at a time.
        A file that is not UTF-8, and for which no encoding was given, is read a second time with
        the encoding it is likely to be in, if that is clear. `watch` is called after every piece;
        what it raises is raised and nothing is stored. Raises `FileRefusedError` when the file
        cannot be read.
        """
        upload = with_format(upload)
        if upload.is_repeat and (known := self._known(upload)) is not None:
            return known
        runs: list[BatchRun] = []

        def read(batch: BatchPipeline) -> bool:
            nonlocal upload
            kept_whole = self._writer(upload)
            run = BatchRun(upload, batch, kept_whole)
            for issue in name_issues(upload):
                run.warnings.note(issue)
            try:
                run.read(open_rows(upload, self._chunk_bytes), watch)
                if kept_whole is not None:
                    kept_whole.finish()
            except BaseException as error:
                if kept_whole is not None:
                    kept_whole.discard()
                if not isinstance(error, NotUtf8Error):
                    raise
                upload = second_reading(upload, error)
                raise StartOverError from error
            runs.append(run)
            return not (run.is_refused or run.has_too_many_wrong or upload.is_dry)

        new_key = partial(self._key, upload)
        self._runner.run(upload.tenant_id, upload.data_type, new_key, read, is_dry=upload.is_dry)
        return self._report(upload, runs[-1])

    def turn(self, tenant_id: str, data_type: DataType) -> AbstractContextManager[Turn]:
        """Queue for a tenant's window, as every batch does; see `ingest_rows`."""
        return self._windows.of(tenant_id, data_type).turn()

    def ingest_rows(
        self, order: RowsOrder, rows: Callable[[], RowFile], turn: Turn | None = None
    ) -> tuple[IngestReport, list[Result]]:
        """Store the good rows and keep the others aside; what became of each is in order.

        As `ingest` does, but for row issues: those of rows in memory are the caller's to keep.
        `rows` is called once per attempt; the order's batch id must have been made for this call.
        With a `turn` that has come the call waits for no other batch of the tenant.
        Raises `FileRefusedError` for a mapping that cannot be used.
        """
        attempts: list[tuple[BatchRun, list[Result]]] = []

        def read(batch: BatchPipeline) -> bool:
            results: list[Result] = []
            run = BatchRun(order, batch, hear=results.append)
            run.read(rows(), unwatched)
            attempts.append((run, results))
            return True

        new_key = partial(self._key, order, is_first=True)
        self._runner.run(order.tenant_id, order.data_type, new_key, read, turn)
        run, results = attempts[-1]
        return self._report(order, run), results

    def _report(self, order: Order, run: BatchRun) -> IngestReport:
        return IngestReport(
            batch_id=order.batch_id,
            location=self._sink.location(order.data_type),
            counts=run.counts,
            is_stored=not (run.is_refused or run.has_too_many_wrong),
            has_too_many_wrong=run.has_too_many_wrong,
            errors=run.errors,
            warnings=run.warnings,
            reading=run.reading,
            is_dry=order.is_dry,
            skipped=run.skipped,
            repeated=run.repeated,
        )

    def _known(self, upload: FileUpload) -> IngestReport | None:
        """Return the report of a batch that an earlier attempt stored, None when none did."""
        counts = self._sink.recorded(self._key(upload))
        if counts is None:
            return None
        errors, warnings = (self._kept(upload, kind) for kind in KINDS)
        return IngestReport(
            batch_id=upload.batch_id,
            location=self._sink.location(upload.data_type),
            counts=counts,
            is_stored=True,
            errors=errors,
            warnings=warnings,
        )

    def _writer(self, upload: FileUpload) -> RowIssueWriter | None:
        if self._row_issues is None:
            return None
        return self._row_issues.writer(upload.tenant_id, upload.batch_id)

    def _kept(self, upload: FileUpload, kind: Kind) -> RowIssues:
        row_issues = RowIssues()
        if self._row_issues is not None:
            for page in self._row_issues.pages(upload.tenant_id, upload.batch_id, kind):
                row_issues.restore(page)
        return row_issues

    def _key(self, order: Order, *, is_first: bool = False) -> BatchKey:
        return BatchKey(
            order.tenant_id,
            order.data_type,
            order.batch_id,
            self._clock(),
            order.source,
            is_first=is_first,
        )
