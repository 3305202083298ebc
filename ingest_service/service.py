"""From a file to a committed batch: validate, suppress, dedupe, store. Knows no HTTP.

Rows flow through in chunks, each forgotten once written, so memory does not depend on the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from ingest_service.csv_files.reader import CHUNK_BYTES, CsvChunk, CsvFile, CsvPiece, no_rows
from ingest_service.dedupe.window import BatchSession, BatchWindow, DedupeWindows, History, Verdict
from ingest_service.parallel import map_in_order
from ingest_service.report import ErrorCollector, IngestReport
from ingest_service.rows import line_refs, quarantine_rows, raw_rows
from ingest_service.sinks.base import BatchKey, Counts, Sink, SinkBatch
from ingest_service.sinks.delta import RAW_TABLES
from lakehouse.contracts.fields import SUBJECT_COLUMN
from lakehouse.contracts.identity import fingerprints, needs_escape
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validated, Validator
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import Suppressed, SuppressionList

CSV_SOURCE: Final = "csv"
MAX_ATTEMPTS: Final = 5
PARALLEL_PIECES: Final = 2
"""Pieces of one file validated at the same time; most polars steps use one core each."""


@dataclass(frozen=True, slots=True)
class CsvUpload:
    """A file on disk and how its tenant wants it read."""

    path: Path
    tenant_id: str
    data_type: DataType
    mapping: SourceMapping
    settings: TenantSettings
    batch_id: str


@dataclass(slots=True)
class _Tally:
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0

    def counts(self) -> Counts:
        return Counts(self.received, self.stored, self.duplicate, self.quarantined, self.suppressed)


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
        """Store a whole file, or nothing of it.

        Every row is validated. If any is wrong nothing is stored and the report lists the errors.
        Else the batch is durable when this returns. Rows already known, in the file or in the
        recent window, are counted as duplicates and not stored; rows with a known `event_id` but
        another content go to quarantine. Uploads of one tenant and data type run one at a time.
        Raises `FileRefusedError` when the file cannot be read as its mapping says.
        """
        events = self._windows.of(upload.tenant_id, upload.data_type)
        with events.batch(self._history, upload.tenant_id, upload.data_type) as session:
            for _ in range(MAX_ATTEMPTS):
                report = self._attempt(upload, session)
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
        run = _BatchRun(upload, key, self._sink.begin(key), window, suppressed)
        try:
            run.read(self._chunk_bytes)
            if run.errors.total:
                run.batch.abort()
                return self._report(upload, run)
            if self._suppression.current(upload.tenant_id).version != suppressed.version:
                run.batch.abort()
                return None
            if run.batch.commit(run.tally.counts()):
                session.publish(window, upload.batch_id)
        except BaseException:
            run.batch.abort()
            raise
        return self._report(upload, run)

    def _report(self, upload: CsvUpload, run: "_BatchRun") -> IngestReport:
        errors = run.errors
        refused = Counts(run.tally.received, 0, quarantined=run.tally.received)
        return IngestReport(
            batch_id=upload.batch_id,
            location=self._sink.location(upload.data_type),
            counts=refused if errors.total else run.tally.counts(),
            errors=tuple(errors.kept),
            error_total=errors.total,
            errors_by_code=dict(errors.by_code),
            rejected_rows=errors.rejected_rows,
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A validated chunk: its accepted rows, those of suppressed people apart."""

    chunk: CsvChunk
    reasons: pl.DataFrame
    rows: pl.DataFrame
    prints: pl.DataFrame
    is_state: pl.Series | None
    suppressed: int


class _BatchRun:
    """One pass over a file."""

    def __init__(
        self,
        upload: CsvUpload,
        key: BatchKey,
        batch: SinkBatch,
        window: BatchWindow,
        suppressed: Suppressed,
    ) -> None:
        self._upload = upload
        self._key = key
        self._window = window
        self._suppressed = suppressed
        self.batch = batch
        self.tally = _Tally()
        self.errors = ErrorCollector()

    def read(self, chunk_bytes: int) -> None:
        """Read the whole file: pieces are validated side by side and taken in in their order."""
        upload = self._upload
        delimiter = upload.mapping.delimiter
        with CsvFile(upload.path, delimiter, chunk_bytes=chunk_bytes) as file:
            validator = Validator(upload.data_type, upload.mapping, upload.settings, file.header)

            def prepare(piece: CsvPiece) -> _Prepared:
                chunk = file.parse(piece, validator.columns)
                is_plain = not needs_escape(chunk.data)
                return self._prepare(
                    chunk, validator.validate(chunk.frame, self._key.known_at, is_plain=is_plain)
                )

            for prepared in map_in_order(prepare, file.pieces(), PARALLEL_PIECES):
                self._take(prepared)
        if not self.tally.received:
            raise no_rows()

    def _prepare(self, chunk: CsvChunk, validated: Validated) -> "_Prepared":
        """Everything that needs no other piece."""
        rows, is_state = validated.accepted, validated.is_state
        prints = fingerprints(self._key.data_type, rows, validated.payload, is_state)
        subject = SUBJECT_COLUMN[self._key.data_type]
        suppressed = 0
        if subject is not None and self._suppressed.hashes:
            kept = ~self._suppressed.matches(rows[subject])
            suppressed = rows.height - int(kept.sum())
            rows, prints = rows.filter(kept), prints.filter(kept)
        return _Prepared(chunk, validated.reasons, rows, prints, is_state, suppressed)

    def _take(self, prepared: "_Prepared") -> None:
        chunk, rows = prepared.chunk, prepared.rows
        self.tally.received += chunk.frame.height
        if prepared.reasons.height:
            self.errors.add(prepared.reasons, pl.Series(chunk.lines))
        if self.errors.total:
            return  # nothing will be stored; the rest is read for its errors alone
        self.tally.suppressed += prepared.suppressed
        verdicts = self._window.judge(prepared.prints, prepared.is_state)
        if (verdicts != Verdict.NEW).any():
            self._quarantine(chunk, rows.filter(verdicts == Verdict.CONFLICT))
            self.tally.duplicate += int((verdicts == Verdict.DUPLICATE).sum())
            rows = rows.filter(verdicts == Verdict.NEW)
        if not rows.height:
            return
        self.tally.stored += rows.height
        self.batch.append(
            raw_rows(RAW_TABLES[self._key.data_type], rows, self._refs(chunk, rows), self._key)
        )

    def _quarantine(self, chunk: CsvChunk, conflicting: pl.DataFrame) -> None:
        if not conflicting.height:
            return
        self.tally.quarantined += conflicting.height
        code = ReasonCode.CONFLICTING_EVENT
        reason = {"code": code.value, "field": "event_id", "message": EXPLANATIONS[code].meaning}
        reasons = [[reason]] * conflicting.height
        raw = chunk.raw(conflicting["row"].to_list())
        self.batch.quarantine(
            quarantine_rows(self._key, raw, self._refs(chunk, conflicting), reasons)
        )

    def _refs(self, chunk: CsvChunk, rows: pl.DataFrame) -> pa.Array:
        lines = chunk.lines
        if rows.height != len(lines):
            lines = lines[rows["row"].to_numpy().astype(np.int64)]
        return line_refs(lines)
