"""A micro-batch of many tenants' messages through the pipeline: rows for the tables."""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from secrets import token_hex
from typing import Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from ingest_service.dedupe.segments import Storage
from ingest_service.dedupe.window import BatchSession, BatchWindow, DedupeWindows, History
from ingest_service.pipeline.batch import BatchPipeline, Result, Rows
from ingest_service.pipeline.counts import OUTCOMES, Counts
from ingest_service.pipeline.rows import ledger_rows
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
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.contracts.validator import REASON_SCHEMA, Validator
from lakehouse.privacy.suppression import SuppressionList
from lakehouse.storage.stream_offsets import SOURCE

_NO_WINDOW: Final = BatchWindow([], Storage(0))
"""Of messages that are no rows: nothing of them is compared."""


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


@dataclass(frozen=True, slots=True)
class _TenantTables:
    """Where a tenant's rows of one data type go; see `Output`."""

    tables: _Tables
    key: BatchKey

    def append(self, rows: pa.Table) -> None:
        of = (self.key.data_type, self.key.tenant_id)
        self.tables.raw.setdefault(of, []).append(rows)

    def append_companion(self, rows: pa.Table) -> None:
        self.tables.quarantine.setdefault(self.key.tenant_id, []).append(rows)


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
        self._key = BatchKey(messages.tenant_id, messages.data_type, "", known_at, SOURCE)
        self._codes: Counter[str] = Counter()
        # what became of the messages, and how many there are, per part
        self._tally = {name: np.zeros(len(parts), dtype=np.int64) for name in OUTCOMES}
        self._received = np.zeros(len(parts), dtype=np.int64)

    def run(self) -> None:
        tenant_id, data_type = self._key.tenant_id, self._key.data_type
        suppressed = self._intake.suppression.current(tenant_id)
        # the list of the first look counts until the commit
        self._prepared.suppression_versions.setdefault(tenant_id, suppressed.version)
        window, session = _NO_WINDOW, None
        if self._messages.groups:
            events = self._intake.windows.of(tenant_id, data_type)
            session = self._prepared.held.enter_context(
                events.batch(self._intake.history, tenant_id, data_type)
            )
            window = session.start()
        output = _TenantTables(self._tables, self._key)
        batch = BatchPipeline(self._key, window, suppressed, output)
        settings = self._intake.tenants.settings(tenant_id)
        self._take_bad(batch, settings)
        for group in self._messages.groups:
            if group.places:
                assert settings is not None
                self._take(batch, group, settings)
        if session is not None:
            self._prepared.windows.append((session, window, batch.counts.stored))
        self._enter_ledger()

    def _take(self, batch: BatchPipeline, group: RowGroup, settings: TenantSettings) -> None:
        columns = tuple(group.texts.values)
        data_type = self._key.data_type
        mapping = settings.mapping(group.layout.mapping, data_type)
        validator = Validator(
            data_type, mapping, settings, columns, has_named_fields=True, titles=None
        )
        reader = batch.suppressed.readers(settings.sources).of(data_type, group.layout)
        places = Positions.of(group.places, self._parts, self._key.tenant_id)
        rows = Rows(
            pl.DataFrame(group.texts.values, schema=dict.fromkeys(columns, pl.String)),
            group.raws,
            places,
            group.layout,
            pl.DataFrame(group.texts.faults, schema=REASON_SCHEMA, orient="row"),
        )
        self._note(places, batch.take(batch.check(rows, validator, reader)))

    def _take_bad(self, batch: BatchPipeline, settings: TenantSettings | None) -> None:
        """Take messages that are no rows."""
        by_layout: dict[SourceLayout, list[BadMessage]] = {}
        for bad in self._messages.bad:
            by_layout.setdefault(bad.layout, []).append(bad)
        readers = batch.suppressed.readers(settings.sources if settings is not None else {})
        for layout, alike in by_layout.items():
            places = Positions.of([bad.place for bad in alike], self._parts, self._key.tenant_id)
            raws = [bad.raw for bad in alike]
            faults = [(row, bad.code.value, "", "", bad.message) for row, bad in enumerate(alike)]
            rows = Rows(
                pl.DataFrame({"raw": raws}),
                partial(_chosen, raws),
                places,
                layout,
                pl.DataFrame(faults, schema=REASON_SCHEMA, orient="row"),
            )
            reader = readers.of(self._key.data_type, layout)
            self._note(places, batch.take(batch.check_unread(rows, reader)))

    def _note(self, places: Positions, result: Result) -> None:
        """Count what became of messages per part, and why they are wrong or odd."""
        count, data_type = len(self._parts), self._key.data_type
        self._received += np.bincount(places.parts, minlength=count)
        self._received -= np.bincount(places.parts[result.skipped.to_numpy()], minlength=count)
        for name, rows in result.rows_by_outcome().items():
            self._tally[name] += np.bincount(places.parts[rows.to_numpy()], minlength=count)
        for code, number in result.refused["code"].value_counts().iter_rows():
            self._codes[code] += number
            self._prepared.codes[data_type, code] += number
        for code, number in result.warnings["code"].value_counts().iter_rows():
            self._prepared.warnings[data_type, code] += number

    def _enter_ledger(self) -> None:
        tenant_id, data_type = self._key.tenant_id, self._key.data_type
        entries = []
        for number, part in enumerate(self._parts):
            became = {name: int(tally[number]) for name, tally in self._tally.items()}
            counts = Counts(int(self._received[number]), **became)
            if not counts.received:
                continue
            key = replace(self._key, batch_id=batch_id_of(part, tenant_id))
            entries.append((key, part.assignment.epoch, counts))
            of = part.assignment.feed.partition
            rejected = (counts.received, counts.quarantined)
            one = Outcome(of.topic, of.number, tenant_id, *rejected, self._codes)
            self._prepared.outcomes.append(one)
            self._prepared.tallies[data_type].update(became)
        if entries:  # else every message said that it is another tenant's
            self._tables.ledger.setdefault(tenant_id, []).append(ledger_rows(entries))


def _chosen(raws: Sequence[bytes], rows: Sequence[int]) -> list[bytes]:
    return [raws[row] for row in rows]
