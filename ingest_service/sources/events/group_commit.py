"""Many requests, one Delta commit: the writer of events into the lake.

A commit costs the same for one event as for ten thousand. So requests of one tenant and data type
wait for each other a moment, and for as long as the commit before them runs; then they are stored
as one batch and all answered. Groups take turns, so a busy tenant delays another by one group at
most; one that sends more than its quota has a commit only now and then; and nobody's requests may
fill the memory.

A group that has requests has a task of its own. However that task ends, the requests that it has
not answered are answered then and the group is gone; the next request begins a new one. So there is
no worker that could die, and what goes wrong for one group cannot reach another.
"""

import asyncio
import logging
import traceback
from asyncio import Future, Semaphore, Task
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from ingest_service.dedupe.turns import Turn
from ingest_service.pipeline.report import IngestReport
from ingest_service.readers.events.rows import EventRows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.sources.events.groups import (
    Answer,
    Group,
    GroupKey,
    Room,
    Waiting,
    as_answer,
    interrupted,
    is_for_all,
)
from ingest_service.sources.events.outcomes import told_of
from ingest_service.sources.events.writer import BehindError, EventRequest, Written
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import RowsOrder
from lakehouse.contracts.tenant import DataType, TenantSettings

_log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 2
TURN_SECONDS: Final = 0.01
"""How often a group looks whether an upload of its tenant has left the dedupe window to it."""
STOP_SECONDS: Final = 60.0
"""How long `stop` waits for what was taken in."""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How long requests wait and how much of them.

    `wait`: seconds that a request waits for company; `over_quota_wait`: that of a tenant which
    sends more than its quota. The others bound one batch and memory.

    `tenant_bytes` and `total_bytes` are of requests that wait, `longest_wait` the seconds after
    which the oldest of them shows that the writer is behind.
    """

    wait: float = 0.02
    over_quota_wait: float = 0.5
    batch_events: int = 20_000
    tenant_bytes: int = 16 * 1024 * 1024
    total_bytes: int = 32 * 1024 * 1024
    longest_wait: float = 5.0
    parallel: int = 2


class GroupCommitWriter:
    """Stores event requests in groups; see `EventWriter`. One event loop."""

    def __init__(
        self,
        ingest: IngestService,
        settings_of: Callable[[str], TenantSettings],
        new_batch_id: Callable[[], str],
        limits: GroupLimits,
        observe: Callable[[DataType, IngestReport, float], None],
    ) -> None:
        self._ingest = ingest
        self._settings_of = settings_of
        self._new_batch_id = new_batch_id
        self._limits = limits
        self._observe = observe
        self._groups: dict[GroupKey, Group] = {}
        self._room = Room()
        self._slots = Semaphore(limits.parallel)
        self._threads = ThreadPoolExecutor(limits.parallel, thread_name_prefix="group-commit")
        self._is_stopping = False

    def check_room(self, tenant_id: str) -> None:
        """Raise `BehindError` when too much waits, or waits for too long."""
        limits = self._limits
        is_full = (
            self._is_stopping
            or self._room.of(tenant_id) >= limits.tenant_bytes
            or self._room.total >= limits.total_bytes
            or monotonic() - self._oldest(tenant_id) > limits.longest_wait
        )
        if is_full:
            raise BehindError(RETRY_SECONDS)

    async def write(self, request: EventRequest) -> Written:
        """Add a request to its group and return when the group is committed."""
        self.check_room(request.tenant_id)
        key = (request.tenant_id, request.data_type, request.mapping_name, request.source)
        answer: Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = Waiting(request, answer, monotonic())
        group = self._groups.get(key) or self._begin(key)
        group.add(waiting)
        self._room.hold(waiting)
        found = await asyncio.shield(answer)
        if isinstance(found, Exception):
            # Others of the group get the same error: without the way it took through them.
            raise found.with_traceback(None)
        return found

    async def start(self) -> None:
        """Nothing has to run before the first request."""

    async def stop(self) -> None:
        """Store everything that waits, within a minute, and end; what is left gets an error."""
        self._is_stopping = True
        tasks = [group.task for group in self._groups.values() if group.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: GroupKey) -> Group:
        """Return a new group whose task runs: no request waits where there is none."""
        group = Group()
        group.task = asyncio.create_task(self._serve(key, group))
        group.task.add_done_callback(partial(self._ended, key, group))
        self._groups[key] = group
        return group

    async def _serve(self, key: GroupKey, group: Group) -> None:
        """Store what a group has until it has no more; it is gone in the same moment."""
        pause = self._limits.wait
        while group.has_more:
            await asyncio.sleep(self._limits.over_quota_wait if group.is_over_quota else pause)
            pause = 0
            with self._ingest.turn(key[0], key[1]) as turn:
                while not turn.has_come:
                    await asyncio.sleep(TURN_SECONDS)
                async with self._slots:
                    await self._store(key, group, turn)
        self._drop(key, group)

    def _ended(self, key: GroupKey, group: Group, task: "Task[None]") -> None:
        """Answer what a group's task has left without an answer, for whatever reason it ended."""
        self._drop(key, group)
        error = interrupted() if task.cancelled() else task.exception()
        if error is not None:
            _report(error)
        for waiting in list(group.open):
            waiting.settle(as_answer(error or interrupted()))

    def _drop(self, key: GroupKey, group: Group) -> None:
        if self._groups.get(key) is group:
            del self._groups[key]

    async def _store(self, key: GroupKey, group: Group, turn: Turn) -> None:
        """Commit the group's next requests as one batch and answer them.

        Should one of them break what no request can be expected to break, the others must not
        suffer for it: then each half is tried alone, in turns with the other groups.
        """
        taken = group.take(self._limits.batch_events)
        requests = [waiting.request for waiting in taken]
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, partial(self._outcome, key, requests, turn)
        )
        outcome = await running
        if isinstance(outcome, list):
            for waiting, written in zip(taken, outcome, strict=True):
                waiting.settle(written)
            return
        _report(outcome)
        if len(taken) > 1 and not is_for_all(outcome):
            group.split(taken)
            return
        for waiting in taken:
            waiting.settle(outcome)

    def _outcome(
        self, key: GroupKey, requests: Sequence[EventRequest], turn: Turn
    ) -> list[Written] | Exception:
        """Return what became of a group, an error too: a future cannot hold every error."""
        try:
            return self._commit(key, requests, turn)
        except BaseException as error:  # noqa: BLE001 - given to the requests
            return as_answer(error)

    def _commit(self, key: GroupKey, requests: Sequence[EventRequest], turn: Turn) -> list[Written]:
        """Store a group; runs in a thread."""
        started = monotonic()
        tenant_id, data_type, mapping_name, source = key
        settings = self._settings_of(tenant_id)
        mapping = settings.mapping(mapping_name, data_type)
        order = RowsOrder(
            tenant_id, data_type, mapping, mapping_name, settings, self._new_batch_id(), source
        )
        parts = [request.rows for request in requests]
        columns = JsonColumns.of(data_type, mapping)
        report, results = self._ingest.ingest_rows(order, lambda: EventRows(parts, columns), turn)
        told = told_of(results, [request.count for request in requests])
        written = [Written(order.batch_id, one) for one in told]
        try:
            self._observe(data_type, report, monotonic() - started)
        except Exception as error:  # noqa: BLE001 - the batch is durable, whatever the figures say
            _report(error)
        return written

    def _oldest(self, tenant_id: str) -> float:
        """When the tenant's oldest waiting request came; now when there is none."""
        waiting = [
            group.waiting[0].since
            for key, group in self._groups.items()
            if key[0] == tenant_id and group.waiting
        ]
        return min(waiting, default=monotonic())


def _report(error: BaseException) -> None:
    """Log an error's type and where it arose; its text may quote data."""
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("a group of requests failed: %s\n%s", type(error).__qualname__, where)
