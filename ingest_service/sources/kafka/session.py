"""One membership in the consumer group: polls, gathers micro-batches, hands them to the worker."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError
from kafka.structs import OffsetAndMetadata

from ingest_service.sources.kafka import alarms
from ingest_service.sources.kafka.alarms import Alarm
from ingest_service.sources.kafka.broker import bounds_of, open_consumer, topic_numbers
from ingest_service.sources.kafka.consumer_parts import ConsumerParts, Reread
from ingest_service.sources.kafka.fetching import FetchGuard, Unreadable
from ingest_service.sources.kafka.gathering import Gathered
from ingest_service.sources.kafka.halts import BEFORE_ANY
from ingest_service.sources.kafka.positions import PartitionBatch, topic_partition
from ingest_service.sources.kafka.sink import Assignment, Bounds, FencedError, StreamHaltError
from ingest_service.sources.kafka.status import CONSUMING, DEGRADED, WAITING
from ingest_service.sources.kafka.wait import AWAY
from ingest_service.sources.kafka.worker import BatchFailedError
from lakehouse.storage.stream_offsets import Partition

POLL_MS: Final = 100
LOOK_SECONDS: Final = 5.0
"""How often lag is measured and the status is written."""
REGISTRY_SECONDS: Final = 5.0
"""How often, at least, the registry is asked again for partitions that wait for it."""
COMMIT_SECONDS: Final = 1.0
"""How long offsets that Kafka refused are not said again; it may refuse them for good."""
REFRESH_SECONDS: Final = 24 * 3600.0
CLOSE_MS: Final = 10_000


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """One membership in the group, from joining to leaving."""

    def __init__(self, parts: ConsumerParts, reread: Reread) -> None:
        self._parts = parts
        self._reread = reread
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._assigned: set[TopicPartition] = set()
        self._gathered = Gathered()
        self._unconfirmed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._is_committing = False
        self._commit_from = 0.0
        self._is_full = self._is_suspects_turn = False
        self._look_at = self._refresh_at = monotonic()

    def run(self) -> None:
        """Consume until told to stop; everything gathered is stored then."""
        own = self._parts
        topics = self._existing_topics()
        self._consumer: KafkaConsumer = open_consumer(own.bootstrap(), own.settings)
        try:
            self._guard = FetchGuard(self._consumer)
            self._worker = own.new_worker()
            try:
                for topic in topics:
                    # Whoever leads the group deals out what it knows: know it before joining.
                    self._consumer.partitions_for_topic(topic)
                self._consumer.subscribe(list(own.topics), listener=self)
                while not own.stop.is_set():
                    self._step()
                self._finish()
            finally:
                self._worker.end()
        finally:
            with suppress(KafkaError, OSError):
                self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _existing_topics(self) -> dict[str, int]:
        """Return the topics' numbers; wait while there is none, raise an alarm for each missing."""
        own = self._parts
        while True:
            numbers = topic_numbers(own.bootstrap(), own.topics, own.settings.client_options)
            missing = sorted(set(own.topics) - set(numbers))
            if numbers:
                own.halts.show_missing(missing)
                return numbers
            own.status.set(WAITING, f"these topics do not exist: {', '.join(missing)}")
            own.backoff.wait()

    def _step(self) -> None:
        try:
            records = self._poll()
            self._take_over_assigned()
            self._gather(records)
            for part, found in self._guard.take().items():
                self._note_unreadable(part, found)
            self._hand_over()
            self._note_stored()
            self._note_waiting()
        except BatchFailedError as failed:
            self._begin_anew(failed)
        self._look()

    def _poll(self) -> dict[TopicPartition, list[Any]]:
        timeout = POLL_MS
        if self._gathered:
            left = self._gathered.first_at + self._parts.settings.batch_seconds - monotonic()
            timeout = max(0, min(POLL_MS, int(left * 1_000)))
        try:
            records: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=timeout)
        except LogTruncationError as error:
            for part in set(error.divergent_offsets) & set(self._assignments):
                offset = self._assignments[part].offset
                self._halt(part, offset, alarms.truncated(part, offset), at_once=True)
            return {}
        return records

    def _gather(self, records: dict[TopicPartition, list[Any]]) -> None:
        """Keep what was polled, and how far each partition is read: markers are no messages."""
        for part, assignment in self._assignments.items():
            found = records.get(part, [])
            after = self._consumer.position(part, timeout_ms=0)
            if after is None:
                after = found[-1].offset + 1 if found else assignment.offset
            if found or after > (self._gathered.after(part) or assignment.offset):
                self._gathered.add(part, found, after)

    def _hand_over(self) -> None:
        """Give the batch to the worker when it is due; stop fetching while there is no room."""
        settings, gathered = self._parts.settings, self._gathered
        is_full = gathered.rows >= settings.batch_rows or gathered.bytes >= settings.batch_bytes
        is_due = gathered and monotonic() - gathered.first_at >= settings.batch_seconds
        if (is_full or is_due) and self._worker.has_room:
            self._submit()
            is_full = False
        if is_full != self._is_full:
            self._is_full = is_full
            for part in self._assignments:
                self._let_flow(part)

    def _submit(self) -> None:
        """Hand over what was gathered; a partition in trouble goes alone, after the others."""
        halts, parts = self._parts.halts, []
        suspects = [part for part in self._gathered.parts() if halts.is_suspect(part)]
        ready = [part for part in self._gathered.parts() if part not in suspects]
        if suspects and (self._is_suspects_turn or not ready):
            ready = suspects[:1]  # in turn with the others, however many these bring
        self._is_suspects_turn = ready != suspects[:1]
        for part in ready:
            records, after = self._gathered.take(part)
            parts.append(PartitionBatch(self._assignments[part], records, after))
            self._assignments[part] = replace(self._assignments[part], offset=after)
        if parts:
            self._worker.submit(parts)

    def _finish(self) -> None:
        """Store what was gathered and say so to Kafka."""
        with suppress(BatchFailedError):  # what failed stays in the topic
            while self._gathered:
                self._submit()
            self._worker.drain(CLOSE_MS / 1_000)
            self._note_stored(wait=True)

    def _note_stored(self, *, wait: bool = False) -> None:
        for batch in self._worker.take_stored():
            for part in batch:
                tp = topic_partition(part.assignment)
                self._unconfirmed[tp] = OffsetAndMetadata(part.after, "", -1)
                self._parts.halts.passed(tp, part.after)
        self._unconfirmed = {
            part: at for part, at in self._unconfirmed.items() if part in self._assignments
        }
        if self._unconfirmed and wait:
            with suppress(KafkaError):
                self._consumer.commit(self._unconfirmed, timeout_ms=CLOSE_MS)
        elif self._unconfirmed and not self._is_committing and monotonic() >= self._commit_from:
            self._is_committing = True
            self._consumer.commit_async(dict(self._unconfirmed), self._note_committed)

    def _note_committed(self, offsets: dict[TopicPartition, OffsetAndMetadata], said: Any) -> None:
        """Forget what Kafka confirmed; what it refused is said again a moment later."""
        self._is_committing = False
        if isinstance(said, Exception):
            self._commit_from = monotonic() + COMMIT_SECONDS
            return
        for part, at in offsets.items():
            if self._unconfirmed.get(part) == at:
                del self._unconfirmed[part]

    def _begin_anew(self, failed: BatchFailedError) -> None:
        """Take all partitions over again: nothing of the failed batch was stored, or all of it."""
        own = self._parts
        own.metrics.retries.labels("fault").inc()
        self._worker.end()
        for at in failed.parts:
            part, offset = topic_partition(at.assignment), at.assignment.offset
            if len(failed.parts) > 1:
                own.halts.suspect(part, offset)
            else:
                own.halts.strike(part, offset, alarms.failed(part, offset, failed))
        self._worker = own.new_worker()
        self._assignments.clear()
        self._gathered = Gathered()
        self._is_full = False
        self.on_partitions_assigned(self._consumer.assignment())
        own.backoff.wait()

    def _note_unreadable(self, part: TopicPartition, found: Unreadable) -> None:
        if part in self._assignments and self._consumer.position(part, timeout_ms=0) == found.first:
            self._halt(part, found.first, alarms.unreadable(found))

    def _note_waiting(self) -> None:
        """Read partitions again from where they wait for the registry; the others flow."""
        seconds = min(REGISTRY_SECONDS, self._parts.settings.backoff_most_seconds)
        for at in self._worker.take_waiting():
            part, offset = topic_partition(at.assignment), at.assignment.offset
            mine = self._assignments.get(part)
            if mine is None or mine.epoch != at.assignment.epoch:
                continue
            self._assignments[part] = at.assignment
            self._gathered.drop(part)
            self._consumer.seek(part, offset)
            self._halt(part, offset, alarms.registry_away(part, offset, seconds), at_once=True)

    def _halt(
        self, part: TopicPartition, offset: int, alarm: Alarm, *, at_once: bool = False
    ) -> None:
        self._parts.halts.strike(part, offset, alarm, at_once=at_once)
        self._let_flow(part)

    def _let_flow(self, part: TopicPartition) -> None:
        """Fetch a partition of this process, or stop fetching it, as things stand now."""
        is_still = self._is_full or self._parts.halts.is_halted(part)
        (self._consumer.pause if is_still else self._consumer.resume)(part)

    def _take_over_assigned(self) -> None:
        """Make newly assigned partitions this process's own, and read them from where raw ends."""
        if not self._assigned:
            return
        own, new = self._parts, self._assigned & self._consumer.assignment()
        self._assigned = set()
        numbers = self._existing_topics() if new else {}
        new = {part for part in new if part.topic in numbers}
        if not new:
            return
        bounds = bounds_of(self._consumer, new, numbers)
        begun = self._reread.begun
        topics = frozenset(p.topic for p in new - begun if p.topic in self._reread.topics)
        for assignment in self._taken(bounds, topics):
            part = topic_partition(assignment)
            self._assignments[part] = assignment
            # what raw holds, Kafka need not have heard: the one before may have been cut off
            self._unconfirmed[part] = OffsetAndMetadata(assignment.offset, "", -1)
            begun.add(part)
            own.halts.passed(part, 0)
            self._consumer.seek(part, assignment.offset)
            self._let_flow(part)
        own.metrics.rebalances.inc(len(new))
        own.backoff.reset()
        own.status.set(CONSUMING)

    def _taken(
        self, bounds: dict[TopicPartition, Bounds], reread: frozenset[str]
    ) -> Iterator[Assignment]:
        """Take partitions over; one that may not be read on halts, and the others do not."""
        own = self._parts
        wanted = {
            Partition(part.topic, part.partition): (own.topics[part.topic], bound)
            for part, bound in bounds.items()
        }
        try:
            yield from self._retried(lambda: own.sink.take_over(wanted, reread))
        except StreamHaltError as halt:
            if len(bounds) > 1:
                for part, bound in bounds.items():
                    yield from self._taken({part: bound}, reread)
                return
            alarm = Alarm(halt.alarm, halt.message, halt.remedy)
            for part in bounds:
                own.halts.strike(part, BEFORE_ANY, alarm, at_once=True)

    def _retried(self, attempt: Callable[[], list[Assignment]]) -> list[Assignment]:
        own = self._parts
        while True:
            try:
                return attempt()
            except (FencedError, StreamHaltError):
                raise
            except AWAY as error:
                own.metrics.retries.labels("store").inc()
                own.status.set(WAITING, f"the store does not answer ({type(error).__name__})")
                own.backoff.wait()

    def _look(self) -> None:
        """Measure lag now and then; it also tells whether Kafka is there."""
        own, now = self._parts, monotonic()
        for part in own.halts.due():
            self._try_again(part)
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        lag: dict[str, int] = {}
        if self._assignments:
            try:
                lag = self._lag()
            except KafkaError as error:
                own.metrics.retries.labels("broker").inc()
                own.status.set(WAITING, f"Kafka does not answer ({type(error).__name__})")
                return
            if own.status.is_waiting_for("Kafka"):
                own.status.set(CONSUMING)
        elif own.status.state not in (CONSUMING, DEGRADED):
            own.status.set(CONSUMING, "no partition is assigned to this one")
        own.status.show({"lag": lag})
        if now - self._refresh_at > REFRESH_SECONDS and self._worker.drain(1.0):
            own.sink.refresh(list(self._assignments.values()))
            self._refresh_at = now

    def _try_again(self, part: TopicPartition) -> None:
        if part in self._assignments:
            self._let_flow(part)
        elif part.partition >= 0:
            self._assigned.add(part)  # it halted when it was taken over
        else:
            with suppress(KafkaError):
                self._existing_topics()

    def _lag(self) -> dict[str, int]:
        ends = self._consumer.end_offsets(list(self._assignments), timeout_ms=1_000)
        lag = {}
        for part, end in ends.items():
            behind = max(0, end - self._assignments[part].offset)
            self._parts.metrics.lag.labels(part.topic, str(part.partition)).set(behind)
            lag[f"{part.topic}/{part.partition}"] = behind
        return lag

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
        if any(part in self._assignments for part in gone):
            self._worker.drain(self._parts.settings.session_timeout_ms / 2_000)
        self.on_partitions_lost(gone)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Forget what was gathered: the next owner reads it."""
        for part in lost:
            self._assigned.discard(part)
            self._assignments.pop(part, None)
            self._gathered.drop(part)
            self._parts.halts.forget(part)
