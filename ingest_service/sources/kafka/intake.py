"""A micro-batch on its way: read, validate, suppress, dedupe, rows for the tables."""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from ingest_service.dedupe.occurrences import Occurrences
from ingest_service.dedupe.window import (
    BatchSession,
    BatchWindow,
    DedupeWindows,
    History,
    Verdict,
)
from ingest_service.pipeline.rows import quarantine_rows, raw_rows, reasons_by_row, with_places
from ingest_service.readers.messages import (
    BadMessage,
    MessageReader,
    Position,
    RowGroup,
    TenantMessages,
)
from ingest_service.sinks.base import BatchKey
from ingest_service.sources.kafka.positions import PartitionBatch, Positions, batch_id_of
from ingest_service.sources.kafka.rejects import Outcome
from ingest_service.sources.kafka.sink import OffsetRange, StreamRows
from lakehouse.contracts.identity import fingerprints
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_TABLES
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.contracts.validator import REASON_SCHEMA, Validator
from lakehouse.privacy.suppression import Suppressed, SuppressionList
from lakehouse.storage.stream_offsets import SOURCE

LEDGER_REF: Final = "ledger"
_OUTCOMES: Final = ("stored", "duplicate", "quarantined", "suppressed")


@dataclass(slots=True)
class Prepared:
    """A micro-batch that can be stored, and what is to be done once it is.

    `tallies`: per data type what became of the messages, `outcomes` per partition and tenant;
    `codes`: rejects per data type and code, `warnings` what was odd about others.
    """

    rows: StreamRows
    ranges: list[OffsetRange]
    tallies: dict[DataType, Counter[str]]
    outcomes: list[Outcome]
    codes: Counter[tuple[DataType, str]]
    warnings: Counter[tuple[DataType, str]]
    suppression_versions: dict[str, int]
    windows: list[tuple[BatchSession, BatchWindow, int]]
    held: ExitStack

    def publish(self) -> None:
        """Let the dedupe windows keep what is stored now."""
        for session, window, rows in self.windows:
            session.publish(window, self.rows.name, rows)


class Tenants(Protocol):
    """Where tenants' settings come from."""

    def begin(self) -> None:
        """Begin a micro-batch: answers stay the same until the next one begins."""
        ...

    def settings(self, tenant_id: str) -> TenantSettings | None:
        """Return a tenant's settings, None when there is no such tenant."""
        ...


class _Tables:
    """Rows of a micro-batch as they come together."""

    def __init__(self) -> None:
        self.raw: dict[tuple[DataType, str], list[pa.Table]] = {}
        self.quarantine: dict[str, list[pa.Table]] = {}
        self.ledger: dict[str, list[pa.Table]] = {}


class Intake:
    """Prepares micro-batches, one at a time."""

    def __init__(
        self,
        reader: MessageReader,
        tenants: Tenants,
        windows: DedupeWindows,
        history: History,
        suppression: SuppressionList,
        clock: Callable[[], datetime],
    ) -> None:
        self._reader = reader
        self.tenants = tenants
        self.windows = windows
        self.history = history
        self.suppression = suppression
        self._clock = clock

    def prepare(
        self, parts: Sequence[PartitionBatch], poison: Set[Position] = frozenset()
    ) -> Prepared:
        """Return the batch ready to be stored; `held` is to be closed when it is done with.

        Messages at `poison` are not read; they go to quarantine with their bytes.
        Raises `RegistryAwayError` when it cannot be read now.
        """
        self.tenants.begin()
        known_at = self._clock()
        read = self._reader.read(
            [(part.assignment.data_type, part.records) for part in parts], poison
        )
        tables = _Tables()
        prepared = Prepared(
            rows=StreamRows(
                tables.raw,
                tables.quarantine,
                tables.ledger,
                known_at.date().isoformat(),
                f"stream-{token_hex(8)}",
            ),
            ranges=[OffsetRange(part.assignment, part.after) for part in parts],
            tallies={part.assignment.data_type: Counter() for part in parts},
            outcomes=[],
            codes=Counter(),
            warnings=Counter(),
            suppression_versions={},
            windows=[],
            held=ExitStack(),
        )
        try:
            # one order for all, so that two that share windows cannot wait for each other
            for messages in sorted(read, key=lambda one: (one.tenant_id, one.data_type)):
                _TenantRun(self, prepared, tables, messages, parts, known_at).run()
        except BaseException:
            prepared.held.close()
            raise
        return prepared

    def is_current(self, prepared: Prepared) -> bool:
        """Whether nobody was erased since the batch was prepared."""
        return all(
            self.suppression.current(tenant_id).version == version
            for tenant_id, version in prepared.suppression_versions.items()
        )


