"""How jobs end: what could not be recorded at once is recorded as soon as the database answers.

A job that runs for ever in the record keeps its idempotency key busy and erasures waiting. So a
process knows which jobs it has ended, and says so again until it is written down.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, or_, select, update

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.jobs import FINAL_STATES, RUNNING
from lakehouse.control.key_room import KeyRoom

_log = logging.getLogger(__name__)

_INTERRUPTED: Final = {
    "error": "the request ended before its job did",
    "remedy": "send it again: what was stored is not stored twice",
}


class Endings:
    """The ends of the jobs that this process runs; for several threads."""

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], room: KeyRoom
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._room = room
        self._lock = Lock()
        self._unwritten: dict[str, tuple[str, dict[str, Any]]] = {}

    @contextmanager
    def running(self, job_id: str) -> Iterator[None]:
        """Run a job that no later process can run again; however the block ends, so does the job.

        If the block raises, the job has failed, unless it was ended before.
        """
        try:
            yield
        except BaseException:
            self._note(job_id, "failed", _INTERRUPTED)
            raise

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job in `state`, one of `FINAL_STATES`; a job that has ended stays as it is.

        Returns also when the database could not be reached: the end is recorded later.
        """
        if state not in FINAL_STATES:
            raise ValueError(f"{state!r} is not one of {sorted(FINAL_STATES)}")
        self._note(job_id, state, result)
        try:
            self.write()
        except Exception as error:  # noqa: BLE001 - the request has its answer all the same
            _log.warning("the end of a job is not recorded yet: %s", type(error).__qualname__)

    def write(self) -> None:
        """Record every end that is not recorded; raises what the database raises."""
        with self._lock:
            unwritten = list(self._unwritten.items())
        for job_id, (state, result) in unwritten:
            with self._connections.write() as connection:
                self._end(connection, job_id, state, result)
            with self._lock:
                self._unwritten.pop(job_id, None)

    def _note(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        with self._lock:
            self._unwritten.setdefault(job_id, (state, result))

    def _end(self, connection: Connection, job_id: str, state: str, result: dict[str, Any]) -> None:
        jobs, keys = schema.jobs, schema.idempotency_keys
        is_open = or_(jobs.c.state == RUNNING, jobs.c.is_owner_lost)
        ended = connection.execute(
            update(jobs)
            .where(jobs.c.job_id == job_id, is_open)
            .values(state=state, result=result, finished_at=self._clock(), is_owner_lost=False)
        )
        if not ended.rowcount:
            return
        tenant_id = connection.execute(
            select(keys.c.tenant_id).where(keys.c.job_id == job_id)
        ).scalar()
        if tenant_id is not None:
            size = len(json.dumps(result))
            connection.execute(
                update(keys).where(keys.c.job_id == job_id).values(answer_bytes=size)
            )
            self._room.add(tenant_id, size)
