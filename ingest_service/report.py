"""What an upload comes to: counts and, for refused rows, where and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from ingest_service.sinks.base import Counts

KEPT_ERRORS: Final = 1_000


@dataclass(frozen=True, slots=True)
class RowError:
    """One thing that is wrong with one row."""

    line: int
    column: str
    code: str
    reason: str


@dataclass(slots=True)
class ErrorCollector:
    """Keeps the first errors and counts them all; its memory is bounded."""

    kept: list[RowError] = field(default_factory=list)
    by_code: Counter[str] = field(default_factory=Counter)
    rejected_rows: int = 0

    @property
    def total(self) -> int:
        """How many errors there were, kept or not."""
        return self.by_code.total()

    def add(self, reasons: pl.DataFrame, lines: pl.Series) -> None:
        """Take in the reasons of one chunk, whose rows stand on `lines`."""
        self.rejected_rows += reasons["row"].n_unique()
        self.by_code.update(dict(reasons["code"].value_counts().iter_rows()))
        room = KEPT_ERRORS - len(self.kept)
        if room <= 0:
            return
        first = reasons.head(room)
        shown = first.select(lines.gather(first["row"]).alias("line"), "column", "code", "message")
        self.kept.extend(RowError(*row) for row in shown.iter_rows())


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The outcome of one upload.

    `is_stored`: whether the batch was committed. `errors` are the first of `error_total`; with
    `on_error=quarantine` a batch is stored in spite of them.
    """

    batch_id: str
    location: str
    counts: Counts
    is_stored: bool
    errors: tuple[RowError, ...] = ()
    error_total: int = 0
    errors_by_code: dict[str, int] = field(default_factory=dict)
    rejected_rows: int = 0
