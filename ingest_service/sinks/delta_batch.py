"""One attempt at a batch: data files as rows come, three commits at the end.

Three tables take part in a batch and Delta has no transaction over several, so the order carries
the guarantee: quarantine (of a replay: outcomes), ledger, raw, all with the application
transaction (commit id, attempt). Every attempt at a batch has a number of its own and marks with
it what it writes beside raw. Raw takes one attempt only, and its transaction names it: rows of
another do not count. They are removed by the attempt itself when it lost, by the winner, or by
`recovery` after a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from secrets import randbits
from time import monotonic
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import ledger_rows
from ingest_service.sinks.base import BatchKey, OutdatedError, always
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.errors import EtaError
from lakehouse.lineage.batches import StoredBatch
from lakehouse.storage.attempts import is_won
from lakehouse.storage.faults import storage_errors
from lakehouse.storage.maintenance import Day
from lakehouse.storage.staging import StagedFile, StagedRows

if TYPE_CHECKING:
    from ingest_service.sinks.delta import DeltaSink

SURE_SECONDS: Final = 600
"""How long nobody takes a batch for dead: recovery waits longer."""


def companion_table(replay: int) -> TableSpec:
    """Return the table that a batch, or its n-th replay, commits to first."""
    return OPS_REPLAY_OUTCOMES if replay else RAW_QUARANTINE


class DeltaBatch:
    """One attempt at a batch of a `DeltaSink`; data files appear as rows come, commits at the end.

    Rows are encoded in a thread of the batch's own while the next ones are validated; at most two
    appends are in memory.
    """

    def __init__(self, sink: DeltaSink, batch: BatchKey) -> None:
        self._sink = sink
        self._batch = batch
        self._attempt = randbits(62) + 1
        self._begun = monotonic()
        self._raw_spec = RAW_TABLES[batch.data_type]
        self._before = None if batch.is_first else sink.state(self._raw_spec, batch.commit_id)
        self._raw = self._staged(self._raw_spec)
        self._raw_files: Sequence[StagedFile] = ()
        self._companion_spec = companion_table(batch.replay)
        self._companion: StagedRows | None = None  # most batches need none
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writing: Future[None] | None = None

    @property
    def is_committed(self) -> bool:
        """Whether the raw table has this batch or replay."""
        return is_won(self._sink.state(self._raw_spec, self._batch.commit_id))

    def append(self, rows: pa.Table) -> None:
        """Write rows to the raw table's data files; an error of the last append is raised here."""
        if self._batch.is_first:  # of one piece, as a rule: there is nothing to do meanwhile
            with storage_errors(self._raw_spec.full_name):
                self._raw.write(rows)
            return
        self._wait()
        self._writing = self._writer.submit(self._raw.write, rows)

    def append_companion(self, rows: pa.Table) -> None:
        """Write rows to the data files of the quarantine, or of a replay's outcomes."""
        if self._companion is None:
            self._companion = self._staged(self._companion_spec)
        with storage_errors(self._companion_spec.full_name):
            self._companion.write(self._marked(rows))

    def commit(self, counts: Counts, is_current: Callable[[], bool] = always) -> bool:
        """Commit quarantine or outcomes, ledger, raw; see `SinkBatch.commit`."""
        self._wait()
        self._writer.shutdown()
        with storage_errors("the lake"):
            return self._commit(counts, is_current)

    def _commit(self, counts: Counts, is_current: Callable[[], bool]) -> bool:
        """Commit in order, each step on disk before the next one rests on it."""
        is_first = self._batch.is_first
        if not is_first and self.is_committed:
            self.abort()
            self._acknowledge()
            return False
        ledger = self._ledger(counts)
        steps = [(OPS_INGEST_LEDGER, ledger)]
        tried_before = []
        if self._companion is not None and self._companion.row_count:
            steps.insert(0, (self._companion_spec, self._companion))
        elif (
            not is_first
            and self._sink.state(self._companion_spec, self._batch.commit_id) is not None
        ):
            tried_before.append(self._companion_spec)
        done: list[TableSpec] = []
        try:
            for spec, staged in steps:
                if self._commit_beside(spec, staged, is_current) is not None:
                    tried_before.append(spec)
                done.append(spec)
            self._sink.sync.logs(spec.path for spec in done)
            is_stored = self._commit_raw(is_current)
        except OutdatedError:
            self.abort()
            self._delete_rows_of("=", done)
            raise
        if is_stored:
            self._sink.acknowledge(self._batch, self._attempt)
            self._tell(counts)
            self._delete_rows_of("<>", tried_before)
            self._tend([spec for spec, _ in steps])
            return True
        self._delete_rows_of("=", [spec for spec, _ in steps])
        if not self.is_committed:
            raise EtaError(
                "the batch took so long that it was given up for dead",
                remedy="send it again",
            )
        self._acknowledge()
        return False

    def abort(self) -> None:
        """Delete the data files."""
        self._writer.shutdown()
        self._raw.discard()
        if self._companion is not None:
            self._companion.discard()

    def _acknowledge(self) -> None:
        """Do so for the attempt that was stored in the place of this one."""
        attempt = self._sink.state(self._raw_spec, self._batch.commit_id)
        if attempt is not None:
            self._sink.acknowledge(self._batch, attempt)

    def _commit_beside(
        self, spec: TableSpec, staged: StagedRows, is_current: Callable[[], bool]
    ) -> int | None:
        """Commit what stands beside raw; return the attempt that had done so before, if any."""
        files = staged.finish()
        try:
            return self._sink.commit(
                spec,
                files,
                self._batch.commit_id,
                self._attempt,
                is_first=self._batch.is_first,
                is_current=is_current,
            )
        except OutdatedError:
            staged.delete(files)
            raise

    def _tell(self, counts: Counts) -> None:
        """Say what was stored, for those who follow data through the lake."""
        if self._sink.on_stored is None:
            return
        batch = self._batch
        self._sink.on_stored(
            StoredBatch(
                batch.tenant_id,
                batch.data_type,
                batch.batch_id,
                batch.replay,
                batch.source,
                batch.known_at,
                counts.received,
                counts.stored,
                counts.quarantined,
                self._sink.newest_version(self._raw_spec),
                sum(file.size for file in self._raw_files),
                len(self._raw_files),
            )
        )

    def _commit_raw(self, is_current: Callable[[], bool]) -> bool:
        files = self._raw_files = self._raw.finish()
        try:
            is_stored = self._sink.commit_if(
                self._raw_spec,
                files,
                self._batch.commit_id,
                self._attempt,
                expected=self._before,
                is_first=self._batch.is_first and monotonic() - self._begun < SURE_SECONDS,
                is_current=is_current,
            )
        except OutdatedError:
            self._raw.delete(files)
            raise
        if not is_stored:
            self._raw.delete(files)
        return is_stored

    def _tend(self, beside_raw: Sequence[TableSpec]) -> None:
        """Keep the tables in few files; the batch is stored already, whatever happens here."""
        day = Day(self._batch.tenant_id, self._batch.ingest_date)
        for spec in (*beside_raw, self._raw_spec):
            self._sink.compact(spec, day, waits=not self._batch.is_first)

    def _delete_rows_of(self, comparison: str, specs: Sequence[TableSpec]) -> None:
        """Delete what this attempt (`=`), or every other one (`<>`), put beside raw."""
        batch = self._batch
        attempts = f"attempt {comparison} {self._attempt}"
        for spec in specs:
            delete_attempts(
                self._sink, spec, batch.tenant_id, batch.batch_id, batch.replay, attempts
            )

    def _ledger(self, counts: Counts) -> StagedRows:
        """Write the ledger's row; returns when all files of the batch are on disk."""
        ledger = self._staged(OPS_INGEST_LEDGER)
        ledger.write(ledger_rows([(self._batch, self._attempt, counts)]))
        parts = [(OPS_INGEST_LEDGER, ledger), (self._raw_spec, self._raw)]
        if self._companion is not None:
            parts.append((self._companion_spec, self._companion))
        files = [(spec.path, name) for spec, staged in parts for name in staged.close()]
        self._sink.sync.data_files(files)
        return ledger

    def _marked(self, rows: pa.Table) -> pa.Table:
        attempt = pl.repeat(self._attempt, rows.num_rows, dtype=pl.Int64, eager=True)
        return rows.append_column("attempt", attempt.to_arrow())

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            with storage_errors(self._raw_spec.full_name):
                writing.result()

    def _staged(self, spec: TableSpec) -> StagedRows:
        batch = self._batch
        return self._sink.ask(
            spec,
            lambda table: StagedRows(
                table, spec, batch.tenant_id, batch.ingest_date, batch.commit_id
            ),
            is_newest=False,
        )


def delete_attempts(
    sink: DeltaSink, spec: TableSpec, tenant_id: str, batch_id: str, replay: int, attempts: str
) -> None:
    """Delete the rows of a batch's or replay's attempts from a table beside raw."""
    rows = f"tenant_id = '{tenant_id}' and batch_id = '{batch_id}' and {attempts}"
    sink.delete(spec, rows if spec is RAW_QUARANTINE else f"{rows} and replay = {replay}")
