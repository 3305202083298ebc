"""Few files and short logs: what is done after a commit, or beside the next ones.

Uploads and the stream wait for it, so the number of files has a bound
(`lakehouse.storage.maintenance`). Events do not: their senders wait for an answer. There it runs
in a thread of its own, until it falls too far behind.
"""

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, Protocol

from deltalake import DeltaTable

from lakehouse.contracts.tables import TableSpec
from lakehouse.storage.lake import Lake
from lakehouse.storage.log_maintenance import drop_read_log
from lakehouse.storage.maintenance import (
    CHECK_EVERY,
    SMALL_FILES,
    WAIT_FILES,
    Day,
    merge_small_files,
    small_file_count,
)

_log = logging.getLogger(__name__)

CLEAN_EVERY: Final = 500
"""After so many commits of events to a table its log is looked at."""


class Ask(Protocol):
    """Returns what a question to a table's newest version answers; see `DeltaSink.ask`."""

    def __call__(self, spec: TableSpec, question: "Callable[[DeltaTable], int]") -> int:
        """Ask."""
        ...


class Compactor:
    """Looks after the tables that a process commits to; for several threads."""

    def __init__(self, lake: Lake, ask: Ask) -> None:
        self._lake = lake
        self._ask = ask
        self._lock = Lock()
        self._commits: Counter[tuple[str, Day]] = Counter()
        self._since_clean: Counter[str] = Counter()
        self._merging: set[tuple[str, Day]] = set()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="compact")

    def compact(self, spec: TableSpec, day: Day, *, waits: bool) -> None:
        """Merge a day's small files when this process has added some and there are too many.

        With `waits` false that is done beside what comes next, unless there are `WAIT_FILES`
        already, and the log is shortened now and then. Never raises: the batch is stored.
        """
        try:
            if not waits:
                self._shorten(spec)
            if self._is_due(spec, day):
                self._merge_if_crowded(spec, day, waits=waits)
        except Exception as error:  # noqa: BLE001 - a later batch tries again
            _tell(error)

    def close(self) -> None:
        """Return when what was begun is done."""
        self._beside.shutdown()

    def _is_due(self, spec: TableSpec, day: Day) -> bool:
        with self._lock:
            self._commits[spec.full_name, day] += 1
            if self._commits[spec.full_name, day] < CHECK_EVERY:
                return False
            del self._commits[spec.full_name, day]
            return True

    def _merge_if_crowded(self, spec: TableSpec, day: Day, *, waits: bool) -> None:
        files = self._ask(spec, lambda table: small_file_count(table, day))
        if files <= SMALL_FILES:
            return
        if waits or files > WAIT_FILES:
            merge_small_files(self._lake, spec, day)
            return
        with self._lock:
            if (spec.full_name, day) in self._merging:
                return
            self._merging.add((spec.full_name, day))
        self._beside.submit(self._merge, spec, day)

    def _merge(self, spec: TableSpec, day: Day) -> None:
        try:
            merge_small_files(self._lake, spec, day)
        except Exception as error:  # noqa: BLE001 - a later batch tries again
            _tell(error)
        finally:
            with self._lock:
                self._merging.discard((spec.full_name, day))

    def _shorten(self, spec: TableSpec) -> None:
        """Have the table's log shortened, once in `CLEAN_EVERY` times."""
        with self._lock:
            self._since_clean[spec.full_name] += 1
            if self._since_clean[spec.full_name] < CLEAN_EVERY:
                return
            del self._since_clean[spec.full_name]
        self._beside.submit(self._drop, spec)

    def _drop(self, spec: TableSpec) -> None:
        try:
            drop_read_log(self._lake, spec)
        except Exception as error:  # noqa: BLE001 - a later batch tries again
            _tell(error)


def _tell(error: Exception) -> None:
    _log.warning("a table's files or log were not tended: %s", type(error).__qualname__)
