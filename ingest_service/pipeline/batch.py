"""The one pipeline: validate, suppress erased people, deduplicate, quarantine, count.

Every source hands its rows over as `Rows`, whatever reader made them, and what becomes of them is
decided here alone. `check` needs no other rows, so pieces of a file are checked side by side;
`take` comes in the order of arrival. The ledger and the commit follow: in `runner` for a batch of
one tenant, in `sources.kafka.sink` for a micro-batch of many, whose offsets move with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import polars as pl
import pyarrow as pa

from ingest_service.dedupe.occurrences import Occurrences
from ingest_service.dedupe.window import FINGERPRINT_SCHEMA, BatchWindow, Verdict
from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.earlier import Earlier
from ingest_service.pipeline.rows import (
    outcome_rows,
    quarantine_rows,
    raw_rows,
    reasons_by_row,
    with_places,
)
from ingest_service.sinks.base import BatchKey, Output
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.identity import fingerprints
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.validator import REASON_SCHEMA, UNKNOWN, Validator, dated_states
from lakehouse.privacy.records import RecordReader
from lakehouse.privacy.suppression import Suppressed

_ACCEPTED: Final = pl.Schema({"row": pl.UInt32, "event_id": pl.String})


def no_rows() -> pl.Series:
    """Return no positions."""
    return pl.Series([], dtype=pl.UInt32)


def _without(rows: pl.Series, others: pl.Series) -> pl.Series:
    return rows.filter(~rows.is_in(others.implode())) if len(others) else rows


class Places(Protocol):
    """Where rows stood; rows are given by their position."""

    def refs(self, rows: pl.Series) -> pa.Array:
        """Return `source_ref` of these rows."""
        ...

    def others(self, rows: pl.Series) -> Mapping[str, pa.Array]:
        """Return the columns that these rows do not share with all of their batch."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as a reader hands them over, in order.

    `frame`: their fields as texts of these `traits`. `faults`: what the reader noticed, as the
    validator has reasons and warnings. `raw` returns rows as they came, by position, and `layout`
    says how to read one. `requests` numbers what each row was sent with, where one batch has what
    several clients sent. `earlier`: what is known of rows that were in quarantine.
    """

    frame: pl.DataFrame
    raw: Callable[[Sequence[int]], Sequence[bytes]]
    places: Places
    layout: SourceLayout
    faults: pl.DataFrame | None = None
    traits: Traits = UNKNOWN
    requests: pl.Series | None = None
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that were validated. `accepted`, `reasons` and `warnings` are without the `erased`.

    `second_header`: the first that names the columns of a file in another order.
    """

    rows: Rows
    reasons: pl.DataFrame
    warnings: pl.DataFrame = field(default_factory=REASON_SCHEMA.to_frame)
    accepted: pl.DataFrame = field(default_factory=_ACCEPTED.to_frame)
    prints: pl.DataFrame = field(default_factory=FINGERPRINT_SCHEMA.to_frame)
    is_state: pl.Series | None = None
    erased: pl.Series = field(default_factory=no_rows)
    skipped: pl.Series = field(default_factory=no_rows)
    second_header: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of `count` rows; `row` is the position among them.

    `accepted`: those that the contract allows, with their `event_id`, and `verdicts` in their
    order. `reasons`: why others are not. `erased`: rows of erased people. `warnings`: what is odd
    about rows, whatever became of them. `skipped`: rows that the mapping leaves out; the ledger
    does not have them.
    """

    count: int
    reasons: pl.DataFrame
    accepted: pl.DataFrame
    verdicts: pl.Series
    warnings: pl.DataFrame = field(default_factory=REASON_SCHEMA.to_frame)
    erased: pl.Series = field(default_factory=no_rows)
    skipped: pl.Series = field(default_factory=no_rows)

    @property
    def stored(self) -> pl.DataFrame:
        """The rows for the raw table."""
        is_new = self.verdicts == Verdict.NEW
        return self.accepted if is_new.all() else self.accepted.filter(is_new)

    @property
    def refused(self) -> pl.DataFrame:
        """Every reason of every row for the quarantine: `reasons`, and those that contradict."""
        conflicts = self._rows_with(Verdict.CONFLICT)
        if not len(conflicts):
            return self.reasons
        code = ReasonCode.CONFLICTING_EVENT
        contradicts = conflicts.to_frame().select(
            "row",
            code=pl.lit(code.value),
            field=pl.lit("event_id"),
            column=pl.lit(""),
            message=pl.lit(EXPLANATIONS[code].meaning),
        )
        return pl.concat([self.reasons, contradicts])

    def rows_by_outcome(self) -> dict[str, pl.Series]:
        """Return the rows of each of `OUTCOMES`."""
        return {
            "stored": self._rows_with(Verdict.NEW),
            "duplicate": self._rows_with(Verdict.DUPLICATE),
            "quarantined": self.refused["row"].unique(maintain_order=True),
            "suppressed": self.erased,
        }

    def _rows_with(self, verdict: Verdict) -> pl.Series:
        return self.accepted["row"].filter(self.verdicts == verdict)


class BatchPipeline:
    """The rows of one batch of one tenant and data type, on their way to the tables.

    `counts` are of the rows taken so far. One thread but for `check`.
    """

    def __init__(
        self, key: BatchKey, window: BatchWindow, suppressed: Suppressed, output: Output
    ) -> None:
        self.key = key
        self.suppressed = suppressed
        self.counts = Counts()
        self._window = window
        self._output = output
        self._occurrences = Occurrences(key.data_type)

    @property
    def repeated(self) -> int:
        """How many of the duplicates repeat a row of this batch, not one that was stored before."""
        return self._window.repeated

    def check(self, rows: Rows, validator: Validator, reader: RecordReader) -> Checked:
        """Validate rows and leave out those of erased people; `reader` reads their records."""
        found = validator.validate(rows.frame, self.key.known_at, rows.traits, rows.faults)
        if rows.earlier is not None:
            found = dated_states(found, rows.earlier.arrived_at)
        prints = fingerprints(self.key.data_type, found.accepted, found.payload, found.is_state)
        checked = Checked(
            *(rows, found.reasons, found.warnings, found.accepted, prints, found.is_state),
            skipped=no_rows() if found.skipped is None else found.skipped,
            second_header=found.second_header,
        )
        return self._suppress(checked, validator.subjects(rows.frame), reader)

    def check_unread(self, rows: Rows, reader: RecordReader) -> Checked:
        """Return rows of which nothing can be read, each with its fault, less erased people's."""
        reasons = REASON_SCHEMA.to_frame() if rows.faults is None else rows.faults
        return self._suppress(Checked(rows, reasons), [], reader)

    def take(self, checked: Checked) -> Result:
        """Deduplicate rows and hand them on: each is stored, a duplicate, quarantined or dropped.

        A replay's rows that are refused again stay in quarantine, and the others leave it.
        """
        rows, is_state = checked.rows, checked.is_state
        accepted, prints = self._occurrences.apply(
            checked.accepted, checked.prints, is_state, rows.requests
        )
        if rows.earlier is None:
            verdicts = self._window.judge(prints, is_state)
        else:
            verdicts = rows.earlier.judge(self._window, accepted["row"], prints, is_state)
        if is_state is not None:
            accepted = with_places(accepted, is_state, rows.places.refs(accepted["row"]))
        result = Result(
            *(rows.frame.height, checked.reasons, accepted, verdicts),
            *(checked.warnings, checked.erased, checked.skipped),
        )
        by_outcome = result.rows_by_outcome()
        if rows.earlier is None:
            self._count(result.count - len(result.skipped), by_outcome)
            self._quarantine(rows, result.refused)
        else:
            del by_outcome["quarantined"]
            self._count(sum(map(len, by_outcome.values())), by_outcome)
            self._resolve(rows.places, by_outcome, is_edited=rows.earlier.is_edited)
        self._store(rows.places, result.stored)
        return result

    def _suppress(
        self, checked: Checked, subjects: Sequence[pl.Series], reader: RecordReader
    ) -> Checked:
        """Leave out rows of erased people; the record of a row to be kept is read for it, too."""
        rows = checked.rows
        kept = checked.reasons["row"] if rows.earlier is None else no_rows()
        gone = self.suppressed.gone(subjects, rows.frame.height, kept, rows.raw, reader)
        if gone is None:
            return checked
        stays = ~gone.gather(checked.accepted["row"])
        is_state = checked.is_state
        return replace(
            checked,
            reasons=checked.reasons.filter(~gone.gather(checked.reasons["row"])),
            warnings=checked.warnings.filter(~gone.gather(checked.warnings["row"])),
            accepted=checked.accepted.filter(stays),
            prints=checked.prints.filter(stays),
            is_state=None if is_state is None else is_state.filter(stays),
            erased=_without(gone.arg_true(), checked.skipped),
        )

    def _count(self, received: int, by_outcome: Mapping[str, pl.Series]) -> None:
        counts = Counts(received, **{name: len(rows) for name, rows in by_outcome.items()})
        self.counts += counts.as_replay if self.key.replay else counts

    def _store(self, places: Places, rows: pl.DataFrame) -> None:
        if rows.height:
            refs, others = places.refs(rows["row"]), places.others(rows["row"])
            spec = RAW_TABLES[self.key.data_type]
            self._output.append(raw_rows(spec, rows, refs, self.key, others))

    def _quarantine(self, rows: Rows, reasons: pl.DataFrame) -> None:
        if not reasons.height:
            return
        refused = reasons_by_row(reasons)
        raw = rows.raw(refused["row"].to_list())
        refs, others = rows.places.refs(refused["row"]), rows.places.others(refused["row"])
        self._output.append_companion(
            quarantine_rows(self.key, raw, refs, refused["reasons"], rows.layout, others)
        )

    def _resolve(
        self, places: Places, by_outcome: Mapping[str, pl.Series], *, is_edited: bool
    ) -> None:
        for outcome, rows in by_outcome.items():
            if count := len(rows):
                edited = pl.repeat(is_edited, count, dtype=pl.Boolean, eager=True)
                outcomes = pl.repeat(outcome, count, eager=True)
                refs = pl.Series(places.refs(rows))
                self._output.append_companion(outcome_rows(self.key, refs, outcomes, edited))
