"""Jobs: what a client may ask about after its request was taken in."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.owner import Owner, is_gone, this_process
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError

QUEUED: Final = "queued"
RUNNING: Final = "running"
FINAL_STATES: Final = frozenset({"succeeded", "failed", "refused"})

LEASE: Final = timedelta(minutes=15)
"""A process of another host that gave no sign of life for so long is taken for dead."""
RENEWAL: Final = timedelta(minutes=1)
"""How often a process says that it lives."""

_WITHOUT_LEASE: Final = timedelta(days=1)
"""How long a job of a version that knew no leases is left alone."""
_JOB_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_OWNER_LOST: Final = {
    "error": "the process that ran the job has ended",
    "remedy": "send the same batch again: rows that were stored are not stored twice",
}


class JobNotFound(EtaError):
    """No job has this id."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_job"

    def __init__(self) -> None:
        super().__init__(
            "there is no job of that id", remedy="check the id that the upload answered with"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work of one tenant, as it stands now.

    What a dead process ran is `failed`, or `queued` when another one will run it again, whether or
    not somebody recorded that yet. `result` is what it reported at its end, `progress` what it last
    said before. `request` and `spool_name` are what it takes to run it again, `starts` how often
    it was begun.
    """

    job_id: str
    tenant_id: str
    kind: str
    batch_id: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    result: dict[str, Any] | None
    progress: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    spool_name: str | None = None
    starts: int = 1


class Jobs:
    """The jobs of one control database. Callers compare `tenant_id` with the key's."""

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._new_id = new_id

    def start(self, tenant_id: str, kind: str, batch_id: str) -> str:
        """Record a running job of this process and return its id; raises `TenantNotFound`."""
        job_id = self._new_id()
        with self._connections.write() as connection:
            add_job(connection, job_id, tenant_id, kind, batch_id, self._clock())
        return job_id

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job in `state`, one of `FINAL_STATES`.

        A job that `recover` gave up may still be finished by its owner; any other finished job
        stays as it is and `EtaError` is raised. Raises `JobNotFound`.
        """
        if state not in FINAL_STATES:
            raise ValueError(f"{state!r} is not one of {sorted(FINAL_STATES)}")
        _check_job_id(job_id)
        table = schema.jobs
        is_open = or_(table.c.state == RUNNING, table.c.is_owner_lost)
        with self._connections.write() as connection:
            done = connection.execute(
                update(table)
                .where(table.c.job_id == job_id, is_open)
                .values(state=state, result=result, finished_at=self._clock(), is_owner_lost=False)
            )
        if done.rowcount == 0:
            self.get(job_id)
            raise EtaError("the job has ended already", remedy="start a new job for a new attempt")

    def get(self, job_id: str) -> Job:
        """Return the job; raises `JobNotFound`, whatever text is asked for."""
        _check_job_id(job_id)
        with self._connections.read() as connection:
            row = connection.execute(
                select(schema.jobs).where(schema.jobs.c.job_id == job_id)
            ).first()
        if row is None:
            raise JobNotFound
        return self._seen(row)

    def list(
        self, tenant_id: str, *, limit: int = 100, besides: str | None = None
    ) -> tuple[Job, ...]:
        """Return the tenant's newest jobs but those of the kind `besides`, newest first."""
        table = schema.jobs
        query = (
            select(table)
            .where(table.c.tenant_id == tenant_id)
            .order_by(table.c.created_at.desc(), table.c.job_id.desc())
            .limit(limit)
        )
        if besides is not None:
            query = query.where(table.c.kind != besides)
        with self._connections.read() as connection:
            return tuple(self._seen(row) for row in connection.execute(query))

    def newest(self, *, limit: int) -> tuple[Job, ...]:
        """Return so many of every tenant's newest jobs, by tenant, newest first; one question."""
        table = schema.jobs
        newest_first = (table.c.created_at.desc(), table.c.job_id.desc())
        place = func.row_number().over(partition_by=table.c.tenant_id, order_by=newest_first)
        placed = select(table, place.label("place")).subquery()
        query = (
            select(*(placed.c[column.name] for column in table.c))
            .where(placed.c.place <= limit)
            .order_by(placed.c.tenant_id, placed.c.place)
        )
        with self._connections.read() as connection:
            return tuple(self._seen(row) for row in connection.execute(query))

    def unfinished(self, tenant_id: str, before: datetime) -> tuple[str, ...]:
        """Return the jobs that were begun by `before` and that a live process may still finish."""
        table = schema.jobs
        query = select(table).where(
            table.c.tenant_id == tenant_id,
            table.c.state.in_((QUEUED, RUNNING)),
            table.c.created_at <= before,
        )
        with self._connections.read() as connection:
            rows = connection.execute(query).all()
        now = self._clock()
        return tuple(r.job_id for r in rows if r.spool_name or not is_lost(r, now))

    def recover(self) -> int:
        """Mark the running jobs of dead processes as failed; return how many.

        A process of another host is taken for dead when its lease is over (`kept`). Jobs that can
        be run again are left to `JobQueue.adopt`.
        """
        table, now = schema.jobs, self._clock()
        lost_for_good = (table.c.state == RUNNING, table.c.spool_name.is_(None))
        with self._connections.write() as connection:
            running = connection.execute(select(table).where(*lost_for_good)).all()
            lost = [row.job_id for row in running if is_lost(row, now)]
            for job_id in lost:
                connection.execute(
                    update(table)
                    .where(table.c.job_id == job_id, table.c.state == RUNNING)
                    .values(
                        state="failed",
                        result=_OWNER_LOST,
                        finished_at=now,
                        is_owner_lost=True,
                    )
                )
        return len(lost)

    def renew(self) -> None:
        """Say that this process lives, for all its jobs that have not ended."""
        table = schema.jobs
        mine = [table.c[name] == value for name, value in owner_columns().items()]
        is_open = table.c.state.in_((QUEUED, RUNNING))
        with self._connections.write() as connection:
            connection.execute(
                update(table).where(is_open, *mine).values(held_until=self._clock() + LEASE)
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the leases of this process's jobs until the block ends, in a thread.

        A renewal that fails is tried again a minute later.
        """
        is_over = threading.Event()

        def renew() -> None:
            while not is_over.wait(RENEWAL.total_seconds()):
                with suppress(EtaError):
                    self.renew()

        renewing = threading.Thread(target=renew, name="job leases", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            is_over.set()
            renewing.join()

    def _seen(self, row: Row[Any]) -> Job:
        """Return a job as it stands, also where its process was killed and nobody recorded that."""
        job = job_of(row)
        if row.state != RUNNING or not is_lost(row, self._clock()):
            return job
        if row.spool_name is not None:
            return replace(job, state=QUEUED)
        ended = max(lease_of(row) - LEASE, row.created_at)
        return replace(job, state="failed", result=_OWNER_LOST, finished_at=ended)


def add_job(
    connection: Connection,
    job_id: str,
    tenant_id: str,
    kind: str,
    batch_id: str,
    created_at: datetime,
    **more: Any,
) -> None:
    """Insert a job of this process, running unless `more` columns say otherwise."""
    known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
    if connection.execute(known).first() is None:
        raise TenantNotFound(tenant_id)
    values = {
        "job_id": job_id,
        "tenant_id": tenant_id,
        "kind": kind,
        "batch_id": batch_id,
        "state": RUNNING,
        "created_at": created_at,
        "is_owner_lost": False,
        **owner_columns(),
        "held_until": created_at + LEASE,
        **more,
    }
    connection.execute(insert(schema.jobs).values(values))


def owner_columns() -> dict[str, Any]:
    """Return the columns that make a job this process's."""
    owner = this_process()
    return {
        "owner_host": owner.host,
        "owner_space": owner.space,
        "owner_pid": owner.pid,
        "owner_started": owner.started,
    }


def owner_of(row: Row[Any]) -> Owner:
    """Return the process that a row of the jobs belongs to."""
    return Owner(row.owner_host, row.owner_space, row.owner_pid, row.owner_started)


def lease_of(row: Row[Any]) -> datetime:
    """Return until when the process of a job is taken for alive where it cannot be seen."""
    held_until: datetime = row.held_until or row.created_at + _WITHOUT_LEASE
    return held_until


def is_lost(row: Row[Any], now: datetime) -> bool:
    """Whether the process that a job belongs to is dead, or must be taken for dead."""
    return is_gone(owner_of(row), lease_of(row), now)


def job_of(row: Row[Any]) -> Job:
    """Return a row of the jobs as it is recorded."""
    return Job(
        row.job_id,
        row.tenant_id,
        row.kind,
        row.batch_id,
        row.state,
        row.created_at,
        row.finished_at,
        row.result,
        row.progress,
        row.request,
        row.spool_name,
        row.starts,
    )


def _check_job_id(job_id: str) -> None:
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound
