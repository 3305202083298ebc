"""Takes rows of the quarantine in again: under other settings, or as somebody corrected them.

A replay amends its batch: rows move from `quarantined` to `stored`, `duplicate` or `suppressed`
in one commit per batch (docs/adr/0008). What is still wrong stays where it is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl

from ingest_service.dedupe.occurrences import Occurrences
from ingest_service.dedupe.window import BatchSession, BatchWindow, DedupeWindows, History, Verdict
from ingest_service.pipeline.rows import outcome_rows, raw_rows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.readers.quarantined import EditedRows, reread, without_unsent
from ingest_service.sinks.base import BatchKey, Counts, OutdatedError, Sink, SinkBatch
from lakehouse.contracts.identity import fingerprints
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.contracts.validator import Validated, Validator, dated_states
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import Suppressed, SuppressionList, is_unchanged
from lakehouse.storage.ledger import counting, ledger_rows
from lakehouse.storage.quarantine import ASKED, Quarantine

if TYPE_CHECKING:
    from lakehouse.storage.ledger import OpenTable

MAX_ATTEMPTS: Final = 5
UNREADABLE: Final = "unreadable"
_DOUBTFUL: Final = tuple(
    code.value for code in (ReasonCode.BAD_QUOTE, ReasonCode.BAD_ESCAPE, ReasonCode.RAGGED_ROW)
)
"""Counted for a record that cannot be read alone: it needs an edited row."""


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """What to replay: a tenant's open rows, of one batch or all.

    `mapping` reads them with another of the tenant's source mappings than the one of their batch.
    With `edited`, only the rows that it holds are tried.
    """

    tenant_id: str
    settings: TenantSettings
    batch_id: str | None = None
    mapping: str | None = None
    edited: EditedRows | None = None


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """What a replay made of a batch; tried = stored + duplicate + suppressed + still open.

    `still_open_by_code` counts reasons, of which a row may have several; `refusal` says why none
    could be tried.
    """

    batch_id: str
    tried: int
    stored: int = 0
    duplicate: int = 0
    suppressed: int = 0
    still_open_by_code: dict[str, int] = field(default_factory=dict)
    refusal: str | None = None

    @property
    def still_open(self) -> int:
        """Rows that stay in quarantine."""
        return self.tried - self.stored - self.duplicate - self.suppressed


class Replayer:
    """Replays quarantined rows; any number of processes may do so at once, beside uploads."""

    def __init__(
        self,
        sink: Sink,
        table: "OpenTable",
        history: History,
        windows: DedupeWindows,
        suppression: SuppressionList,
        clock: Callable[[], datetime],
    ) -> None:
        self._sink = sink
        self._table = table
        self._history = history
        self._windows = windows
        self._suppression = suppression
        self._clock = clock

    def replay(
        self, order: ReplayOrder, on_batch: Callable[[BatchKey], None] = lambda _: None
    ) -> list[ReplayedBatch]:
        """Try the rows once more, batch by batch, each batch as a whole or not at all.

        A row that was taken in is not open any more, so a replay may be repeated, also after a
        kill at any moment, and each row lands once. `on_batch` is told each batch before its
        first commit.
        """
        return [
            self._batch(order, batch_id, DataType(data_type), source, on_batch)
            for batch_id, data_type, source in self._wanted(order)
        ]

    def _wanted(self, order: ReplayOrder) -> list[tuple[str, str, str]]:
        open_rows = Quarantine(self._table, order.tenant_id, order.batch_id, asked=ASKED)
        found = open_rows.batches()
        if order.edited is not None:
            edited = {batch_id for batch_id, _ in order.edited.values}
            found = found.filter(pl.col("batch_id").is_in(list(edited)))
        return list(found.select("batch_id", "data_type", "source").iter_rows())

    def _batch(
        self,
        order: ReplayOrder,
        batch_id: str,
        data_type: DataType,
        source: str,
        on_batch: Callable[[BatchKey], None],
    ) -> ReplayedBatch:
        events = self._windows.of(order.tenant_id, data_type)
        with events.batch(self._history, order.tenant_id, data_type) as session:
            for _ in range(MAX_ATTEMPTS):
                number = self._next_number(order.tenant_id, batch_id)
                key = BatchKey(order.tenant_id, data_type, batch_id, self._clock(), source, number)
                on_batch(key)
                report = self._attempt(order, key, session)
                if report is not None:
                    return report
        raise EtaError(
            "another replay of the same rows, or an erasure, came in between each time",
            remedy="replay again when it has ended",
        )

    def _attempt(
        self, order: ReplayOrder, key: BatchKey, session: BatchSession
    ) -> ReplayedBatch | None:
        """Replay a batch; None when something came in between: then nothing has changed."""
        suppressed = self._suppression.current(order.tenant_id)
        is_current = partial(is_unchanged, self._suppression, order.tenant_id, suppressed)
        window = session.start()
        batch = self._sink.begin(key)
        stored = partial(self._history.stored, order.tenant_id, key.data_type)
        run = _ReplayRun(order, key, batch, window, suppressed, stored)
        try:
            quarantine = Quarantine(self._table, order.tenant_id, key.batch_id, asked=ASKED)
            for rows in quarantine.rows():
                run.take(rows)
            if not run.resolved:
                batch.abort()
                return run.report()
            if not batch.commit(run.counts(), is_current):
                return None
        except OutdatedError:
            return None
        except BaseException:
            batch.abort()
            raise
        session.publish(window, key.commit_id)
        return run.report()

    def _next_number(self, tenant_id: str, batch_id: str) -> int:
        """One more than the number of the batch's newest replay."""
        rows = ledger_rows(self._table, tenant_id, "replay > 0")
        mine = rows.filter(pl.col("batch_id") == batch_id)
        kept = counting(mine, self._table, datetime.now(UTC), settled=ASKED)
        newest = kept["replay"].max()
        return 1 + int(newest) if isinstance(newest, int) else 1


