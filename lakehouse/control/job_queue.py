"""Work that is taken in now and done later, once: across restarts and across repeated requests.

A job that keeps its request and its file can be run again by the next process. A request that
carries an idempotency key is bound to one job, so a repetition finds that job and its answer. Both
rest on the same thing: a job keeps its batch id, and a batch is stored at most once.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.endings import Endings
from lakehouse.control.jobs import (
    FINAL_STATES,
    LEASE,
    QUEUED,
    RUNNING,
    Job,
    add_job,
    is_lost,
    job_of,
    owner_columns,
)
from lakehouse.control.key_room import KeyLimits, KeyRoom, totals
from lakehouse.errors import EtaError

MAX_STARTS: Final = 3
"""A job whose process died this often is not begun again: it may be what kills it."""
KEY_LIFETIME: Final = timedelta(days=7)
ANSWER_KIND: Final = "events"
"""Kind of a job that only keeps what a request with an idempotency key was answered."""

_KILLED_OFTEN: Final = {
    "error": f"the job was begun {MAX_STARTS} times and came to no end",
    "remedy": "send the file in smaller parts, and tell the operator",
}


class IdempotencyKeyReused(EtaError):
    """A key that was used for one request came with another one."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "the Idempotency-Key was used for another request before",
            remedy="use a new key for every new request, and the same one only to repeat it",
        )


@dataclass(frozen=True, slots=True)
class Work:
    """What a job is to do. With a `spool_name` it is queued, else it runs at once."""

    tenant_id: str
    kind: str
    batch_id: str
    request: dict[str, Any]
    spool_name: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An idempotency key, hashed, and what the request with it asks for, hashed."""

    key_hash: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job of a request.

    `new`: run it. `again`: run it; an attempt before may have stored its batch already. `known`:
    it is queued, or has ended with its `result`. `busy`: another request with the key runs it.
    `keeps_whole`: whether there is room for the whole answer.
    """

    job: Job
    outcome: Literal["new", "again", "known", "busy"]
    keeps_whole: bool = True


