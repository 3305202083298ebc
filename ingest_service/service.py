"""From a file to a committed batch: validate, suppress, dedupe, store. Knows no HTTP.

Rows flow through in chunks, each forgotten once written, so memory does not depend on the file.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ingest_service.batch import BatchRun, CsvUpload, second_reading
from ingest_service.csv_files.encoding import NotUtf8Error
from ingest_service.csv_files.reader import CHUNK_BYTES
from ingest_service.dedupe.window import BatchSession, DedupeWindows, History
from ingest_service.report import IngestReport
from ingest_service.sinks.base import BatchKey, Counts, Sink
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import SuppressionList

CSV_SOURCE: Final = "csv"
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
    ) -> None:
        self._sink = sink
        self._history = history
        self._windows = windows
        self._suppression = suppression
        self._clock = clock
        self._chunk_bytes = chunk_bytes

    def ingest_csv(self, upload: CsvUpload) -> IngestReport:
        """Store a whole file, or nothing of it, or its good rows: as `upload.on_error` says.

        Every row is validated. If any is wrong then, with `reject`, nothing is stored and the
        report lists the errors; with `quarantine` it is kept there with its bytes and every reason.
        Else the batch is durable when this returns. Rows already known, in the file or in the
        recent window, are counted as duplicates and not stored; rows with a known `event_id` but
        another content go to quarantine. Uploads of one tenant and data type run one at a time.
        A file that is not UTF-8, and for which no encoding was given, is read a second time with
        the encoding it is likely to be in, if that is clear. Raises `FileRefusedError` when the
        file cannot be read.
        """
        events = self._windows.of(upload.tenant_id, upload.data_type)
        with events.batch(self._history, upload.tenant_id, upload.data_type) as session:
            for _ in range(MAX_ATTEMPTS):
                try:
                    report = self._attempt(upload, session)
                except NotUtf8Error as fault:
                    upload = second_reading(upload, fault)
                    continue
                if report is not None:
                    return report
        raise EtaError(
            "the list of erased people kept changing while the file was read",
            remedy="send the file again in a few minutes",
        )

    def _attempt(self, upload: CsvUpload, session: BatchSession) -> IngestReport | None:
        """Run a batch; None when the suppression list changed meanwhile: then nothing is stored."""
        suppressed = self._suppression.current(upload.tenant_id)
        key = BatchKey(
            upload.tenant_id, upload.data_type, upload.batch_id, self._clock(), CSV_SOURCE
        )
        window = session.start()
        run = BatchRun(upload, key, self._sink.begin(key), window, suppressed)
        try:
            run.read(self._chunk_bytes)
            if run.is_refused:
                run.batch.abort()
                return self._report(upload, run)
            if self._suppression.current(upload.tenant_id).version != suppressed.version:
                run.batch.abort()
                return None
            if run.batch.commit(run.tally.counts()):
                session.publish(window, key.commit_id)
        except BaseException:
            run.batch.abort()
            raise
        return self._report(upload, run)

    def _report(self, upload: CsvUpload, run: BatchRun) -> IngestReport:
        refused = Counts(run.tally.received, 0, quarantined=run.tally.received)
        return IngestReport(
            batch_id=upload.batch_id,
            location=self._sink.location(upload.data_type),
            counts=refused if run.is_refused else run.tally.counts(),
            is_stored=not run.is_refused,
            errors=run.errors,
            warnings=run.warnings,
            reading=run.reading,
        )
