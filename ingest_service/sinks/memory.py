"""A sink that keeps rows in memory: for tests of what stands above it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey, OutdatedError, always
from lakehouse.contracts.tenant import DataType


@dataclass(slots=True)
class MemorySink:
    """Keeps committed batches in lists, in commit order."""

    raw: dict[DataType, list[tuple[BatchKey, pa.Table]]] = field(default_factory=dict)
    quarantined: list[tuple[BatchKey, pa.Table]] = field(default_factory=list)
    outcomes: list[tuple[BatchKey, pa.Table]] = field(default_factory=list)
    ledger: list[tuple[BatchKey, Counts]] = field(default_factory=list)
    committed: set[tuple[DataType, str]] = field(default_factory=set)

    def begin(self, batch: BatchKey) -> "MemoryBatch":
        """Open a batch."""
        return MemoryBatch(self, batch)

    def recorded(self, batch: BatchKey) -> Counts | None:
        """Return what became of a batch that was stored."""
        found = (counts for key, counts in self.ledger if key.commit_id == batch.commit_id)
        return next(found, None)

    def location(self, data_type: DataType) -> str:
        """A name, not a place."""
        return f"memory:raw/{data_type}"


class MemoryBatch:
    """One batch of a `MemorySink`."""

    def __init__(self, sink: MemorySink, batch: BatchKey) -> None:
        self._sink = sink
        self._batch = batch
        self._raw: list[pa.Table] = []
        self._companion: list[pa.Table] = []

    @property
    def is_committed(self) -> bool:
        """Whether a batch of this id was stored."""
        return (self._batch.data_type, self._batch.commit_id) in self._sink.committed

    def append(self, rows: pa.Table) -> None:
        """Add rows for the raw table."""
        if rows.num_rows:
            self._raw.append(rows)

    def append_companion(self, rows: pa.Table) -> None:
        """Add rows for the quarantine, or outcomes of a replay."""
        if rows.num_rows:
            self._companion.append(rows)

    def commit(self, counts: Counts, is_current: Callable[[], bool] = always) -> bool:
        """Store everything at once; False when the batch was stored already."""
        if self.is_committed:
            return False
        if not is_current():
            raise OutdatedError
        companion = self._sink.outcomes if self._batch.replay else self._sink.quarantined
        companion.extend((self._batch, rows) for rows in self._companion)
        self._sink.ledger.append((self._batch, counts))
        stored = self._sink.raw.setdefault(self._batch.data_type, [])
        stored.extend((self._batch, rows) for rows in self._raw)
        self._sink.committed.add((self._batch.data_type, self._batch.commit_id))
        return True

    def abort(self) -> None:
        """Drop everything."""
        self._raw.clear()
        self._companion.clear()
