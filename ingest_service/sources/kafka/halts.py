"""Partitions that stand still while the others flow: why, since when, and when to try again.

A partition halts when its next messages fail three times in a row, alone. It is tried again every
minute, and flows by itself once they can be read or stored. Nothing of it is skipped.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Final

from kafka import TopicPartition
from prometheus_client import Gauge

from ingest_service.sources.kafka import alarms
from ingest_service.sources.kafka.alarms import Alarm
from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.status import Status

_log = logging.getLogger(__name__)

BEFORE_ANY: Final = -1
"""The offset of what went wrong before the first message could be read."""
STRIKES: Final = 3
"""Failures in a row, at the same offset, after which a partition halts."""


@dataclass(slots=True)
class _Trouble:
    offset: int
    strikes: int = 0
    alarm: Alarm | None = None
    next_try: float = 0.0
    is_tried: bool = False


class Halts:
    """Remembers partitions in trouble, over sessions; tells log, metrics and status of halts."""

    def __init__(
        self,
        metrics: StreamMetrics,
        status: Status,
        retry_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._metrics, self._status = metrics, status
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._troubles: dict[TopicPartition, _Trouble] = {}

    def suspect(self, part: TopicPartition, offset: int) -> None:
        """Note that a batch with others failed: the partition's next batch is stored alone."""
        self._at(part, offset)

    def strike(
        self, part: TopicPartition, offset: int, alarm: Alarm, *, at_once: bool = False
    ) -> None:
        """Note a failure of the partition alone; `at_once` halts it without a second try."""
        trouble = self._at(part, offset)
        trouble.strikes = STRIKES if at_once else trouble.strikes + 1
        trouble.is_tried = False
        if trouble.strikes < STRIKES:
            return
        trouble.next_try = self._clock() + self._pause(alarm) if alarm.passes else inf
        if trouble.alarm != alarm:
            self._clear_metric(part, trouble)
            trouble.alarm = alarm
            _log.error("%s: %s. What to do: %s", alarm.name, alarm.message, alarm.remedy)
            self._gauge(part, alarm).set(1)
        self._tell()

    def passed(self, part: TopicPartition, after: int) -> None:
        """Note that messages up to `after` are stored: what failed before that is over."""
        trouble = self._troubles.get(part)
        if trouble is not None and after > trouble.offset:
            self.forget(part)

    def forget(self, part: TopicPartition) -> None:
        """Forget a partition: it is another consumer's now, or flows again."""
        trouble = self._troubles.pop(part, None)
        if trouble is not None and trouble.alarm is not None:
            self._clear_metric(part, trouble)
            self._tell()

    def is_suspect(self, part: TopicPartition) -> bool:
        """Whether the partition's messages are to be stored in batches of its own."""
        return part in self._troubles

    def is_halted(self, part: TopicPartition) -> bool:
        """Whether the partition stands still; not while it is tried again."""
        trouble = self._troubles.get(part)
        return trouble is not None and trouble.alarm is not None and not trouble.is_tried

    def due(self) -> list[TopicPartition]:
        """Return the halted partitions that are to be tried again; each once per period."""
        now, found = self._clock(), []
        for part, trouble in self._troubles.items():
            if trouble.alarm is not None and now >= trouble.next_try:
                trouble.next_try = now + self._pause(trouble.alarm)
                trouble.is_tried = True
                found.append(part)
        return found

    def show_missing(self, topics: Sequence[str]) -> None:
        """Raise the alarm for these topics, and end it for others."""
        for topic in topics:
            self.strike(TopicPartition(topic, -1), BEFORE_ANY, alarms.missing(topic), at_once=True)
        for part in list(self._troubles):
            if part.partition < 0 and part.topic not in topics:
                self.forget(part)

    def _at(self, part: TopicPartition, offset: int) -> _Trouble:
        trouble = self._troubles.get(part)
        if trouble is None or (trouble.offset != offset and trouble.alarm is None):
            trouble = self._troubles[part] = _Trouble(offset)
        trouble.offset = offset
        return trouble

    def _pause(self, alarm: Alarm) -> float:
        return self._retry_seconds if alarm.retry_seconds is None else alarm.retry_seconds

    def _gauge(self, part: TopicPartition, alarm: Alarm) -> Gauge:
        return self._metrics.halted.labels(part.topic, str(part.partition), alarm.name)

    def _clear_metric(self, part: TopicPartition, trouble: _Trouble) -> None:
        if trouble.alarm is not None:
            self._gauge(part, trouble.alarm).set(0)

    def _tell(self) -> None:
        alarms = {
            f"{part.topic}/{part.partition}": trouble.alarm
            for part, trouble in sorted(self._troubles.items())
            if trouble.alarm is not None
        }
        self._status.show_halts(
            [
                {"partition": name, "alarm": a.name, "message": a.message, "remedy": a.remedy}
                for name, a in alarms.items()
            ]
        )
