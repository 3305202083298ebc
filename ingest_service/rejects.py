"""Rejected rows of a tenant: counted by reason, handed out as they were sent, taken in again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest_service.readers.quarantined import EditedRows
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.replay import ReplayedBatch, Replayer, ReplayOrder
from lakehouse.control.database import ControlDatabase
from lakehouse.storage.quarantine import Quarantine, ReasonCount
from lakehouse.storage.quarantine_export import export_lines

REPLAY_JOB: Final = "replay"
MOST_BATCHES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RejectedBatch:
    """A batch with open rows."""

    batch_id: str
    data_type: str
    source: str
    rows: int


@dataclass(frozen=True, slots=True)
class Rejects:
    """Open rows by reason, the most frequent first, and by batch, the newest of them first."""

    rows: int
    reasons: list[ReasonCount]
    batches: list[RejectedBatch]


class RejectDesk:
    """Answers about the quarantine; for several threads."""

    def __init__(self, control: ControlDatabase, sink: DeltaSink, replayer: Replayer) -> None:
        self._control = control
        self._sink = sink
        self._replayer = replayer

    def count(self, tenant_id: str, batch_id: str | None) -> Rejects:
        """Return how many rows are open; `EtaError` for what is no batch's id."""

        def read() -> Rejects:
            quarantine = Quarantine(self._sink.table, tenant_id, batch_id)
            found = quarantine.batches()
            newest = found.reverse().head(MOST_BATCHES)
            batches = [RejectedBatch(*row) for row in newest.iter_rows()]
            return Rejects(int(found["rows"].sum()), quarantine.reasons(), batches)

        return self._sink.reading(read)

    def lines(
        self, tenant_id: str, batch_id: str, code: str | None, write: Callable[[bytes], None]
    ) -> int:
        """Write a batch's open rows, as `export_lines` has them; return how many."""
        quarantine = self._sink.reading(lambda: Quarantine(self._sink.table, tenant_id, batch_id))
        count = 0
        for lines, rows in export_lines(quarantine.rows(code)):
            write(lines)
            count += rows
        return count

    def replay(
        self,
        tenant_id: str,
        batch_id: str | None,
        mapping: str | None,
        edited: EditedRows | None,
    ) -> list[ReplayedBatch]:
        """Replay open rows under the tenant's present settings, each batch as a job."""
        settings = self._control.tenant_settings(tenant_id)
        order = ReplayOrder(tenant_id, settings, batch_id, mapping, edited)
        jobs: list[str] = []

        def on_batch(key: BatchKey) -> None:
            jobs.append(self._control.jobs.start(key.tenant_id, REPLAY_JOB, key.commit_id))

        state = "failed"
        try:
            found = self._replayer.replay(order, on_batch)
            state = "succeeded"
            return found
        finally:
            for job in jobs:
                self._control.jobs.finish(job, state, {})
