"""One reading of a file, or of rows in memory, through the pipeline.

Rows flow through in chunks, each forgotten once written, so memory does not depend on the file.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import polars as pl

from ingest_service.pipeline.batch import BatchPipeline, Checked, Result, Rows
from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.places import Numbered, PlaceNames, names_of
from ingest_service.pipeline.report import FileReading, RowIssue, RowIssues
from ingest_service.readers.base import RowChunk, RowFile
from ingest_service.readers.csv.reader import no_rows
from ingest_service.readers.quarantined import cells_of
from ingest_service.sources.parallel import map_in_order
from ingest_service.sources.uploads.upload import FileUpload, Order, Watch
from lakehouse.contracts.header_rows import second_header
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import WarningCode
from lakehouse.contracts.row_issues import WARNING_CODES
from lakehouse.contracts.tenant import OnError
from lakehouse.contracts.unread import UnreadNames
from lakehouse.contracts.validator import Validator
from lakehouse.storage.row_issues import Kind, RowIssueWriter

_MOST_LOOKED_AT: Final = 1_000
"""Records of a piece that could not be read, of which each is looked at for a header."""
PARALLEL_PIECES: Final = 2
"""Pieces of one file validated at the same time; most polars steps use one core each."""


def unheard(result: Result) -> None:
    """Take no note."""


class BatchRun:
    """Reads rows into a batch; `hear` is told what became of each chunk, in their order."""

    def __init__(
        self,
        order: Order,
        batch: BatchPipeline,
        kept_whole: RowIssueWriter | None = None,
        hear: Callable[[Result], None] = unheard,
    ) -> None:
        self._order = order
        self._batch = batch
        self._hear = hear
        self.received = 0
        self.skipped = 0
        self.errors = _row_issues(kept_whole, "errors")
        self.warnings = _row_issues(kept_whole, "warnings")
        self.reading: FileReading | None = None

    @property
    def is_refused(self) -> bool:
        """Whether a wrong row forbids to store anything."""
        return self._order.on_error is OnError.REJECT and self.errors.total > 0

    @property
    def has_too_many_wrong(self) -> bool:
        """Whether more of a file's rows are wrong than its mapping allows; known at the end."""
        order = self._order
        if not isinstance(order, FileUpload) or order.on_error is OnError.REJECT:
            return False
        return self.errors.rows > order.mapping.max_reject_share * (self.received - self.skipped)

    @property
    def counts(self) -> Counts:
        """What became of the rows."""
        if self.is_refused:
            wrong = self.received - self.skipped
            return Counts(wrong, quarantined=wrong)
        return self._batch.counts

    @property
    def repeated(self) -> int:
        """How many of the duplicates repeat another row of the same file."""
        return 0 if self.is_refused else self._batch.repeated

    def read(self, file: RowFile, watch: Watch) -> None:
        """Read all of it: pieces are validated side by side and taken in in their order."""
        with file:
            self.reading = file.reading()
            validator = self._validator(file)
            check = self._check(file, validator)
            # What came as events is one piece, as a rule, and its sender waits.
            parallel = 0 if self._batch.key.is_first else PARALLEL_PIECES
            for chunk, checked in map_in_order(check, file.pieces(), parallel):
                self._take(chunk, checked, chunk.place_names or names_of(file.place_unit))
                watch(file.position, self.received)
            if not self.received:
                raise no_rows(file.header_line)
            for issue in file.ending():
                self.warnings.note(issue)
            if self.skipped:
                self.warnings.note(self._skipped_rows(file.header_line))

    def _skipped_rows(self, line: int) -> RowIssue:
        rows = "1 row was" if self.skipped == 1 else f"{self.skipped:,} rows were"
        why = f"{rows} left out, as the source mapping says of their interaction type (skip)"
        return RowIssue(line, "", WarningCode.SKIPPED_ROWS.value, why)

    def _validator(self, file: RowFile) -> Validator:
        """Return what validates the file's rows; what is odd about the file is noted."""
        order = self._order
        try:
            validator = Validator(
                order.data_type,
                order.mapping,
                order.settings,
                file.header,
                has_named_fields=file.has_named_fields,
                has_typed_times=bool(file.layout(order.mapping_name).typed_times),
                titles=file.titles,
            )
        except FileRefusedError as error:
            error.line = error.line or file.header_line
            file.explain(error)
            raise
        for issue in file.oddities(validator.columns):
            self.warnings.note(issue)
        alike = dict(validator.columns_by_likeness)
        for name, column in sorted(alike.items(), key=lambda pair: file.header.index(pair[1])):
            why = f"read as {name!r}, which no other column is like"
            code = WarningCode.COLUMN_BY_LIKENESS
            self.warnings.note(RowIssue(file.header_line, column, code.value, why))
        read = set(alike.values())
        unread_names = UnreadNames.of(order.data_type, order.mapping)
        for unread in unread_names.among(name for name in file.single if name not in read):
            self.warnings.note(
                RowIssue(file.header_line, unread.name, unread.code.value, unread.message)
            )
        return validator

    def _check(
        self, file: RowFile, validator: Validator
    ) -> Callable[[Any], tuple[RowChunk, Checked]]:
        """Return what reads and checks a piece; for several threads."""
        order, batch = self._order, self._batch
        layout = file.layout(order.mapping_name)
        if order.is_mapping_sent:
            layout = layout.model_copy(update={"mapping_settings": order.mapping})
        own = {layout.mapping: order.mapping}
        reader = batch.suppressed.readers(own).of(order.data_type, layout)

        def check(piece: Any) -> tuple[RowChunk, Checked]:
            chunk = file.parse(piece, validator.columns)
            names = chunk.place_names or names_of(file.place_unit)
            rows = Rows(
                chunk.frame,
                chunk.raw,
                Numbered(chunk.places, names.unit),
                layout,
                chunk.faults,
                chunk.traits,
                chunk.requests,
            )
            checked = batch.check(rows, validator, reader)
            if layout.format == "csv":
                checked = _with_unread_header(checked, validator)
            return chunk, checked

        return check

    def _take(self, chunk: RowChunk, checked: Checked, names: PlaceNames) -> None:
        self.received += chunk.frame.height
        self.skipped += len(checked.skipped)
        lines = pl.Series(chunk.lines)
        places = pl.Series(chunk.places)
        if (row := checked.second_header) is not None:
            raise second_header(f"{names.said}{places[row]:,}", int(lines[row]))
        self.errors.add(checked.reasons, lines, places, names)
        self.warnings.add(checked.warnings, lines, places, names)
        if not self.is_refused:  # else the rest is read for its errors alone
            self._hear(self._batch.take(checked))


def _with_unread_header(checked: Checked, validator: Validator) -> Checked:
    """Look for another header among the records that could not be read, by what is in them."""
    faults = checked.rows.faults
    if faults is None or not faults.height:
        return checked
    whole = faults.filter((pl.col("column") == "") & ~pl.col("code").is_in(WARNING_CODES))
    rows = whole["row"].unique(maintain_order=True).head(_MOST_LOOKED_AT)
    if not len(rows):
        return checked
    cells = cells_of(checked.rows.layout, checked.rows.raw(rows.to_list()))
    found = validator.second_header(cells)
    if found is None:
        return checked
    earlier = [one for one in (int(rows[found]), checked.second_header) if one is not None]
    return replace(checked, second_header=min(earlier))


def _row_issues(kept_whole: RowIssueWriter | None, kind: Kind) -> RowIssues:
    return RowIssues(keep_all=partial(kept_whole.write, kind) if kept_whole else None)
