"""The lake as a sink: Delta tables written by delta-rs alone; `delta_batch` has the batches."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final, TypeVar

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey, OutdatedError, always
from ingest_service.sinks.compaction import Compactor
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sinks.handles import TRIES, TableHandles
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_TABLES, TableSpec
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.lineage.batches import OnBatch
from lakehouse.storage.acknowledged import Acknowledged, AcknowledgementLog
from lakehouse.storage.attempts import is_won
from lakehouse.storage.durable import LakeSync
from lakehouse.storage.faults import StorageError, is_fault, storage_error
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import COUNTS, ledger_rows
from lakehouse.storage.log_maintenance import drop_read_log
from lakehouse.storage.maintenance import Day
from lakehouse.storage.staging import StagedFile, commit_files, writer_properties

T = TypeVar("T")

RETRIES: Final = 20
"""How often a commit that met other writers is tried."""
UNSURE: Final = 4
"""At this many commits of which the storage did not say what became of them its error is raised."""
MEETINGS: Final = 2
"""After so many meetings with other writers in a row a handle is opened anew."""


class DeltaSink:
    """Keeps one handle per table, refreshed at every use; for several threads.

    The tables must exist (`ensure_tables`). Whatever a handle raises, the next use opens the table
    anew; when that does not help either, `StorageError` is raised, which is of this use alone.
    `on_stored` hears of each batch once it is durable; it must return at once and never raise.
    """

    def __init__(self, lake: Lake, on_stored: OnBatch | None = None) -> None:
        self.lake = lake
        self.on_stored = on_stored
        self.sync = LakeSync(lake)
        self._acknowledged = AcknowledgementLog(lake)
        self._handles = TableHandles(lake)
        self._lock = Lock()
        self._compactor = Compactor(lake, self.ask)

    def begin(self, batch: BatchKey) -> DeltaBatch:
        """Open a batch on the newest version of the raw table."""
        return DeltaBatch(self, batch)

    def recorded(self, batch: BatchKey) -> Counts | None:
        """Return what the ledger says of a batch that raw has."""
        attempt = self.state(RAW_TABLES[batch.data_type], batch.commit_id)
        if attempt is None or not is_won(attempt):
            return None
        mine = f"batch_id = '{batch.batch_id}' and replay = {batch.replay} and attempt = {attempt}"
        rows = self.reading(lambda: ledger_rows(self.table, batch.tenant_id, mine))
        if not rows.height:
            raise EtaError(
                "a batch that is stored has no entry in the ledger",
                remedy="`eta ledger check` says what is missing",
            )
        self.sync.logs([OPS_INGEST_LEDGER.path])
        self.acknowledge(batch, attempt)
        row = rows.row(0, named=True)
        return Counts(**{name: row[name] for name in COUNTS})

    def acknowledge(self, batch: BatchKey, attempt: int) -> None:
        """Return when raw's commit of a batch is on disk and on record: its answer says so."""
        self.sync.logs([RAW_TABLES[batch.data_type].path])
        self._acknowledged.add(
            Acknowledged(
                batch.tenant_id,
                batch.data_type.value,
                batch.batch_id,
                batch.replay,
                attempt,
                batch.known_at,
            )
        )

    def location(self, data_type: DataType) -> str:
        """Path or URL of the raw table."""
        return self.lake.location(RAW_TABLES[data_type])

    def table(self, spec: TableSpec) -> DeltaTable:
        """Return the handle of a table, brought up to its newest version."""
        with self._lock:
            return self._handles.newest(spec)

    def newest_version(self, spec: TableSpec) -> int | None:
        """Return the newest version of a table; None when it cannot be asked."""
        try:
            return self.ask(spec, lambda table: table.version())
        except EtaError:
            return None

    def state(self, spec: TableSpec, commit_id: str) -> int | None:
        """Return the version of an application transaction: an attempt, `GIVEN_UP` or None."""
        return self.ask(spec, lambda table: table.transaction_version(commit_id))

    def ask(
        self, spec: TableSpec, question: Callable[[DeltaTable], T], *, is_newest: bool = True
    ) -> T:
        """Return what a question to a table answers; after an error a new handle is asked.

        With `is_newest` false the handle is asked as it is: for what no commit changes. Raises
        `StorageError` when the new handle fails as well.
        """
        for tries in range(1, TRIES + 1):
            with self._lock:
                handle = (self._handles.newest if is_newest else self._handles.as_it_is)(spec)
            try:
                return question(handle)
            except BaseException as error:
                is_other = isinstance(error, EtaError) and not isinstance(error, StorageError)
                if is_other or not is_fault(error):
                    raise
                with self._lock:
                    self._handles.drop(spec, handle)
                if tries == TRIES:
                    raise storage_error(error, spec.full_name) from error
        raise AssertionError("unreachable")

    def reading(self, read: Callable[[], T]) -> T:
        """Return what a function answers that reads by `table`; after an error on new handles."""
        for tries in range(1, TRIES + 1):
            try:
                return read()
            except BaseException as error:
                is_other = isinstance(error, EtaError) and not isinstance(error, StorageError)
                if is_other or not is_fault(error):
                    raise
                with self._lock:
                    self._handles.drop_all()
                if tries == TRIES:
                    raise storage_error(error, "the lake") from error
        raise AssertionError("unreachable")

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
            handle = self._handles.as_it_is(spec)
            if not is_current():
                raise OutdatedError
            try:
                commit_files(handle, spec, files, {commit_id: attempt})
            except CommitFailedError:
                return False
            except BaseException as error:
                self._handles.drop(spec)
                if not is_fault(error):
                    raise
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
        process in between makes the check happen again. After any other error nobody knows whether
        it was committed: the check finds out on a new handle, and it is tried again; the fourth is
        raised as `StorageError`.
        """

        def attempt(handle: DeltaTable) -> bool:
            if not check(handle):
                return False
            commit_files(handle, spec, files, transactions)
            return True

        return self._tried(spec, attempt)

    def _tried(self, spec: TableSpec, attempt: Callable[[DeltaTable], T]) -> T:
        """Return what an attempt at a commit answers; it is made again when it failed."""
        meetings = unsure = 0
        while meetings < RETRIES:
            with self._lock:
                handle = self._handles.newest(spec)
                try:
                    return attempt(handle)
                except CommitFailedError as error:
                    failure = error  # a delete or a compaction came in between, or a rival
                    meetings += 1
                    if meetings % MEETINGS == 0:
                        self._handles.drop(spec)
                except EtaError:
                    raise
                except BaseException as error:
                    self._handles.drop(spec)
                    unsure += 1
                    if not is_fault(error):
                        raise
                    if unsure == UNSURE:
                        raise storage_error(error, spec.full_name) from error
        raise _too_many_writers(spec) from failure

    def compact(self, spec: TableSpec, day: Day, *, waits: bool = True) -> None:
        """Keep a table in few files after a commit; see `Compactor.compact`."""
        self._compactor.compact(spec, day, waits=waits)

    def close(self) -> None:
        """Return when nothing is done beside commits any more; only then end the process."""
        self._compactor.close()

    def drop_read_log(self, spec: TableSpec) -> None:
        """Drop log entries that nobody needs; see `lakehouse.storage.log_maintenance`."""
        drop_read_log(self.lake, spec)

    def delete(self, spec: TableSpec, predicate: str) -> None:
        """Delete rows; the predicate is logged, so it must hold nothing personal."""
        self._tried(
            spec, lambda table: table.delete(predicate, writer_properties=writer_properties())
        )


def _too_many_writers(spec: TableSpec) -> EtaError:
    return EtaError(
        f"the batch could not be committed to {spec.full_name}",
        remedy="send it again; when it keeps failing, look for other heavy writers",
    )