class JobQueue:
    """The jobs of one control database that can be run again."""

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._new_id = new_id
        self._room = KeyRoom(clock)
        self._endings = Endings(connections, clock, self._room)

    def accept(
        self, work: Work, claim: IdempotencyKey | None = None, limits: KeyLimits | None = None
    ) -> Accepted:
        """Record a job, or find the one that the claim's key is bound to; one transaction.

        Raises `TenantNotFound`, `IdempotencyKeyReused` and `TooManyKeys`.
        """
        self._endings.write()
        limits = limits or KeyLimits()
        try:
            return self._accept(work, claim, limits)
        except IntegrityError:  # another process bound the key at the same moment
            return self._accept(work, claim, limits)

    def running(self, job_id: str) -> AbstractContextManager[None]:
        """Run a job in the block; see `Endings.running`."""
        return self._endings.running(job_id)

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job that this process runs; see `Endings.finish`."""
        self._endings.finish(job_id, state, result)

    def write_endings(self) -> None:
        """Record the ends of jobs that could not be recorded before."""
        self._endings.write()

    def answer_totals(self) -> tuple[int, int]:
        """Return how many idempotency keys there are, and the bytes of their answers."""
        with self._connections.read() as connection:
            return totals(connection)

    def begin(self, job_id: str) -> Job | None:
        """Start a queued job of this process; None when it is not queued any more."""
        return self._begin(job_id, {QUEUED})

    def begin_again(self, job_id: str) -> Job | None:
        """Start a job that this process began before and that came to no end; None when it has.

        After `MAX_STARTS` it is failed.
        """
        self._endings.write()
        return self._begin(job_id, {QUEUED, RUNNING})

    def _begin(self, job_id: str, states: Collection[str]) -> Job | None:
        table = schema.jobs
        with self._connections.write() as connection:
            row = connection.execute(select(table).where(table.c.job_id == job_id)).first()
            if row is None or row.state not in states:
                return None
            if row.state == RUNNING and row.starts >= MAX_STARTS:
                ended = {"state": "failed", "result": _KILLED_OFTEN}
                _set(connection, job_id, **ended, finished_at=self._clock())
                return None
            _set(connection, job_id, state=RUNNING, starts=row.starts + 1)
            return _get(connection, job_id)

    def put_back(self, job_id: str) -> None:
        """Queue a job again that was stopped on purpose."""
        table = schema.jobs
        with self._connections.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.job_id == job_id, table.c.state == RUNNING)
                .values(state=QUEUED, starts=table.c.starts - 1)
            )

    def report(self, job_id: str, progress: dict[str, Any]) -> None:
        """Say how far a running job is."""
        table = schema.jobs
        with self._connections.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.job_id == job_id, table.c.state == RUNNING)
                .values(progress=progress)
            )

    def adopt(self) -> list[str]:
        """Queue the jobs of dead processes (`Jobs.recover`) for this one; return their ids.

        The oldest come first. One that killed its process `MAX_STARTS` times is failed.
        """
        table, now = schema.jobs, self._clock()
        open_jobs = select(table).where(
            table.c.state.in_((QUEUED, RUNNING)), table.c.spool_name.is_not(None)
        )
        adopted = []
        with self._connections.write() as connection:
            for row in connection.execute(open_jobs.order_by(table.c.created_at)).all():
                if not is_lost(row, now):
                    continue
                if row.starts >= MAX_STARTS:
                    ended = {"state": "failed", "result": _KILLED_OFTEN}
                    _set(connection, row.job_id, **ended, finished_at=now)
                    continue
                mine = {**owner_columns(), "held_until": now + LEASE}
                _set(connection, row.job_id, state=QUEUED, **mine)
                adopted.append(row.job_id)
        return adopted

    def needs(self, spool_name: str) -> bool:
        """Whether a job that has not ended needs this file."""
        table = schema.jobs
        query = select(table.c.job_id).where(
            table.c.spool_name == spool_name, table.c.state.in_((QUEUED, RUNNING))
        )
        with self._connections.read() as connection:
            return connection.execute(query).first() is not None

    def spool_owners(self) -> dict[str, str]:
        """Return whose the files are that jobs have come with: name → tenant."""
        table = schema.jobs
        query = select(table.c.spool_name, table.c.tenant_id).where(table.c.spool_name.is_not(None))
        with self._connections.read() as connection:
            return {row.spool_name: row.tenant_id for row in connection.execute(query)}

    def forget_keys(self) -> int:
        """Drop the idempotency keys older than `KEY_LIFETIME`; return how many.

        So are the jobs that are there for their answers alone (`ANSWER_KIND`), once no key is
        bound to them.
        """
        keys, jobs = schema.idempotency_keys, schema.jobs
        oldest = self._clock() - KEY_LIFETIME
        is_bound = select(keys.c.job_id).where(keys.c.job_id == jobs.c.job_id).exists()
        ended = jobs.c.state.in_(FINAL_STATES)
        answers = delete(jobs).where(jobs.c.kind == ANSWER_KIND, ended, ~is_bound)
        with self._connections.write() as connection:
            dropped = connection.execute(delete(keys).where(keys.c.created_at < oldest)).rowcount
            connection.execute(answers)
        return dropped

    def _accept(self, work: Work, claim: IdempotencyKey | None, limits: KeyLimits) -> Accepted:
        with self._connections.write() as connection:
            bound = None if claim is None else _bound(connection, work.tenant_id, claim.key_hash)
            if bound is None:
                return self._add(connection, work, claim, limits)
            assert claim is not None
            if bound.fingerprint != claim.fingerprint:
                raise IdempotencyKeyReused
            if bound.state in FINAL_STATES - {"failed"} or _waits(bound):
                return Accepted(job_of(bound), "known")
            if bound.state != "failed" and not is_lost(bound, self._clock()):
                return Accepted(job_of(bound), "busy")
            return self._take_over(connection, bound, work)

    def _add(
        self, connection: Connection, work: Work, claim: IdempotencyKey | None, limits: KeyLimits
    ) -> Accepted:
        job_id, now = self._new_id(), self._clock()
        keeps_whole = claim is None or self._room.take(connection, work.tenant_id, limits)
        queued = work.spool_name is not None
        add_job(
            connection,
            job_id,
            work.tenant_id,
            work.kind,
            work.batch_id,
            now,
            state=QUEUED if queued else RUNNING,
            starts=0 if queued else 1,
            request=work.request,
            spool_name=work.spool_name,
        )
        if claim is not None:
            connection.execute(
                insert(schema.idempotency_keys).values(
                    tenant_id=work.tenant_id,
                    key_hash=claim.key_hash,
                    fingerprint=claim.fingerprint,
                    job_id=job_id,
                    created_at=now,
                )
            )
        return Accepted(_get(connection, job_id), "new", keeps_whole)

    def _take_over(self, connection: Connection, bound: Row[Any], work: Work) -> Accepted:
        """Run a job again whose attempt came to nothing that could be answered."""
        queued = work.spool_name is not None
        _set(
            connection,
            bound.job_id,
            state=QUEUED if queued else RUNNING,
            starts=0 if queued else 1,
            spool_name=work.spool_name,
            result=None,
            finished_at=None,
            is_owner_lost=False,
            held_until=self._clock() + LEASE,
            **owner_columns(),
        )
        return Accepted(_get(connection, bound.job_id), "again")


def _waits(row: Row[Any]) -> bool:
    """Whether a job will be run without anybody's help, now or at the next start."""
    return row.state in (QUEUED, RUNNING) and row.spool_name is not None


def _bound(connection: Connection, tenant_id: str, key_hash: str) -> Row[Any] | None:
    keys, jobs = schema.idempotency_keys, schema.jobs
    query = (
        select(jobs, keys.c.fingerprint)
        .join(keys, keys.c.job_id == jobs.c.job_id)
        .where(keys.c.tenant_id == tenant_id, keys.c.key_hash == key_hash)
    )
    return connection.execute(query).first()


def _get(connection: Connection, job_id: str) -> Job:
    query = select(schema.jobs).where(schema.jobs.c.job_id == job_id)
    return job_of(connection.execute(query).one())


def _set(connection: Connection, job_id: str, **values: Any) -> None:
    connection.execute(update(schema.jobs).where(schema.jobs.c.job_id == job_id).values(**values))
