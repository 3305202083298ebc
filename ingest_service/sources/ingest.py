"""From a file to a committed batch: validate, suppress, dedupe, store. Knows no HTTP.

Rows flow through in chunks, each forgotten once written, so memory does not depend on the file.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Final

from ingest_service.dedupe.turns import Turn
from ingest_service.dedupe.window import BatchSession, DedupeWindows, History
from ingest_service.pipeline.batch import BatchRun, Judged, second_reading, unheard
from ingest_service.pipeline.report import Findings, IngestReport
from ingest_service.readers.base import RowFile
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.readers.csv.reader import CHUNK_BYTES
from ingest_service.readers.opening import open_rows
from ingest_service.sinks.base import BatchKey, Counts, OutdatedError, Sink
from ingest_service.sinks.dry import DryBatch
from ingest_service.sources.uploads.upload import FileUpload, Order, RowsOrder, Watch, unwatched
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import SuppressionList, is_unchanged
from lakehouse.storage.findings import KINDS, FindingsStore, FindingsWriter, Kind

MAX_ATTEMPTS: Final = 5


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
        findings: FindingsStore | None = None,
    ) -> None:
        self._sink = sink
        self._history = history
        self._windows = windows
        self._suppression = suppression
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._findings = findings

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
        if upload.is_repeat and (known := self._known(upload)) is not None:
            return known
        events = self._windows.of(upload.tenant_id, upload.data_type)
        with events.batch(self._history, upload.tenant_id, upload.data_type) as session:
            for _ in range(MAX_ATTEMPTS):
                try:
                    report = self._attempt(upload, session, watch)
                except NotUtf8Error as fault:
                    upload = second_reading(upload, fault)
                    continue
                if report is not None:
                    return report
        raise _list_kept_changing()

    def turn(self, tenant_id: str, data_type: DataType) -> AbstractContextManager[Turn]:
        """Queue for a tenant's window, as every batch does; see `ingest_rows`."""
        return self._windows.of(tenant_id, data_type).turn()

    def ingest_rows(
        self, order: RowsOrder, rows: Callable[[], RowFile], turn: Turn | None = None
    ) -> tuple[IngestReport, list[Judged]]:
        """Store the good rows and keep the others aside; what was judged of each is in order.

        As `ingest` does, but for findings: those of rows in memory are the caller's to keep.
        `rows` is called once per attempt; the order's batch id must have been made for this call.
        With a `turn` that has come the call waits for no other batch of the tenant.
        Raises `FileRefusedError` for a mapping that cannot be used.
        """
        events = turn.events if turn else self._windows.of(order.tenant_id, order.data_type)
        with events.batch(self._history, order.tenant_id, order.data_type, turn) as session:
            for _ in range(MAX_ATTEMPTS):
                judged: list[Judged] = []
                found = self._run(order, session, rows, unwatched, None, judged.append)
                if found is not None:
                    return found, judged
        raise _list_kept_changing()

    def _attempt(
        self, upload: FileUpload, session: BatchSession, watch: Watch
    ) -> IngestReport | None:
        kept_whole = self._writer(upload)
        rows = partial(open_rows, upload, self._chunk_bytes)
        return self._run(upload, session, rows, watch, kept_whole)

    def _run(
        self,
        upload: Order,
        session: BatchSession,
        rows: Callable[[], RowFile],
        watch: Watch,
        kept_whole: FindingsWriter | None,
        hear: Callable[[Judged], None] = unheard,
    ) -> IngestReport | None:
        """Run a batch; None when the suppression list changed meanwhile: then nothing is stored."""
        suppressed = self._suppression.current(upload.tenant_id)
        is_current = partial(is_unchanged, self._suppression, upload.tenant_id, suppressed)
        key, window = self._key(upload), session.start()
        batch = DryBatch() if upload.is_dry else self._sink.begin(key)
        run = BatchRun(upload, key, batch, window, suppressed, kept_whole, hear)
        try:
            run.read(rows(), watch)
            if kept_whole is not None:
                kept_whole.finish()
            if run.is_refused or upload.is_dry:
                batch.abort()
                return self._report(upload, run)
            if batch.commit(run.tally.counts(), is_current):
                session.publish(window, key.commit_id, run.tally.stored)
        except OutdatedError:
            return None
        except BaseException:
            batch.abort()
            if kept_whole is not None:
                kept_whole.discard()
            raise
        return self._report(upload, run)

    def _report(self, upload: Order, run: BatchRun) -> IngestReport:
        refused = Counts(run.tally.received, 0, quarantined=run.tally.received)
        return IngestReport(
            batch_id=upload.batch_id,
            location=self._sink.location(upload.data_type),
            counts=refused if run.is_refused else run.tally.counts(),
            is_stored=not run.is_refused,
            errors=run.errors,
            warnings=run.warnings,
            reading=run.reading,
            is_dry=upload.is_dry,
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

    def _writer(self, upload: FileUpload) -> FindingsWriter | None:
        if self._findings is None:
            return None
        return self._findings.writer(upload.tenant_id, upload.batch_id)

    def _kept(self, upload: FileUpload, kind: Kind) -> Findings:
        findings = Findings()
        if self._findings is not None:
            for page in self._findings.pages(upload.tenant_id, upload.batch_id, kind):
                findings.restore(page)
        return findings

    def _key(self, upload: Order) -> BatchKey:
        return BatchKey(
            upload.tenant_id,
            upload.data_type,
            upload.batch_id,
            self._clock(),
            upload.source,
            is_first=isinstance(upload, RowsOrder),
        )


def _list_kept_changing() -> EtaError:
    return EtaError(
        "the list of erased people kept changing while the rows were read",
        remedy="send them again in a few minutes",
    )
