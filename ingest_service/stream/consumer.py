"""The loop that reads topics: polls, gathers micro-batches, hands them to the worker.

Where reading begins is decided by the lake alone (`StreamSink.take_over`); offsets go to Kafka
after a batch is stored, for tools that show lag.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from ingest_service.settings import StreamSettings
from ingest_service.stream.broker import bounds_of, open_consumer, topic_numbers
from ingest_service.stream.metrics import StreamMetrics
from ingest_service.stream.places import Part
from ingest_service.stream.sink import Claim, FencedError, StreamSink
from ingest_service.stream.status import CONSUMING, WAITING, Status
from ingest_service.stream.worker import AWAY, Backoff, StoppedError, Worker
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.stream_offsets import Partition

_log = logging.getLogger(__name__)

POLL_MS: Final = 100
LOOK_SECONDS: Final = 5.0
"""How often lag is measured and the status is written."""
REFRESH_SECONDS: Final = 24 * 3600.0
CLOSE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """What the loop works with; `topics` are read into these data types."""

    bootstrap: Callable[[], str]
    topics: dict[str, DataType]
    settings: StreamSettings
    sink: StreamSink
    metrics: StreamMetrics
    status: Status
    backoff: Backoff
    stop: Event
    new_worker: Callable[[], Worker]


class StreamConsumer:
    """Reads the topics until told to stop."""

    def __init__(self, parts: ConsumerParts, reread: frozenset[str] = frozenset()) -> None:
        self._parts = parts
        self._reread = reread
        self._reread_done: set[TopicPartition] = set()

    def run(self) -> None:
        """Consume; returns after `stop`, with everything that was gathered stored.

        While Kafka, the registry or the store is away it waits, and loses nothing. Raises
        `StreamHaltError` for what a person has to look at.
        """
        own = self._parts
        while not own.stop.is_set():
            try:
                _Session(self).run()
            except StoppedError:
                return
            except FencedError as error:
                _log.warning("%s; beginning anew", error.message)
                own.metrics.retries.labels("fenced").inc()
                with suppress(StoppedError):
                    own.backoff.wait()
            except KafkaError as error:
                own.metrics.retries.labels("broker").inc()
                own.status.set(WAITING, f"Kafka does not answer ({type(error).__name__})")
                with suppress(StoppedError):
                    own.backoff.wait()


class _Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """One membership in the group, from joining to leaving."""

    def __init__(self, owner: StreamConsumer) -> None:
        self._owner = owner
        self._parts = owner._parts  # noqa: SLF001 - one class in two parts
        self._claims: dict[TopicPartition, Claim] = {}
        self._assigned: set[TopicPartition] = set()
        self._gathered: dict[TopicPartition, list[Any]] = {}
        self._rows = self._bytes = 0
        self._first_at = 0.0
        self._paused = False
        self._look_at = self._refresh_at = monotonic()

    def run(self) -> None:
        own = self._parts
        topics = self._existing_topics()
        self._consumer: KafkaConsumer = open_consumer(own.bootstrap(), own.settings)
        self._worker = own.new_worker()
        try:
            for topic in topics:
                # Whoever leads the group deals out what it knows: know it before joining.
                self._consumer.partitions_for_topic(topic)
            self._consumer.subscribe(list(topics), listener=self)
            while not own.stop.is_set():
                self._step()
            self._finish()
        finally:
            self._worker.end()
            with suppress(KafkaError, OSError):
                self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _existing_topics(self) -> dict[str, int]:
        """Return the topics' numbers; wait for those that do not exist."""
        own = self._parts
        while True:
            numbers = topic_numbers(own.bootstrap(), own.topics, own.settings.client_options)
            missing = sorted(set(own.topics) - set(numbers))
            if not missing:
                return numbers
            own.status.set(WAITING, f"these topics do not exist: {', '.join(missing)}")
            own.backoff.wait()

    def _step(self) -> None:
        records = self._consumer.poll(timeout_ms=self._poll_ms())
        self._take_over_assigned()
        for part, found in records.items():
            if part in self._claims:
                self._gather(part, found)
        self._hand_over()
        self._tell_kafka(self._worker.take_stored())
        self._look()

    def _poll_ms(self) -> int:
        if not self._rows:
            return POLL_MS
        left = self._first_at + self._parts.settings.batch_seconds - monotonic()
        return max(0, min(POLL_MS, int(left * 1_000)))

    def _gather(self, part: TopicPartition, records: list[Any]) -> None:
        if not self._rows:
            self._first_at = monotonic()
        self._gathered.setdefault(part, []).extend(records)
        self._rows += len(records)
        self._bytes += sum(max(0, record.serialized_value_size or 0) for record in records)

    def _hand_over(self) -> None:
        """Give the batch to the worker when it is due; stop fetching while there is no room."""
        settings = self._parts.settings
        is_full = self._rows >= settings.batch_rows or self._bytes >= settings.batch_bytes
        is_due = self._rows and monotonic() - self._first_at >= settings.batch_seconds
        if (is_full or is_due) and self._worker.has_room:
            self._submit()
            is_full = False
        if is_full != self._paused:
            change = self._consumer.pause if is_full else self._consumer.resume
            change(*(part for part in self._consumer.assignment() if part in self._claims))
            self._paused = is_full

    def _submit(self) -> None:
        parts = []
        for part, records in self._gathered.items():
            claim = self._claims[part]
            parts.append(Part(claim, records))
            self._claims[part] = replace(claim, offset=records[-1].offset + 1)
        self._gathered = {}
        self._rows = self._bytes = 0
        if parts:
            self._worker.submit(parts)

    def _finish(self) -> None:
        """Store what was gathered and say so to Kafka."""
        if self._rows:
            self._submit()
        self._worker.drain(CLOSE_MS / 1_000)
        self._tell_kafka(self._worker.take_stored(), wait=True)

    def _tell_kafka(self, stored: Iterable[Any], *, wait: bool = False) -> None:
        offsets = {
            _topic_partition(part.claim): OffsetAndMetadata(part.records[-1].offset + 1, "", -1)
            for batch in stored
            for part in batch
        }
        mine = {part: at for part, at in offsets.items() if part in self._claims}
        if not mine:
            return
        if not wait:
            self._consumer.commit_async(mine)
            return
        with suppress(KafkaError):
            self._consumer.commit(mine, timeout_ms=CLOSE_MS)

    def _take_over_assigned(self) -> None:
        """Make newly assigned partitions this process's own, and read them from where raw ends."""
        if not self._assigned:
            return
        own, new = self._parts, self._assigned & self._consumer.assignment()
        self._assigned = set()
        if not new:
            return
        numbers = self._existing_topics()
        bounds = bounds_of(self._consumer, new, numbers)
        wanted = {
            Partition(part.topic, part.partition): (own.topics[part.topic], bounds[part])
            for part in new
        }
        begun = self._owner._reread_done  # noqa: SLF001
        reread = frozenset(
            part.topic
            for part in new
            if part.topic in self._owner._reread and part not in begun  # noqa: SLF001
        )
        for claim in self._retried(lambda: own.sink.take_over(wanted, reread)):
            part = _topic_partition(claim)
            self._claims[part] = claim
            self._consumer.seek(part, claim.offset)
            if not self._paused:
                self._consumer.resume(part)
        begun.update(new)
        own.metrics.rebalances.inc(len(new))
        own.backoff.reset()
        own.status.set(CONSUMING)

    def _retried(self, attempt: Callable[[], list[Claim]]) -> list[Claim]:
        own = self._parts
        while True:
            try:
                return attempt()
            except FencedError:
                raise
            except AWAY as error:
                if getattr(error, "alarm", None):
                    raise
                own.metrics.retries.labels("store").inc()
                own.status.set(WAITING, f"the store does not answer ({type(error).__name__})")
                own.backoff.wait()

    def _look(self) -> None:
        """Measure lag now and then; it also tells whether Kafka is there."""
        own, now = self._parts, monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        parts = list(self._claims)
        lag: dict[str, int] = {}
        if parts:
            try:
                ends = self._consumer.end_offsets(parts, timeout_ms=1_000)
            except KafkaError as error:
                own.metrics.retries.labels("broker").inc()
                own.status.set(WAITING, f"Kafka does not answer ({type(error).__name__})")
                return
            for part, end in ends.items():
                behind = max(0, end - self._claims[part].offset)
                own.metrics.lag.labels(part.topic, str(part.partition)).set(behind)
                lag[f"{part.topic}/{part.partition}"] = behind
            if own.status.is_waiting_for("Kafka"):
                own.status.set(CONSUMING)
        elif own.status.state != CONSUMING:
            own.status.set(CONSUMING, "no partition is assigned to this one")
        own.status.show({"lag": lag})
        if now - self._refresh_at > REFRESH_SECONDS and self._worker.drain(1.0):
            own.sink.refresh(list(self._claims.values()))
            self._refresh_at = now

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Hold new partitions still: the loop takes them over before it reads them."""
        for part in assigned:
            # A position, so that nobody asks Kafka's offsets for one; nothing is read there.
            self._consumer.pause(part)
            self._consumer.seek(part, 0)
            self._assigned.add(part)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what is under way end, so that the next owner need not do it again."""
        gone = set(revoked)
        if any(part in self._claims for part in gone):
            self._worker.drain(self._parts.settings.session_timeout_ms / 2_000)
        self.on_partitions_lost(gone)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Forget what was gathered: the next owner reads it."""
        for part in lost:
            self._assigned.discard(part)
            self._claims.pop(part, None)
            dropped = self._gathered.pop(part, [])
            self._rows -= len(dropped)
            self._bytes -= sum(max(0, r.serialized_value_size or 0) for r in dropped)


def _topic_partition(claim: Claim) -> TopicPartition:
    partition = claim.feed.partition
    return TopicPartition(partition.topic, partition.number)
