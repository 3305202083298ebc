"""Stores micro-batches one after the other, beside the thread that reads from Kafka."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Full, Queue
from threading import Condition, Event, Thread
from time import monotonic, perf_counter, time
from typing import Final, TypeVar

import numpy as np

from ingest_service.readers.registries import RegistryAwayError
from ingest_service.sources.kafka.intake import Intake, Prepared
from ingest_service.sources.kafka.isolation import prepare_apart, split_by_registry
from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.rejects import RejectWatch
from ingest_service.sources.kafka.sink import Assignment, FencedError, StreamHaltError, StreamSink
from ingest_service.sources.kafka.status import CONSUMING, WAITING, Status
from ingest_service.sources.kafka.wait import AWAY, Backoff, StoppedError
from lakehouse.errors import EtaError
from lakehouse.storage.stream_offsets import Partition

_log = logging.getLogger(__name__)
T = TypeVar("T")

PREPARE_TRIES: Final = 3
"""After so many, an error in preparing a batch is taken for its messages' and not for an outage."""
QUEUE_SECONDS: Final = 0.1
"""How often a wait for room looks whether the thread still runs."""
QUEUED: Final = 1
"""Micro-batches that wait while one is stored: enough to keep both threads busy."""


class BatchFailedError(Exception):
    """A micro-batch failed in a way that nobody foresaw; nothing of it is in raw, or all of it."""

    def __init__(self, parts: Sequence[PartitionBatch], step: str, cause: BaseException) -> None:
        super().__init__(f"{type(cause).__qualname__} while the batch was {step}")
        self.parts = parts
        self.known = cause if isinstance(cause, EtaError) else None
        """The cause, when it says itself what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the worker works with."""

    intake: Intake
    sink: StreamSink
    metrics: StreamMetrics
    status: Status
    rejects: RejectWatch
    backoff: Backoff
    stop: Event