class _TenantRun:
    """One tenant's messages of one data type."""

    def __init__(
        self,
        intake: Intake,
        prepared: Prepared,
        tables: _Tables,
        messages: TenantMessages,
        parts: Sequence[PartitionBatch],
        known_at: datetime,
    ) -> None:
        self._intake = intake
        self._prepared = prepared
        self._tables = tables
        self._messages = messages
        self._parts = parts
        self._tenant_id = messages.tenant_id
        self._data_type = messages.data_type
        self._key = BatchKey(self._tenant_id, self._data_type, "", known_at, SOURCE)
        self._occurrences = Occurrences(self._data_type)
        self._codes: Counter[str] = Counter()
        # what became of the messages, per part
        self._tally = {name: np.zeros(len(parts), dtype=np.int64) for name in _OUTCOMES}

    def run(self) -> None:
        self._keep_aside_bad()
        if self._messages.groups:
            self._take_groups()
        self._enter_ledger()

    def _take_groups(self) -> None:
        intake, tenant_id, data_type = self._intake, self._tenant_id, self._data_type
        events = intake.windows.of(tenant_id, data_type)
        session = self._prepared.held.enter_context(
            events.batch(intake.history, tenant_id, data_type)
        )
        window = session.start()
        for group in self._messages.groups:
            if group.places:
                self._take(group, window)
        stored = int(self._tally["stored"].sum())
        self._prepared.windows.append((session, window, stored))

    def _take(self, group: RowGroup, window: BatchWindow) -> None:
        """Validate, suppress and dedupe; hand on what is new and what is wrong."""
        settings = self._intake.tenants.settings(self._tenant_id)
        assert settings is not None
        columns = tuple(group.texts.values)
        mapping = settings.mapping(group.layout.mapping)
        validator = Validator(self._data_type, mapping, settings, columns, has_named_fields=True)
        frame = pl.DataFrame(group.texts.values, schema=dict.fromkeys(columns, pl.String))
        faults = pl.DataFrame(group.texts.faults, schema=REASON_SCHEMA, orient="row")
        found = validator.validate(frame, self._key.known_at, faults=faults)
        rows, reasons, warnings = found.accepted, found.reasons, found.warnings
        prints = fingerprints(self._data_type, rows, found.payload, found.is_state)
        places = Positions.of(group.places, self._parts, self._tenant_id)
        subjects = validator.subjects(frame)
        suppressed = self._suppressed()
        reader = suppressed.readers(settings.sources).of(self._data_type, group.layout)
        gone = suppressed.gone(subjects, frame.height, reasons["row"], group.raws, reader)
        if gone is not None:
            self._count("suppressed", places, gone.arg_true())
            kept = ~gone.gather(rows["row"])
            rows, prints = rows.filter(kept), prints.filter(kept)
            reasons = reasons.filter(~gone.gather(reasons["row"]))
            warnings = warnings.filter(~gone.gather(warnings["row"]))
        is_state = found.is_state
        if is_state is not None and gone is not None:
            is_state = is_state.filter(~gone.gather(found.accepted["row"]))
        self._note_warnings(warnings)
        if reasons.height:
            self._note_refused(reasons)
            self._quarantine(group, places, reasons_by_row(reasons))
        rows, prints = self._occurrences.apply(rows, prints, is_state)
        verdicts = window.judge(prints, is_state)
        rows = with_places(rows, is_state, places.columns(rows["row"])[0])
        if (verdicts != Verdict.NEW).any():
            conflicts = rows.filter(verdicts == Verdict.CONFLICT)
            if conflicts.height:
                reasons = _conflicts(conflicts)
                self._note_refused(reasons)
                self._quarantine(group, places, reasons_by_row(reasons))
            self._count("duplicate", places, rows.filter(verdicts == Verdict.DUPLICATE)["row"])
            rows = rows.filter(verdicts == Verdict.NEW)
        if rows.height:
            self._store(rows, places)

    def _suppressed(self) -> Suppressed:
        """Return the tenant's list; the one of its first look counts until the commit."""
        suppressed = self._intake.suppression.current(self._tenant_id)
        self._prepared.suppression_versions.setdefault(self._tenant_id, suppressed.version)
        return suppressed

    def _store(self, rows: pl.DataFrame, places: Positions) -> None:
        self._count("stored", places, rows["row"])
        refs, batch_ids = places.columns(rows["row"])
        table = raw_rows(RAW_TABLES[self._data_type], rows, refs, self._key, batch_ids)
        self._tables.raw.setdefault((self._data_type, self._tenant_id), []).append(table)

    def _quarantine(self, group: RowGroup, places: Positions, refused: pl.DataFrame) -> None:
        self._count("quarantined", places, refused["row"])
        raw = group.raws(refused["row"].to_list())
        self._keep_aside(raw, places, refused["row"], refused["reasons"], group.layout)

    def _keep_aside_bad(self) -> None:
        by_layout: dict[SourceLayout, list[BadMessage]] = {}
        suppressed = self._suppressed()
        settings = self._intake.tenants.settings(self._tenant_id)
        readers = suppressed.readers(settings.sources if settings is not None else {})
        for bad in self._messages.bad:
            reader = readers.of(self._data_type, bad.layout)
            if not suppressed.is_empty and suppressed.named([bad.raw], reader)[0]:
                place = Positions.of([bad.place], self._parts, self._tenant_id)
                self._count("suppressed", place, pl.Series([0], dtype=pl.UInt32))
                continue
            by_layout.setdefault(bad.layout, []).append(bad)
            self._refuse(bad.code.value, 1)
        for layout, alike in by_layout.items():
            places = Positions.of([bad.place for bad in alike], self._parts, self._tenant_id)
            rows = pl.Series(range(len(alike)), dtype=pl.UInt32)
            self._count("quarantined", places, rows)
            reasons = [
                [{"code": bad.code.value, "field": "", "message": bad.message}] for bad in alike
            ]
            self._keep_aside([bad.raw for bad in alike], places, rows, reasons, layout)

    def _keep_aside(
        self,
        raw: list[bytes],
        places: Positions,
        rows: pl.Series,
        reasons: pl.Series | list[list[dict[str, str]]],
        layout: SourceLayout,
    ) -> None:
        refs, batch_ids = places.columns(rows)
        table = quarantine_rows(self._key, raw, refs, reasons, layout, batch_ids)
        attempts = pa.array(places.epochs(rows), pa.int64())
        self._tables.quarantine.setdefault(self._tenant_id, []).append(
            table.append_column("attempt", attempts)
        )

    def _enter_ledger(self) -> None:
        tally = self._tally
        received = sum(tally.values())
        entries = [
            {
                "data_type": self._data_type.value,
                "replay": 0,
                "received": int(received[number]),  # type: ignore[index]
                **{name: int(tally[name][number]) for name in _OUTCOMES},
                "known_at": self._key.known_at,
                "source": SOURCE,
                "batch_id": batch_id_of(part, self._tenant_id),
                "source_ref": LEDGER_REF,
                "attempt": part.assignment.epoch,
            }
            for number, part in enumerate(self._parts)
            if received[number]  # type: ignore[index]
        ]
        for number, part in enumerate(self._parts):
            if received[number]:  # type: ignore[index]
                of, aside = part.assignment.feed.partition, int(tally["quarantined"][number])
                counts = (int(received[number]), aside)  # type: ignore[index]
                one = Outcome(of.topic, of.number, self._tenant_id, *counts, self._codes)
                self._prepared.outcomes.append(one)
        names = [n for n in OPS_INGEST_LEDGER.schema.names if n not in ("tenant_id", "ingest_date")]
        frame = pl.DataFrame(entries, schema_overrides={"replay": pl.Int32}).select(names)
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._tables.ledger.setdefault(self._tenant_id, []).append(table)
        for name in _OUTCOMES:
            self._prepared.tallies[self._data_type][name] += int(tally[name].sum())

    def _count(self, outcome: str, places: Positions, rows: pl.Series) -> None:
        if len(rows):
            parts = places.parts[rows.to_numpy()]
            self._tally[outcome] += np.bincount(parts, minlength=len(self._parts))

    def _note_refused(self, reasons: pl.DataFrame) -> None:
        for code, count in reasons["code"].value_counts().iter_rows():
            self._refuse(code, count)

    def _refuse(self, code: str, count: int) -> None:
        self._codes[code] += count
        self._prepared.codes[self._data_type, code] += count

    def _note_warnings(self, warnings: pl.DataFrame) -> None:
        for code, count in warnings["code"].value_counts().iter_rows():
            self._prepared.warnings[self._data_type, code] += count


def _conflicts(rows: pl.DataFrame) -> pl.DataFrame:
    code = ReasonCode.CONFLICTING_EVENT
    return rows.select(
        "row",
        code=pl.lit(code.value),
        field=pl.lit("event_id"),
        message=pl.lit(EXPLANATIONS[code].meaning),
    )
