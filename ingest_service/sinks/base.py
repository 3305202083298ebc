"""What a sink promises, so that every source and every backend agree on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from ingest_service.pipeline.counts import Counts
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.storage.attempts import commit_id_of


@dataclass(frozen=True, slots=True)
class BatchKey:
    """A batch: all its rows share these, and are stored together or not at all.

    `batch_id` is unique in the lake and free of anything personal; it names data files and the
    application transaction. `known_at` is UTC. `replay` is 0 for the batch itself and n for the
    n-th time that rows of its quarantine are taken in; `known_at` is then the time of the replay.
    `is_first`: the id was made for this attempt, so no other one can have been made: what there
    may be of them need not be looked for.
    """

    tenant_id: str
    data_type: DataType
    batch_id: str
    known_at: datetime
    source: str
    replay: int = 0
    is_first: bool = False

    @property
    def commit_id(self) -> str:
        """Names this batch or replay among all: in data files and application transactions."""
        return commit_id_of(self.batch_id, self.replay)

    @property
    def ingest_date(self) -> str:
        """The partition: the UTC date of `known_at`."""
        return self.known_at.date().isoformat()


class OutdatedError(EtaError):
    """Somebody was erased after the rows were read; nothing of the batch was stored."""

    def __init__(self) -> None:
        super().__init__("somebody was erased while the rows were read", remedy="read them again")


def always() -> bool:
    """Rows that nothing can make outdated."""
    return True


class Output(Protocol):
    """Where the rows of a batch go: each table's columns in order, without the partition's."""

    def append(self, rows: pa.Table) -> None:
        """Add rows for the raw table."""
        ...

    def append_companion(self, rows: pa.Table) -> None:
        """Add rows for the raw table's companion: the quarantine.

        Of a replay they are outcomes of rows that it takes out of the quarantine.
        """
        ...


class SinkBatch(Output, Protocol):
    """One batch on its way into the lake, used by one thread at a time.

    Nothing is visible to readers before `commit` returns. Exactly one of `commit` and `abort` ends
    it.
    """

    @property
    def is_committed(self) -> bool:
        """Whether a batch of this id is in the raw table already: then write nothing."""
        ...

    def commit(self, counts: Counts, is_current: Callable[[], bool] = always) -> bool:
        """Store quarantine (a replay: outcomes), then ledger, then raw.

        Raw is last and is the authority: the batch or replay happened if and only if raw has it,
        also when it stores no row. Any number of attempts may run at once: one is stored. Returns
        False when it was not this one; then nothing is added and `counts` are not recorded.
        `is_current` is asked before each commit of rows, on the table as it then stands, so that
        an erasure that has marked the table cannot be overtaken; when it says no, nothing is
        stored and `OutdatedError` raised. Raises `EtaError` when the attempt took so long that it
        was given up for dead.
        """
        ...

    def abort(self) -> None:
        """Drop everything; the lake is as if the batch had never begun. Safe to repeat."""
        ...


class Sink(Protocol):
    """Opens batches and says where tables are."""

    def begin(self, batch: BatchKey) -> SinkBatch:
        """Open a batch; a batch id that was stored before is told by `is_committed`."""
        ...

    def recorded(self, batch: BatchKey) -> Counts | None:
        """Return what became of a batch of this id, None when it is not stored."""
        ...

    def location(self, data_type: DataType) -> str:
        """Path or URL of the raw table of a data type."""
        ...
