"""One pass over a file: read, validate, suppress, dedupe, hand to the sink. Knows no HTTP.

Rows flow through in chunks, each forgotten once written, so memory does not depend on the file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from ingest_service.dedupe.occurrences import Occurrences
from ingest_service.dedupe.window import BatchWindow, Verdict
from ingest_service.pipeline.report import Finding, Findings
from ingest_service.pipeline.rows import (
    line_refs,
    quarantine_rows,
    raw_rows,
    reasons_by_row,
    with_places,
)
from ingest_service.readers.base import CsvRows, FileReading, RowChunk, RowFile
from ingest_service.readers.csv.detection import guess_encoding, suggestion
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.readers.csv.reader import no_rows
from ingest_service.sinks.base import BatchKey, Counts, SinkBatch
from ingest_service.sources.parallel import map_in_order
from ingest_service.sources.uploads.upload import FileUpload, Order, Watch
from lakehouse.contracts.identity import fingerprints
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import FileFormat, OnError
from lakehouse.contracts.unread import UnreadNames
from lakehouse.contracts.validator import Validator
from lakehouse.privacy.records import RecordReader
from lakehouse.privacy.suppression import Suppressed
from lakehouse.storage.findings import FindingsWriter, Kind

PARALLEL_PIECES: Final = 2
"""Pieces of one file validated at the same time; most polars steps use one core each."""


@dataclass(slots=True)
class Tally:
    """Counts that grow while a batch is read."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0

    def counts(self) -> Counts:
        """Return what it has come to."""
        return Counts(self.received, self.stored, self.duplicate, self.quarantined, self.suppressed)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A validated chunk: accepted rows and reasons, without those of suppressed people."""

    chunk: RowChunk
    reasons: pl.DataFrame
    warnings: pl.DataFrame
    rows: pl.DataFrame
    prints: pl.DataFrame
    is_state: pl.Series | None
    suppressed: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a chunk of rows; `row` is the position in the chunk.

    `rows`: the accepted ones with their `event_id`, and `verdicts` in their order. `reasons`: why
    others are not. Rows in neither are of erased people. `warnings`: what is odd about rows.
    """

    count: int
    reasons: pl.DataFrame
    rows: pl.DataFrame
    verdicts: pl.Series
    warnings: pl.DataFrame | None = None


def unheard(judged: Judged) -> None:
    """Take no note."""