class _ReplayRun:
    """One pass over the open rows of a batch."""

    def __init__(
        self,
        order: ReplayOrder,
        key: BatchKey,
        batch: SinkBatch,
        window: BatchWindow,
        suppressed: Suppressed,
        stored: Callable[[pl.Series], pl.DataFrame],
    ) -> None:
        self._stored = stored
        self._order = order
        self._key = key
        self._batch = batch
        self._window = window
        self._occurrences = Occurrences(key.data_type)
        self._suppressed = suppressed
        self._validators: dict[tuple[str, tuple[str, ...], bool], Validator] = {}
        self._tried = 0
        self._outcomes: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._refusal: str | None = None

    @property
    def resolved(self) -> int:
        """How many rows leave the quarantine."""
        return self._outcomes.total()

    def counts(self) -> Counts:
        """What the replay changes."""
        done = self._outcomes
        return Counts(0, done["stored"], done["duplicate"], -self.resolved, done["suppressed"])

    def report(self) -> ReplayedBatch:
        """What became of the rows."""
        done = self._outcomes
        return ReplayedBatch(
            self._key.batch_id,
            self._tried,
            done["stored"],
            done["duplicate"],
            done["suppressed"],
            {code: count for code, count in self._codes.items() if count},
            self._refusal,
        )

    def take(self, rows: pl.DataFrame) -> None:
        """Try open rows of the batch."""
        if self._order.edited is not None:
            rows = self._order.edited.of(rows)
        for (text,), alike in rows.group_by("layout", maintain_order=True):
            layout = SourceLayout.from_text(str(text))
            self._tried += alike.height
            try:
                self._try(layout, alike)
            except EtaError as error:  # the mapping cannot read this layout, or is gone
                self._refusal = error.message

    def _try(self, layout: SourceLayout, rows: pl.DataFrame) -> None:
        edited = self._order.edited
        if edited is None:
            texts, is_read = reread(layout, rows["raw"].to_list(), lambda: self._asked(layout))
            is_read &= ~_is_doubtful(layout, rows["reasons"])
            rows, texts = rows.filter(is_read), texts.filter(is_read)
            self._codes[UNREADABLE] += int((~is_read).sum())
        else:
            texts = edited.texts(rows)
            if layout.format != "csv":
                known, _ = reread(layout, rows["raw"].to_list(), lambda: self._asked(layout))
                texts = without_unsent(texts, known)
        if not rows.height:
            return
        validator = self._validator(layout, tuple(texts.columns))
        gone = self._gone(validator, texts, layout)
        self._resolve(rows["source_ref"].filter(gone), "suppressed")
        rows, texts = rows.filter(~gone), texts.filter(~gone)
        self._judge(validator, rows, texts)

    def _judge(self, validator: Validator, rows: pl.DataFrame, texts: pl.DataFrame) -> None:
        refs = rows["source_ref"]
        validated = validator.validate(texts, self._key.known_at)
        validated = dated_states(validated, rows["known_at"])
        self._codes.update(dict(validated.reasons["code"].value_counts().iter_rows()))
        accepted, data_type = validated.accepted, self._key.data_type
        prints = fingerprints(data_type, accepted, validated.payload, validated.is_state)
        accepted, prints = self._occurrences.apply(accepted, prints, validated.is_state)
        verdicts = self._verdicts(rows["reasons"].gather(accepted["row"]), prints, validated)
        places = refs.gather(accepted["row"])
        is_new = verdicts == Verdict.NEW
        conflicts = int((verdicts == Verdict.CONFLICT).sum())
        if conflicts:
            self._codes[ReasonCode.CONFLICTING_EVENT.value] += conflicts
        self._resolve(places.filter(verdicts == Verdict.DUPLICATE), "duplicate")
        self._resolve(places.filter(is_new), "stored")
        if is_new.any():
            stored = accepted.filter(is_new)
            places = places.filter(is_new)
            known_at = None
            if data_type is DataType.ITEMS:  # its place among the rows that it was sent with
                known_at = rows["known_at"].gather(stored["row"]).to_arrow()
            table = RAW_TABLES[data_type]
            self._batch.append(
                raw_rows(table, stored, places.to_arrow(), self._key, known_at=known_at)
            )

    def _verdicts(
        self, reasons: pl.Series, prints: pl.DataFrame, validated: Validated
    ) -> pl.Series:
        """Return what the rows are beside those that are stored.

        A row that contradicted a stored one still does, though the window may have forgotten that
        one: all stored rows are asked.
        """
        contradicts = _has(reasons, (ReasonCode.CONFLICTING_EVENT.value,))
        if not contradicts.any():
            return self._window.judge(prints, validated.is_state)
        numbered = prints.with_row_index("row")
        suspects = numbered.filter(contradicts)
        known = suspects.join(self._stored(suspects["key"]), on="key", suffix="_stored")
        is_same = (pl.col("payload") == pl.col("payload_stored")).any()
        verdict = pl.when(is_same).then(Verdict.DUPLICATE).otherwise(Verdict.CONFLICT)
        judged = known.group_by("row").agg(verdict.cast(pl.UInt8).alias("verdict"))
        rest = numbered.join(judged, on="row", how="anti", maintain_order="left")
        is_state = None if validated.is_state is None else validated.is_state.gather(rest["row"])
        new = self._window.judge(rest.drop("row"), is_state)
        verdicts = pl.repeat(Verdict.NEW, prints.height, dtype=pl.UInt8, eager=True)
        verdicts = verdicts.scatter(rest["row"], new)
        return verdicts.scatter(judged["row"], judged["verdict"])

    def _gone(self, validator: Validator, texts: pl.DataFrame, layout: SourceLayout) -> pl.Series:
        subjects = validator.subjects(texts)
        if self._suppressed.is_empty or not subjects:
            return pl.repeat(value=False, n=texts.height, dtype=pl.Boolean, eager=True)
        name = self._order.mapping or layout.mapping
        read_with = layout.model_copy(update={"mapping": name})
        own = {name: self._order.settings.mapping(name)}
        reader = self._suppressed.readers(own).of(self._key.data_type, read_with)
        return self._suppressed.matches(subjects, reader.fields)

    def _resolve(self, refs: pl.Series, outcome: str) -> None:
        if not len(refs):
            return
        self._outcomes[outcome] += len(refs)
        count = len(refs)
        outcomes = pl.repeat(outcome, count, eager=True)
        is_edited = pl.repeat(self._order.edited is not None, count, dtype=pl.Boolean, eager=True)
        self._batch.resolve(outcome_rows(self._key, refs, outcomes, is_edited))

    def _asked(self, layout: SourceLayout) -> JsonColumns:
        mapping = self._order.settings.mapping(self._order.mapping or layout.mapping)
        return JsonColumns.of(self._key.data_type, mapping)

    def _validator(self, layout: SourceLayout, columns: tuple[str, ...]) -> Validator:
        name = self._order.mapping or layout.mapping
        has_named_fields = layout.format != "csv"
        key = (name, columns, has_named_fields)
        if key not in self._validators:
            settings = self._order.settings
            mapping = settings.mapping(name)
            self._validators[key] = Validator(
                self._key.data_type, mapping, settings, columns, has_named_fields=has_named_fields
            )
        return self._validators[key]


def _is_doubtful(layout: SourceLayout, reasons: pl.Series) -> pl.Series:
    """Which records of a CSV file may be no rows, or others, though each alone can be parsed.

    A line beside a stray quote may be text of a field; only an edited export says what it is.
    """
    if layout.format != "csv":
        return pl.repeat(value=False, n=len(reasons), dtype=pl.Boolean, eager=True)
    return _has(reasons, _DOUBTFUL)


def _has(reasons: pl.Series, wanted: Sequence[str]) -> pl.Series:
    """Return which rows have one of these codes among their reasons."""
    codes = pl.element().struct.field("code").is_in(wanted)
    return reasons.list.eval(codes).list.any().fill_null(value=False)
