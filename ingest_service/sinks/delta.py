"""The lake as a sink: Delta tables written by delta-rs alone.

Three tables take part in a batch and Delta has no transaction over several, so the order carries
the guarantee: quarantine, ledger, raw, all with the application transaction (batch id, 1). A crash
before the raw commit leaves at most ledger and quarantine rows whose batch raw does not have;
`recover` removes them.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError

from ingest_service.sinks.base import BatchKey, Counts
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_QUARANTINE,
    TableSpec,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.staging import StagedFile, StagedRows, commit_files, is_committed
from lakehouse.storage.tables import open_table, table_location

RAW_TABLES: Final[dict[DataType, TableSpec]] = {
    DataType.INTERACTIONS: RAW_INTERACTIONS,
    DataType.ITEMS: RAW_ITEMS,
    DataType.CLICKSTREAM: RAW_CLICKSTREAM,
}
LEDGER_REF: Final = "ledger"
RECOVERY_WINDOW: Final = timedelta(days=30)
"""How far back unfinished batches are looked for."""


class DeltaSink:
    """Keeps one handle per table, refreshed at every use; for several threads.

    The tables must exist (`ensure_tables`).
    """

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings
        self._handles: dict[str, DeltaTable] = {}
        self._lock = Lock()

    def begin(self, batch: BatchKey) -> "DeltaBatch":
        """Open a batch on the newest version of the raw table."""
        return DeltaBatch(self, batch)

    def location(self, data_type: DataType) -> str:
        """Path or URL of the raw table."""
        return table_location(self._settings, RAW_TABLES[data_type])

    def table(self, spec: TableSpec) -> DeltaTable:
        """Return the handle of a table, brought up to its newest version."""
        with self._lock:
            handle = self._handles.get(spec.full_name)
            if handle is None:
                handle = self._handles[spec.full_name] = open_table(self._settings, spec)
            else:
                handle.update_incremental()
            return handle

    def commit_once(self, spec: TableSpec, files: Sequence[StagedFile], batch_id: str) -> bool:
        """Commit files unless the table has the batch; False when it had it.

        The check and the commit use one handle: another process that commits the same batch in
        between makes the commit fail, and is then found by the second look.
        """
        with self._lock:
            handle = self._handles[spec.full_name]
            handle.update_incremental()
            if is_committed(handle, batch_id):
                return False
            try:
                commit_files(handle, spec, files, batch_id)
            except CommitFailedError as error:
                handle.update_incremental()
                if is_committed(handle, batch_id):
                    return False
                raise EtaError(
                    f"the batch could not be committed to {spec.full_name}: {error}",
                    remedy="send it again; when it keeps failing, look for other heavy writers",
                ) from error
            return True

    def recover(self, grace: timedelta, has_ended: Callable[[str, str], bool]) -> int:
        """Remove ledger and quarantine rows of batches that never reached raw; return how many.

        Looks at the batches of the last 30 days. A batch may still be in flight in another
        process: it is left alone until it is older than `grace`, or `has_ended(tenant, batch)`
        says that its process has given up.
        """
        moment = datetime.now(UTC)
        raw = {spec.name: self.table(spec) for spec in RAW_TABLES.values()}
        lost = {
            (tenant_id, batch_id)
            for tenant_id, data_type, batch_id, known_at in self._recent_batches(moment)
            if not is_committed(raw[data_type], batch_id)
            and (known_at <= moment - grace or has_ended(tenant_id, batch_id))
        }
        for tenant_id, batch_id in lost:
            for spec in (RAW_QUARANTINE, OPS_INGEST_LEDGER):
                self.table(spec).delete(f"tenant_id = '{tenant_id}' and batch_id = '{batch_id}'")
        return len(lost)

    def _recent_batches(self, moment: datetime) -> set[tuple[str, str, str, datetime]]:
        first_day = (moment - RECOVERY_WINDOW).date()
        batches: set[tuple[str, str, str, datetime]] = set()
        for spec in (RAW_QUARANTINE, OPS_INGEST_LEDGER):
            found = (
                QueryBuilder()
                .register("batches", self.table(spec))
                .execute(
                    "select distinct tenant_id, data_type, batch_id, known_at from batches"  # noqa: S608
                    f" where ingest_date >= date '{first_day}'"
                )
            )
            batches.update(pl.DataFrame(found).iter_rows())
        return batches


class DeltaBatch:
    """One batch of a `DeltaSink`; data files appear as rows come, commits only at the end.

    Rows are encoded in a thread of the batch's own while the next ones are validated; at most two
    appends are in memory.
    """

    def __init__(self, sink: DeltaSink, batch: BatchKey) -> None:
        self._sink = sink
        self._batch = batch
        self._raw_spec = RAW_TABLES[batch.data_type]
        self._raw = self._staged(self._raw_spec)
        self._quarantine = self._staged(RAW_QUARANTINE)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writing: Future[None] | None = None

    @property
    def is_committed(self) -> bool:
        """Whether the raw table has a batch of this id."""
        return is_committed(self._sink.table(self._raw_spec), self._batch.batch_id)

    def append(self, rows: pa.Table) -> None:
        """Write rows to the raw table's data files; an error of the last append is raised here."""
        self._wait()
        self._writing = self._writer.submit(self._raw.write, rows)

    def quarantine(self, rows: pa.Table) -> None:
        """Write rows to the quarantine's data files."""
        self._quarantine.write(rows)

    def commit(self, counts: Counts) -> bool:
        """Commit quarantine, ledger, raw; see `SinkBatch.commit`."""
        batch_id = self._batch.batch_id
        self._wait()
        self._writer.shutdown()
        if self.is_committed:
            self.abort()
            return False
        ledger = self._staged(OPS_INGEST_LEDGER)
        ledger.write(self._ledger_row(counts))
        for spec, staged in (
            (RAW_QUARANTINE, self._quarantine),
            (OPS_INGEST_LEDGER, ledger),
            (self._raw_spec, self._raw),
        ):
            if not self._sink.commit_once(spec, staged.finish(), batch_id):
                staged.discard()
                if spec is self._raw_spec:
                    return False
        return True

    def abort(self) -> None:
        """Delete the data files."""
        self._writer.shutdown()
        self._raw.discard()
        self._quarantine.discard()

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _staged(self, spec: TableSpec) -> StagedRows:
        batch = self._batch
        return StagedRows(
            self._sink.table(spec), spec, batch.tenant_id, batch.ingest_date, batch.batch_id
        )

    def _ledger_row(self, counts: Counts) -> pa.Table:
        batch = self._batch
        row = {
            "data_type": batch.data_type.value,
            "received": counts.received,
            "stored": counts.stored,
            "duplicate": counts.duplicate,
            "quarantined": counts.quarantined,
            "suppressed": counts.suppressed,
            "known_at": batch.known_at,
            "source": batch.source,
            "batch_id": batch.batch_id,
            "source_ref": LEDGER_REF,
        }
        return pl.DataFrame([row]).to_arrow(compat_level=pl.CompatLevel.oldest())
