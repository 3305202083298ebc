"""The lake as a sink: Delta tables written by delta-rs alone; `delta_batch` has the batches."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from ingest_service.sinks.base import BatchKey, Counts, OutdatedError, always
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sinks.tending import Tender
from lakehouse.contracts.tables import (
    RAW_TABLES,
    TableSpec,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.attempts import is_won
from lakehouse.storage.care import Day
from lakehouse.storage.ledger import COUNTS, ledger_rows
from lakehouse.storage.log_care import drop_read_log
from lakehouse.storage.staging import StagedFile, commit_files, writer_properties
from lakehouse.storage.tables import open_table, table_location

RETRIES: Final = 20
"""How often a commit that met other writers is tried."""
UNSURE: Final = 4
"""At this many commits of which the storage did not say what became of them its error is raised."""


class DeltaSink:
    """Keeps one handle per table, refreshed at every use; for several threads.

    The tables must exist (`ensure_tables`).
    """

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings
        self._handles: dict[str, DeltaTable] = {}
        self._lock = Lock()
        self._tender = Tender(settings, self.table)

    def begin(self, batch: BatchKey) -> DeltaBatch:
        """Open a batch on the newest version of the raw table."""
        return DeltaBatch(self, batch)

    def recorded(self, batch: BatchKey) -> Counts | None:
        """Return what the ledger says of a batch that raw has."""
        attempt = self.state(RAW_TABLES[batch.data_type], batch.commit_id)
        if not is_won(attempt):
            return None
        mine = f"batch_id = '{batch.batch_id}' and replay = {batch.replay} and attempt = {attempt}"
        row = ledger_rows(self.table, batch.tenant_id, mine).row(0, named=True)
        return Counts(**{name: row[name] for name in COUNTS})

    def location(self, data_type: DataType) -> str:
        """Path or URL of the raw table."""
        return table_location(self._settings, RAW_TABLES[data_type])

    def table(self, spec: TableSpec) -> DeltaTable:
        """Return the handle of a table, brought up to its newest version."""
        with self._lock:
            return self._newest(spec)

    def state(self, spec: TableSpec, commit_id: str) -> int | None:
        """Return the version of an application transaction: an attempt, `GIVEN_UP` or None."""
        return self.table(spec).transaction_version(commit_id)

    def handle(self, spec: TableSpec) -> DeltaTable:
        """Return the handle of a table as it is: for what no commit changes."""
        with self._lock:
            return self._handles.get(spec.full_name) or self._newest(spec)

    def commit_first(
        self,
        spec: TableSpec,
        files: Sequence[StagedFile],
        commit_id: str,
        attempt: int,
        is_current: Callable[[], bool] = always,
    ) -> bool:
        """Commit files under an id that was made after the handle was last refreshed.

        Then there is nothing to look up: a rival's commit makes this one fail, and so does the
        mark of an erasure (`privacy.fence`). Returns False when it did, for whatever reason; the
        careful way then finds out.
        """
        with self._lock:
            handle = self._handles.get(spec.full_name) or self._newest(spec)
            if not is_current():
                raise OutdatedError
            try:
                commit_files(handle, spec, files, {commit_id: attempt})
            except (CommitFailedError, OSError):
                return False
        return True

    def commit(
        self,
        spec: TableSpec,
        files: Sequence[StagedFile],
        commit_id: str,
        attempt: int,
        *,
        is_first: bool = False,
        is_current: Callable[[], bool] = always,
    ) -> int | None:
        """Commit files; return the state before: another attempt if there was one.

        Raises `OutdatedError` when the rows are not current any more.
        """
        if is_first and self.commit_first(spec, files, commit_id, attempt, is_current):
            return None
        earlier: int | None = None
        for _ in range(RETRIES):
            before = self.state(spec, commit_id)
            if before == attempt:  # stored, though the answer said otherwise or never came
                return earlier
            earlier = before
            if self.commit_if(
                spec, files, commit_id, attempt, expected=before, is_current=is_current
            ):
                return before
        raise _too_many_writers(spec)

    def commit_if(
        self,
        spec: TableSpec,
        files: Sequence[StagedFile],
        commit_id: str,
        attempt: int,
        *,
        expected: int | None,
        is_first: bool = False,
        is_current: Callable[[], bool] = always,
    ) -> bool:
        """Commit files if the state still is the `expected` one; False when it is not.

        A commit under the same id by another process in between makes this one fail. Raises
        `OutdatedError` when the rows are not current any more.
        """

        if is_first and self.commit_first(spec, files, commit_id, attempt, is_current):
            return True

        def is_expected(table: DeltaTable) -> bool:
            state = table.transaction_version(commit_id)
            if state != attempt and not is_current():
                raise OutdatedError
            return bool(state == expected)

        # An object store may have done what it answered with an error, or not at all; its client
        # asks again and meets its own commit. The attempt's number tells it from a rival's.
        is_stored = self.commit_checked(spec, files, {commit_id: attempt}, is_expected)
        return is_stored or self.state(spec, commit_id) == attempt

    def commit_checked(
        self,
        spec: TableSpec,
        files: Sequence[StagedFile],
        transactions: Mapping[str, int],
        check: Callable[[DeltaTable], bool],
    ) -> bool:
        """Commit files under these application transactions if `check` holds; else False.

        The check and the commit use one handle, so a commit under one of the ids by another
        process in between makes the check happen again. Of an `OSError` nobody knows whether it was
        committed: the check finds out, and it is tried again; the fourth is raised.
        """
        unsure = 0
        for _ in range(RETRIES):
            with self._lock:
                handle = self._newest(spec)
                if not check(handle):
                    return False
                try:
                    commit_files(handle, spec, files, transactions)
                except CommitFailedError as error:
                    failure = error  # a delete or a compaction came in between, or a rival
                except OSError:
                    unsure += 1
                    if unsure == UNSURE:
                        raise
                else:
                    return True
        raise _too_many_writers(spec) from failure

    def tend(self, spec: TableSpec, day: Day, *, waits: bool = True) -> None:
        """Keep a table in few files after a commit; see `Tender.tend`."""
        self._tender.tend(spec, day, waits=waits)

    def close(self) -> None:
        """Return when nothing is done beside commits any more; only then end the process."""
        self._tender.close()

    def drop_read_log(self, spec: TableSpec) -> None:
        """Drop log entries that nobody needs; see `lakehouse.storage.log_care`."""
        drop_read_log(self._settings, spec)

    def delete(self, spec: TableSpec, predicate: str) -> None:
        """Delete rows; the predicate is logged, so it must hold nothing personal."""
        for _ in range(RETRIES):
            with self._lock:
                try:
                    self._newest(spec).delete(predicate, writer_properties=writer_properties())
                except CommitFailedError as error:
                    failure = error
                else:
                    return
        raise _too_many_writers(spec) from failure

    def _newest(self, spec: TableSpec) -> DeltaTable:
        handle = self._handles.get(spec.full_name)
        if handle is None:
            handle = self._handles[spec.full_name] = open_table(self._settings, spec)
        else:
            handle.update_incremental()
        return handle


def _too_many_writers(spec: TableSpec) -> EtaError:
    return EtaError(
        f"the batch could not be committed to {spec.full_name}",
        remedy="send it again; when it keeps failing, look for other heavy writers",
    )
