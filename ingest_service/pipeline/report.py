"""What an upload comes to: counts and, for refused rows, where and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import polars as pl

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.places import ELEMENTS, LINES, PlaceNames

KEPT_ISSUES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One thing that is wrong or odd: with one row, or with the file where `line` is its header."""

    line: int
    column: str
    code: str
    reason: str
    place: str = ""
    """Where the row stands, in the file's own terms; empty for the file itself."""


@dataclass(slots=True)
class RowIssues:
    """Keeps the first row issues and counts them all; its memory is bounded."""

    kept: list[RowIssue] = field(default_factory=list)
    by_code: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    keep_all: Callable[[pl.DataFrame], None] | None = None
    """Is handed every issue: `line`, `column`, `code`, `reason`, `place`."""

    @property
    def total(self) -> int:
        """How many there were, kept or not."""
        return self.by_code.total()

    def add(
        self,
        reasons: pl.DataFrame,
        lines: pl.Series,
        places: pl.Series | None = None,
        names: PlaceNames = LINES,
    ) -> None:
        """Take in the reasons of one chunk, whose rows stand on `lines`.

        `places`: what tells its rows apart, where lines do not, and how that is called.
        """
        if not reasons.height:
            return
        self.rows += reasons["row"].n_unique()
        self.by_code.update(dict(reasons["code"].value_counts().iter_rows()))
        room = max(0, KEPT_ISSUES - len(self.kept))
        wanted = reasons if self.keep_all is not None else reasons.head(room)
        if not wanted.height:
            return
        line = lines.gather(wanted["row"]).alias("line")
        reason = pl.col("message")
        number = pl.lit((lines if places is None else places).gather(wanted["row"]))
        place = pl.concat_str(pl.lit(names.said), number)
        if names is ELEMENTS:
            reason = pl.format("{} (element {} of the array)", reason, number)
        shown = wanted.select(line, "column", "code", reason=reason, place=place)
        self.kept.extend(RowIssue(*row) for row in shown.head(room).iter_rows())
        if self.keep_all is not None:
            self.keep_all(shown)

    def restore(self, row_issues: pl.DataFrame) -> None:
        """Take in row issues that were kept elsewhere, as `keep_all` was handed them."""
        self.by_code.update(dict(row_issues["code"].value_counts().iter_rows()))
        self.rows += row_issues["line"].n_unique()
        first = row_issues.head(max(0, KEPT_ISSUES - len(self.kept)))
        self.kept.extend(RowIssue(*row) for row in first.iter_rows())

    def note(self, issue: RowIssue) -> None:
        """Take in something about the file itself."""
        self.by_code[issue.code] += 1
        if len(self.kept) < KEPT_ISSUES:
            self.kept.append(issue)
        if self.keep_all is not None:
            self.keep_all(pl.DataFrame([asdict(issue)]))


@dataclass(frozen=True, slots=True)
class FileReading:
    """How a file was read; confidence from 0 to 1.

    `…_from`: `given` by the upload or the mapping, `mark` (the file's byte order mark), `declared`
    (the request's charset), `sep_line` (the file's first line) or `detected`. Only CSV has a
    delimiter, only a workbook a `sheet`.
    """

    encoding: str
    encoding_confidence: float = 1.0
    encoding_from: str = "detected"
    delimiter: str | None = None
    delimiter_confidence: float | None = None
    delimiter_from: str | None = None
    format: str = "csv"
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The outcome of one upload.

    `is_stored`: whether the batch was committed; with `on_error=quarantine` it is in spite of
    `errors`. RowIssues keep the first of theirs and count them all. `reading` says how the file
    was read. `is_dry`: it was only asked what would happen; the counts say what. `skipped`: rows
    that the mapping leaves out, which `counts` do not have. `repeated`: how many of the duplicates
    repeat another row of the file; None when an earlier attempt knew. `has_too_many_wrong`: more of
    its rows are wrong than its mapping allows.
    """

    batch_id: str
    location: str
    counts: Counts
    is_stored: bool
    errors: RowIssues
    warnings: RowIssues
    reading: FileReading | None = None
    is_dry: bool = False
    skipped: int = 0
    repeated: int | None = None
    has_too_many_wrong: bool = False

    @property
    def is_all_wrong(self) -> bool:
        """Whether it has rows, and each of them is wrong."""
        return self.counts.received > 0 and self.counts.quarantined == self.counts.received