class Worker:
    """One thread that prepares and stores batches in their order; ends at its first error."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts
        self._queue: Queue[Sequence[PartitionBatch] | None] = Queue(QUEUED)
        self._idle = Condition()
        self._open = 0
        self._stored: list[Sequence[PartitionBatch]] = []
        self._waiting: list[PartitionBatch] = []
        self._held: dict[Partition, Assignment] = {}
        """Where partitions stand that wait for the registry; what lies behind that is left out."""
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether `submit` would not wait."""
        return not self._queue.full()

    def submit(self, parts: Sequence[PartitionBatch]) -> None:
        """Hand over a micro-batch; call it when there is room."""
        with self._idle:
            self._open += 1
        while self._error is None:  # nobody takes it from the queue after an error
            with suppress(Full):
                self._queue.put(parts, timeout=QUEUE_SECONDS)
                return

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is under way; False when that takes too long or cannot come."""
        deadline = monotonic() + seconds
        with self._idle:
            while self._open and self._error is None:
                left = deadline - monotonic()
                if left <= 0 or not self._idle.wait(left):
                    return False
            return self._error is None

    def take_stored(self) -> list[Sequence[PartitionBatch]]:
        """Return the batches stored since the last call; raises what ended the worker."""
        with self._idle:
            stored, self._stored = self._stored, []
            error = self._error
        if error is not None:
            raise error
        return stored

    def take_waiting(self) -> list[PartitionBatch]:
        """Return what was not stored since the registry is away: read it again from there."""
        with self._idle:
            waiting, self._waiting = self._waiting, []
        return waiting

    def end(self) -> None:
        """End the thread; a batch under way is finished first."""
        while self._thread.is_alive():
            with suppress(Full):
                self._queue.put(None, timeout=QUEUE_SECONDS)
                break
        self._thread.join()

    def _work(self) -> None:
        try:
            while (parts := self._queue.get()) is not None:
                stored = self._store(parts)
                with self._idle:
                    self._open -= 1
                    self._stored.append(stored)
                    self._idle.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised in the reading thread
            with self._idle:
                self._error = error
                self._idle.notify_all()

    def _store(self, batch: Sequence[PartitionBatch]) -> Sequence[PartitionBatch]:
        """Store a batch less the partitions that wait for the registry; return what was stored."""
        step = "prepared"
        batch = [part for part in batch if not self._is_behind(part.assignment)]
        try:
            began = perf_counter()
            prepared = None
            while batch and prepared is None:
                try:
                    prepared = self._prepared(batch)
                except RegistryAwayError:
                    batch = self._hold(batch)
            if prepared is None:
                return ()
            prepared_at = perf_counter()
            with prepared.held:
                step = "stored"
                self._commit(prepared)
            for part in batch:
                self._held.pop(part.assignment.feed.partition, None)
            self._observe(batch, prepared, prepared_at - began, perf_counter() - prepared_at)
        except (*AWAY, BatchFailedError, StoppedError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # A panic of a native library is no Exception.
            _log.error("%s at %s while a batch was %s", *named(error), step)
            raise BatchFailedError(batch, step, error) from error
        return batch

    def _is_behind(self, assignment: Assignment) -> bool:
        held = self._held.get(assignment.feed.partition)
        return (
            held is not None and held.epoch == assignment.epoch and held.offset < assignment.offset
        )

    def _hold(self, batch: Sequence[PartitionBatch]) -> list[PartitionBatch]:
        """Set aside the parts that need the registry; return the others."""
        self._parts.metrics.retries.labels("registry").inc()
        ready, waiting = split_by_registry(self._parts.intake, batch)
        self._held.update({part.assignment.feed.partition: part.assignment for part in waiting})
        with self._idle:
            self._waiting += waiting
        return ready

    def _prepared(self, batch: Sequence[PartitionBatch]) -> Prepared:
        """Return the batch ready to be stored; one tenant's trouble does not hold it for ever."""
        tries = 0

        def attempt() -> Prepared:
            nonlocal tries
            tries += 1
            try:
                return prepare_apart(self._parts.intake, batch)
            except EtaError as error:
                if tries < PREPARE_TRIES or isinstance(error, FencedError | StreamHaltError):
                    raise
                raise BatchFailedError(batch, "prepared", error) from error

        return self._retried(attempt)

    def _commit(self, prepared: Prepared) -> None:
        own = self._parts
        self._retried(
            lambda: own.sink.store(
                prepared.rows, prepared.ranges, lambda: own.intake.is_current(prepared)
            )
        )
        prepared.publish()

    def _retried(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, however long something it needs is away."""
        own = self._parts
        while True:
            try:
                found = attempt()
            except (FencedError, StreamHaltError, RegistryAwayError):
                raise
            except AWAY as error:
                own.metrics.retries.labels("store").inc()
                own.status.set(WAITING, _waiting_for(error))
                own.backoff.wait()
            else:
                own.backoff.reset()
                self._say_consuming()
                return found

    def _say_consuming(self) -> None:
        try:
            self._parts.status.set(CONSUMING)
        except Exception as error:  # noqa: BLE001 - what was prepared holds locks, and goes on
            _log.warning("the state could not be set: %s at %s", *named(error))

    def _observe(
        self, batch: Sequence[PartitionBatch], prepared: Prepared, prepare: float, commit: float
    ) -> None:
        """Count what was stored; the batch stays stored when that fails."""
        metrics, now = self._parts.metrics, time()
        try:
            metrics.prepare.observe(prepare)
            metrics.commit.observe(commit)
            metrics.batch_rows.observe(sum(len(part.records) for part in batch))
            for part in batch:
                made = np.fromiter((record.timestamp for record in part.records), np.float64)
                topic = part.assignment.feed.partition.topic
                made = made[made >= 0]  # -1: the producer wrote no time
                metrics.latency.observe(topic, np.maximum(0.0, now - made / 1_000))
            for data_type, tally in prepared.tallies.items():
                metrics.count_rows(data_type, tally)
            for (data_type, code), count in prepared.codes.items():
                metrics.rejects.labels(data_type.value, code).inc(count)
            for (data_type, code), count in prepared.warnings.items():
                metrics.warnings.labels(data_type.value, code).inc(count)
            self._parts.rejects.note(prepared.outcomes)
            self._parts.sink.compact(prepared.rows)
        except Exception as error:  # noqa: BLE001 - figures are not worth a batch
            _log.warning("a batch was stored, and %s at %s after it", *named(error))


def _waiting_for(error: BaseException) -> str:
    """Say what is away, with nothing of the data."""
    if isinstance(error, EtaError):
        return f"the store did not take the batch: {error.message}; trying again"
    return f"the store did not take the batch ({type(error).__name__}); trying again"


def named(error: BaseException) -> tuple[str, str]:
    """Return an error's kind and place in the program; its text could hold data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "an unknown place"
    if trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
    return type(error).__qualname__, place