class BatchRun:
    """One pass over rows; `hear` is told of each chunk, in their order."""

    def __init__(
        self,
        order: Order,
        key: BatchKey,
        batch: SinkBatch,
        window: BatchWindow,
        suppressed: Suppressed,
        kept_whole: FindingsWriter | None = None,
        hear: Callable[[Judged], None] = unheard,
    ) -> None:
        self._order = order
        self._hear = hear
        self._key = key
        self._window = window
        self._occurrences = Occurrences(key.data_type)
        self._suppressed = suppressed
        self.batch = batch
        self.tally = Tally()
        self.errors = _findings(kept_whole, "errors")
        self.warnings = _findings(kept_whole, "warnings")
        self.reading: FileReading | None = None
        self._layout = SourceLayout()
        self._reader = self._reader_of(self._layout)
        self._unit = "line"

    @property
    def is_refused(self) -> bool:
        """Whether a wrong row forbids to store anything."""
        return self._order.on_error is OnError.REJECT and self.errors.total > 0

    def read(self, file: RowFile, watch: Watch) -> None:
        """Read all of it: pieces are validated side by side and taken in in their order."""
        with file:
            validator = self._open(file)

            def prepare(piece: Any) -> _Prepared:
                return self._prepare(file.parse(piece, validator.columns), validator)

            # What came as events is one piece, as a rule, and its sender waits.
            parallel = 0 if self._key.is_first else PARALLEL_PIECES
            for prepared in map_in_order(prepare, file.pieces(), parallel):
                self._take(prepared)
                watch(file.position, self.tally.received)
            if not self.tally.received:
                raise no_rows(file.header_line)
            for finding in file.ending():
                self.warnings.note(finding)

    def _reader_of(self, layout: SourceLayout) -> RecordReader:
        own = {layout.mapping: self._order.mapping}
        return self._suppressed.readers(own).of(self._order.data_type, layout)

    def _open(self, file: RowFile) -> Validator:
        """Return what validates the file's rows, and note how it is read."""
        order = self._order
        self.reading = file.reading()
        self._layout = file.layout(order.mapping_name)
        self._reader = self._reader_of(self._layout)
        self._unit = file.place_unit
        try:
            validator = Validator(
                order.data_type,
                order.mapping,
                order.settings,
                file.header,
                has_named_fields=not isinstance(file, CsvRows),
            )
        except FileRefusedError as error:
            error.line = error.line or file.header_line
            if isinstance(file, CsvRows):
                file.explain(error)
            raise
        for finding in file.oddities(validator.columns):
            self.warnings.note(finding)
        names = file.single if isinstance(file, CsvRows) else file.header
        for unread in UnreadNames.of(order.data_type, order.mapping).among(names):
            self.warnings.note(
                Finding(file.header_line, unread.name, unread.code.value, unread.message)
            )
        return validator

    def _prepare(self, chunk: RowChunk, validator: Validator) -> _Prepared:
        """Everything that needs no other piece."""
        validated = validator.validate(chunk.frame, self._key.known_at, chunk.traits, chunk.faults)
        rows, is_state = validated.accepted, validated.is_state
        reasons, warnings = validated.reasons, validated.warnings
        prints = fingerprints(self._key.data_type, rows, validated.payload, is_state)
        subjects = validator.subjects(chunk.frame)
        count, refused = chunk.frame.height, reasons["row"]
        gone = self._suppressed.gone(subjects, count, refused, chunk.raw, self._reader)
        if gone is None:
            return _Prepared(chunk, reasons, warnings, rows, prints, is_state, 0)
        kept = ~gone.gather(rows["row"])
        rows, prints = rows.filter(kept), prints.filter(kept)
        is_state = None if is_state is None else is_state.filter(kept)
        reasons = reasons.filter(~gone.gather(reasons["row"]))
        warnings = warnings.filter(~gone.gather(warnings["row"]))
        return _Prepared(chunk, reasons, warnings, rows, prints, is_state, int(gone.sum()))

    def _take(self, prepared: _Prepared) -> None:
        chunk, rows = prepared.chunk, prepared.rows
        self.tally.received += chunk.frame.height
        lines = pl.Series(chunk.lines)
        elements = pl.Series(chunk.places) if self._unit == "item" else None
        self.errors.add(prepared.reasons, lines, elements)
        self.warnings.add(prepared.warnings, lines, elements)
        if self.is_refused:
            return  # nothing will be stored; the rest is read for its errors alone
        self.tally.suppressed += prepared.suppressed
        if prepared.reasons.height:
            self._quarantine(chunk, reasons_by_row(prepared.reasons))
        rows, prints = self._occurrences.apply(
            rows, prepared.prints, prepared.is_state, chunk.requests
        )
        verdicts = self._window.judge(prints, prepared.is_state)
        if prepared.is_state is not None:
            rows = with_places(rows, prepared.is_state, self._refs(chunk, rows))
        self._hear(Judged(chunk.frame.height, prepared.reasons, rows, verdicts, prepared.warnings))
        if (verdicts != Verdict.NEW).any():
            self._quarantine(chunk, _conflicts(rows.filter(verdicts == Verdict.CONFLICT)))
            self.tally.duplicate += int((verdicts == Verdict.DUPLICATE).sum())
            rows = rows.filter(verdicts == Verdict.NEW)
        if not rows.height:
            return
        self.tally.stored += rows.height
        self.batch.append(
            raw_rows(RAW_TABLES[self._key.data_type], rows, self._refs(chunk, rows), self._key)
        )

    def _quarantine(self, chunk: RowChunk, refused: pl.DataFrame) -> None:
        """Keep rows aside: `refused` has their `row` in the chunk and their `reasons`."""
        if not refused.height:
            return
        self.tally.quarantined += refused.height
        raw = chunk.raw(refused["row"].to_list())
        self.batch.quarantine(
            quarantine_rows(
                self._key, raw, self._refs(chunk, refused), refused["reasons"], self._layout
            )
        )

    def _refs(self, chunk: RowChunk, rows: pl.DataFrame) -> pa.Array:
        places = chunk.places
        if rows.height != len(places):
            places = places[rows["row"].to_numpy().astype(np.int64)]
        return line_refs(places, self._unit)


def second_reading(upload: FileUpload, fault: NotUtf8Error) -> FileUpload:
    """Return how to read a file again that turned out not to be UTF-8.

    In the encoding it is likely to be in; or, where wrong rows are kept aside, as UTF-8 with
    damaged records. Raises the fault, with the likely encodings, when neither will do, and for
    JSON, which is UTF-8.
    """
    if upload.format is FileFormat.JSON:
        raise fault
    is_said = (upload.encoding or upload.mapping.encoding or upload.declared_charset) is not None
    guess = guess_encoding(upload.path)
    if guess.encoding is not None and not is_said and not fault.is_cut:
        return replace(upload, encoding=guess.encoding)
    is_damaged = is_said or fault.is_cut or not guess.likely
    if upload.on_error is OnError.QUARANTINE and is_damaged and not upload.expects_damage:
        return replace(upload, expects_damage=True)
    hint = suggestion(guess)
    if hint is not None:
        fault.remedy = f"{fault.remedy}; if it is whole, {hint}" if fault.is_cut else hint
    raise fault


def _findings(kept_whole: FindingsWriter | None, kind: Kind) -> Findings:
    return Findings(keep_all=partial(kept_whole.write, kind) if kept_whole else None)


def _conflicts(rows: pl.DataFrame) -> pl.DataFrame:
    code = ReasonCode.CONFLICTING_EVENT
    reasons = rows.select(
        "row",
        code=pl.lit(code.value),
        field=pl.lit("event_id"),
        message=pl.lit(EXPLANATIONS[code].meaning),
    )
    return reasons_by_row(reasons)
