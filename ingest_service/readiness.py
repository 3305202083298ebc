"""Whether this process can commit: looked at cheaply, and at most every few seconds.

A balancer that sends events to a process which cannot store them turns every one into an error. So
"ready" means that a commit would succeed now, and that nothing acknowledged is known to be lost.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import SERVICE_TABLES
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.durable import LOG
from lakehouse.storage.faults import fault_of, storage_error
from lakehouse.storage.lake import Lake

STANDS_SECONDS: Final = 2.0
"""How long an answer stands, however often it is asked for."""
FREE_BYTES: Final = 1024 * 1024
"""So much must fit on the disk: a batch of events takes less."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why the process cannot commit: a stable `code`, the part it concerns, and what to do.

    For everybody to see, so it names no tenant, no file and no folder; the log does.
    """

    code: str
    part: str
    remedy: str


_REMEDIES: Final = {
    "starting": "wait: whether all acknowledged rows are there is being looked at",
    "storage_full": "free room on the disk: `eta tables clean` drops what nobody needs",
    "storage_read_only": "make the folder writable for the service's user",
    "unavailable": "see the service's log, which names the damaged file and what to do",
    "lost": "run `eta ledger check`: it names the batches, and what to do about them",
}


class Readiness:
    """Looks whether a commit would succeed; for several threads."""

    def __init__(
        self,
        lake: LakeSettings,
        sink: DeltaSink,
        ping: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._lake = lake
        self._sink = sink
        self._ping = ping
        self._clock = clock
        self._lock = Lock()
        self._until = float("-inf")
        self._found: list[NotReady] = []
        self._is_lost: bool | None = None

    def observe_lost(self, is_lost: bool) -> None:
        """Note whether acknowledged rows are lost or cannot be read, as the newest look showed.

        Before the first look it is not known, and the process is not ready.
        """
        with self._lock:
            self._is_lost = is_lost
            self._until = float("-inf")

    def problems(self) -> Sequence[NotReady]:
        """Return why the process is not ready; nothing when it is."""
        with self._lock:
            if self._clock() >= self._until:
                found = [*self._look()]
                if found != self._found:
                    names = ", ".join(f"{one.part}: {one.code}" for one in found)
                    _log.warning("not ready: %s", names) if found else _log.info("ready again")
                self._found, self._until = found, self._clock() + STANDS_SECONDS
            return self._found

    def _look(self) -> Iterable[NotReady]:
        with _noted("the control database") as found:
            self._ping()
        yield from found.problems
        for name, folder in self._folders():
            with _noted(name) as found:
                _try_to_write(folder, 0 if folder.name == LOG else FREE_BYTES)
            yield from found.problems
        for spec in SERVICE_TABLES:
            with _noted(spec.full_name) as found:
                self._sink.table(spec)
            yield from found.problems
        if self._is_lost is not False:
            code = "starting" if self._is_lost is None else "lost"
            yield NotReady(code, "acknowledged rows", _REMEDIES[code])

    def _folders(self) -> Iterable[tuple[str, Path]]:
        lake = Lake(self._lake).disk()
        if lake is None:
            return
        yield "the lake", lake
        if self._lake.spool_dir.is_dir():
            yield "the spool", self._lake.spool_dir
        for spec in SERVICE_TABLES:
            yield f"the log of {spec.full_name}", lake / spec.path / LOG


class _noted:  # noqa: N801 - reads as a statement
    """Keeps what the block raises as a problem of a part."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.problems: list[NotReady] = []

    def __enter__(self) -> "_noted":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        fault = fault_of(error)
        code = "unavailable" if fault is None else f"storage_{fault}"
        named = error if isinstance(error, EtaError) else storage_error(error, self._part)
        _log.warning("%s: %s", self._part, named)
        self.problems.append(NotReady(code, self._part, _REMEDIES[code]))
        return True


def _try_to_write(folder: Path, size: int) -> None:
    """Raise `OSError` unless a file of this size fits into a folder; leaves none behind."""
    with tempfile.TemporaryFile(dir=folder, prefix=".ready-", buffering=0) as file:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
