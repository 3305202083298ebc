"""The lock that lets one run of the models write at a time.

A run is one process (`eta prepare`, `dbt build`) or many, one after another and side by side (the
tasks of a scheduler): so the lock belongs to a run's id, and every process of that run may have it.
It is never stuck: the lock of a process ends with the process where that can be seen, and any lock
ends when nobody has renewed it for `LEASE`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.owner import Owner, is_dead, this_process
from lakehouse.errors import EtaError

LEASE: Final = timedelta(minutes=15)
"""How long a run may show no sign of life; between two tasks of a scheduler nothing renews."""
RENEWAL: Final = timedelta(minutes=1)
"""How often a working process renews."""

_NAME: Final = "models"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, and until when if nobody renews it."""

    run_id: str
    taken_at: datetime
    held_until: datetime
    process: str | None = None
    """The process that the run is, `4711 on a host`; None for a run of many."""


@dataclass(frozen=True, slots=True)
class HeldLock:
    """The lock as it stands, whether or not its run is alive."""

    run_id: str
    seen_at: datetime
    """When a process of the run renewed it last."""
    is_alive: bool


class RunLocked(EtaError):
    """Another run of the models is going on."""

    def __init__(self, holder: Holder) -> None:
        process = f" (process {holder.process})" if holder.process else ""
        super().__init__(
            f"the run {holder.run_id!r}{process} writes the models, since "
            f"{holder.taken_at:%H:%M:%S} UTC",
            remedy=f"wait until it has ended, at the latest {holder.held_until:%H:%M:%S} UTC if "
            "it was killed (`eta runs list`); if you know that it was, `eta runs release`",
        )
        self.holder = holder


class RunLock:
    """The lock of one lake."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def hold(self, run_id: str, *, is_of_process: bool = False) -> None:
        """Take or renew the lock for a run; raises `RunLocked` when a live one has it.

        With `is_of_process` the run is this process and the lock ends with it.
        """
        try:
            self._hold(run_id, is_of_process)
        except IntegrityError:  # another process took the free lock at the same moment
            self._hold(run_id, is_of_process)

    @contextmanager
    def kept(self, run_id: str, *, is_of_process: bool = False) -> Iterator[None]:
        """Hold the lock and renew it until the block ends; a process's own is then released.

        A renewal that fails is tried again later: the run finds out at its next step.
        """
        self.hold(run_id, is_of_process=is_of_process)
        is_over = threading.Event()

        def renew() -> None:
            while not is_over.wait(RENEWAL.total_seconds()):
                with suppress(EtaError):
                    self.hold(run_id, is_of_process=is_of_process)

        renewing = threading.Thread(target=renew, name="run lock", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            is_over.set()
            renewing.join()
            if is_of_process:
                self.release(run_id)

    def release(self, run_id: str | None = None) -> bool:
        """Free the lock if `run_id` (None: anyone) holds it; return whether it did.

        A run that has not ended is recorded as interrupted.
        """
        table = schema.model_run_lock
        mine = [table.c.name == _NAME]
        if run_id is not None:
            mine.append(table.c.run_id == run_id)
        with self._connections.write() as connection:
            row = connection.execute(select(table).where(*mine).with_for_update()).first()
            if row is None:
                return False
            connection.execute(delete(table).where(*mine))
            _record_interrupted(connection, row)
            return True

    def holder(self) -> Holder | None:
        """Return who holds the lock now; None when it is free, or its run has died."""
        with self._connections.read() as connection:
            row = connection.execute(select(schema.model_run_lock)).first()
        return None if row is None or _is_over(row, self._clock()) else _holder(row)

    def _hold(self, run_id: str, is_of_process: bool) -> None:
        table, now, owner = schema.model_run_lock, self._clock(), this_process()
        values: dict[str, Any] = {
            "run_id": run_id,
            "held_until": now + LEASE,
            "is_of_process": is_of_process,
            "owner_host": owner.host,
            "owner_space": owner.space,
            "owner_pid": owner.pid,
            "owner_started": owner.started,
        }
        with self._connections.write() as connection:
            row = connection.execute(
                select(table).where(table.c.name == _NAME).with_for_update()
            ).first()
            if row is None:
                connection.execute(insert(table).values(name=_NAME, taken_at=now, **values))
                _record_running(connection, run_id)
                return
            if row.run_id != run_id:
                if not _is_over(row, now):
                    raise RunLocked(_holder(row))
                values["taken_at"] = now
                _record_interrupted(connection, row)
            connection.execute(update(table).where(table.c.name == _NAME).values(values))
            _record_running(connection, run_id)


def held(connection: Connection, now: datetime) -> HeldLock | None:
    """Return the lock as it stands; None when no run has it."""
    row = connection.execute(select(schema.model_run_lock)).first()
    return None if row is None else HeldLock(row.run_id, _seen_at(row), not _is_over(row, now))


def _is_over(row: Row[Any], now: datetime) -> bool:
    return bool(row.held_until <= now) or (row.is_of_process and is_dead(_owner(row)))


def _seen_at(row: Row[Any]) -> datetime:
    moment: datetime = row.held_until - LEASE
    return moment


def _record_interrupted(connection: Connection, row: Row[Any]) -> None:
    """Record that the run which had the lock has not ended and does not go on."""
    table = schema.model_runs
    mine = (table.c.run_id == row.run_id, table.c.state == "running")
    seen_at = case((table.c.started_at > _seen_at(row), table.c.started_at), else_=_seen_at(row))
    connection.execute(update(table).where(*mine).values(state="interrupted", finished_at=seen_at))


def _record_running(connection: Connection, run_id: str) -> None:
    """Record that a run which was given up goes on after all: a step of it came."""
    table = schema.model_runs
    mine = (table.c.run_id == run_id, table.c.state == "interrupted")
    connection.execute(update(table).where(*mine).values(state="running", finished_at=None))


def _owner(row: Row[Any]) -> Owner:
    return Owner(row.owner_host, row.owner_space, row.owner_pid, row.owner_started)


def _holder(row: Row[Any]) -> Holder:
    host = row.owner_host.partition("/")[0]
    process = f"{row.owner_pid} on {host}" if row.is_of_process else None
    return Holder(row.run_id, row.taken_at, row.held_until, process)
