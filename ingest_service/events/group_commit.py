"""Many requests, one Delta commit: the writer of events into the lake.

A commit costs the same for one event as for ten thousand. So requests of one tenant and data type
wait for each other a moment, and for as long as the commit before them runs; then they are stored
as one batch and all answered. Groups take turns, so a busy tenant delays another by one group at
most; one that sends more than its quota has a commit only now and then; and nobody's requests may
fill the memory.
"""

import asyncio
import logging
from asyncio import Future, Queue, Task
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final

from ingest_service.events.outcomes import told_of
from ingest_service.events.rows import EventRows
from ingest_service.events.writer import BehindError, EventRequest, Written
from ingest_service.json_files.rows import JsonColumns
from ingest_service.report import IngestReport
from ingest_service.service import IngestService
from ingest_service.upload import RowsOrder
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

GroupKey = tuple[str, DataType, str, str]
"""Tenant, data type, mapping, source: what the events of one batch have in common."""

RETRY_SECONDS: Final = 2


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


@dataclass(slots=True)
class _Waiting:
    request: EventRequest
    answer: "Future[Written]"
    since: float


@dataclass(slots=True)
class _Group:
    """Requests of one key that wait; `is_due` once it is in the queue of a worker."""

    requests: deque[_Waiting] = field(default_factory=deque)
    is_due: bool = False


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
        self._groups: dict[GroupKey, _Group] = {}
        self._due: Queue[GroupKey | None] = Queue()
        self._bytes: dict[str, int] = {}
        self._total = 0
        self._workers: list[Task[None]] = []
        self._threads = ThreadPoolExecutor(limits.parallel, thread_name_prefix="group-commit")

    def check_room(self, tenant_id: str) -> None:
        """Raise `BehindError` when too much waits, or waits for too long."""
        limits = self._limits
        is_full = (
            self._bytes.get(tenant_id, 0) >= limits.tenant_bytes
            or self._total >= limits.total_bytes
            or monotonic() - self._oldest(tenant_id) > limits.longest_wait
        )
        if is_full:
            raise BehindError(RETRY_SECONDS)

    async def write(self, request: EventRequest) -> Written:
        """Add a request to its group and return when the group is committed."""
        self.check_room(request.tenant_id)
        key = (request.tenant_id, request.data_type, request.mapping_name, request.source)
        group = self._groups.setdefault(key, _Group())
        answer: Future[Written] = asyncio.get_running_loop().create_future()
        group.requests.append(_Waiting(request, answer, monotonic()))
        self._account(request, request.size)
        if not group.is_due:
            group.is_due = True
            wait = self._limits.over_quota_wait if request.is_over_quota else self._limits.wait
            self._put_after(wait, key)
        return await asyncio.shield(answer)

    async def start(self) -> None:
        """Begin to take groups in turns."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._limits.parallel)]

    async def stop(self) -> None:
        """Store everything that waits, then end."""
        while self._total:
            await asyncio.sleep(self._limits.wait)
        for _ in self._workers:
            self._due.put_nowait(None)
        for worker in self._workers:
            with suppress(asyncio.CancelledError):
                await worker
        self._threads.shutdown()

    async def _work(self) -> None:
        while (key := await self._due.get()) is not None:
            group = self._groups[key]
            taken = self._take(group)
            try:
                await self._store(key, taken)
            finally:
                for waiting in taken:
                    self._account(waiting.request, -waiting.request.size)
                if group.requests:
                    is_over_quota = group.requests[0].request.is_over_quota
                    self._put_after(self._limits.over_quota_wait if is_over_quota else 0, key)
                else:
                    del self._groups[key]

    def _put_after(self, seconds: float, key: GroupKey) -> None:
        """Let a worker have a group; at once when there is nothing to wait for."""
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._due.put_nowait, key)
        else:
            self._due.put_nowait(key)

    def _take(self, group: _Group) -> list[_Waiting]:
        taken: list[_Waiting] = []
        events = 0
        while group.requests and events < self._limits.batch_events:
            waiting = group.requests.popleft()
            events += waiting.request.count
            taken.append(waiting)
        return taken

    async def _store(self, key: GroupKey, taken: Sequence[_Waiting]) -> None:
        """Commit requests as one batch and answer them.

        Should one of them break what no request can be expected to break, the others must not
        suffer for it: then each is tried alone.
        """
        loop = asyncio.get_running_loop()
        requests = [waiting.request for waiting in taken]
        try:
            written = await loop.run_in_executor(
                self._threads, partial(self._commit, key, requests)
            )
        except Exception as error:  # noqa: BLE001 - told to every waiting request
            if isinstance(error, EtaError) or len(taken) == 1:
                for waiting in taken:
                    _fail(waiting.answer, error)
                return
            _log.error("a group of requests failed: %s", type(error).__qualname__)
            for waiting in taken:
                await self._store(key, [waiting])
            return
        for waiting, found in zip(taken, written, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(found)

    def _commit(self, key: GroupKey, requests: Sequence[EventRequest]) -> list[Written]:
        """Store a group; runs in a thread."""
        started = monotonic()
        tenant_id, data_type, mapping_name, source = key
        settings = self._settings_of(tenant_id)
        mapping = settings.mapping(mapping_name)
        order = RowsOrder(
            tenant_id, data_type, mapping, mapping_name, settings, self._new_batch_id(), source
        )
        parts = [request.rows for request in requests]
        columns = JsonColumns.of(data_type, mapping)
        report, judged = self._ingest.ingest_rows(order, lambda: EventRows(parts, columns))
        self._observe(data_type, report, monotonic() - started)
        told = told_of(judged, [request.count for request in requests])
        return [Written(order.batch_id, one) for one in told]

    def _oldest(self, tenant_id: str) -> float:
        """When the tenant's oldest waiting request came; now when there is none."""
        waiting = [
            group.requests[0].since
            for key, group in self._groups.items()
            if key[0] == tenant_id and group.requests
        ]
        return min(waiting, default=monotonic())

    def _account(self, request: EventRequest, size: int) -> None:
        self._total += size
        left = self._bytes.get(request.tenant_id, 0) + size
        if left:
            self._bytes[request.tenant_id] = left
        else:
            del self._bytes[request.tenant_id]


def _fail(answer: "Future[Written]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever waited may be gone; then nobody else asks
