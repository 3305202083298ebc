"""Raises an alarm when too many of one tenant's messages are rejected; nobody is stopped by it.

Rejected messages are in quarantine and can be replayed, so nothing is lost by reading on. A tenant
is counted per partition; messages that name no tenant count against all of their partition's.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.status import Status
from lakehouse.contracts.tenant import UNATTRIBUTED

_log = logging.getLogger(__name__)

ALARM: Final = "too_many_rejects"
QUIET_SECONDS: Final = 3600.0
"""An alarm ends when its tenant has sent nothing for so long."""


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """The share of a tenant's latest messages that may be rejected, and of how many at least."""

    share: float
    window: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a tenant's messages of a partition in one micro-batch."""

    topic: str
    partition: int
    tenant_id: str
    received: int
    rejected: int
    codes: Counter[str]


@dataclass(slots=True)
class _Count:
    """Messages in two halves, the older of a whole window: a size that does not grow."""

    older: tuple[int, int] = (0, 0)
    newer: tuple[int, int] = (0, 0)
    seen_at: float = 0.0

    def add(self, received: int, rejected: int, window: int) -> tuple[int, int]:
        """Count messages; return how many of the latest were received and rejected."""
        self.newer = (self.newer[0] + received, self.newer[1] + rejected)
        found = (self.older[0] + self.newer[0], self.older[1] + self.newer[1])
        if self.newer[0] >= window:
            self.older, self.newer = self.newer, (0, 0)
        return found


_Key = tuple[str, int, str]


class RejectWatch:
    """Counts rejects per topic, partition and tenant; tells log, metrics and status of alarms."""

    def __init__(
        self,
        limit: RejectLimit,
        metrics: StreamMetrics,
        status: Status,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limit, self._metrics, self._status = limit, metrics, status
        self._clock = clock
        self._counts: dict[_Key, _Count] = {}
        self._alarms: dict[_Key, dict[str, str]] = {}

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Count what a stored micro-batch brought; begin and end alarms."""
        before = dict(self._alarms)
        for outcome in _of_partitions(outcomes):
            self._note(outcome)
        now = self._clock()
        for key in [k for k in self._alarms if now - self._counts[k].seen_at > QUIET_SECONDS]:
            del self._alarms[key], self._counts[key]
        if self._alarms != before:
            self._tell(before)

    def _note(self, outcome: Outcome) -> None:
        key = (outcome.topic, outcome.partition, outcome.tenant_id)
        count = self._counts.setdefault(key, _Count())
        count.seen_at = self._clock()
        received, rejected = count.add(outcome.received, outcome.rejected, self._limit.window)
        if received < self._limit.window or rejected <= self._limit.share * received:
            self._alarms.pop(key, None)
        elif key not in self._alarms:
            self._alarms[key] = alarm = _alarm(outcome, received, rejected)
            _log.error("%s: %s. What to do: %s", ALARM, alarm["message"], alarm["remedy"])

    def _tell(self, before: dict[_Key, dict[str, str]]) -> None:
        places = {key[:2] for key in (*before, *self._alarms)}
        for topic, partition in places:
            tenants = sum(key[:2] == (topic, partition) for key in self._alarms)
            self._metrics.reject_alarms.labels(topic, str(partition)).set(tenants)
        self._status.show_rejects([self._alarms[key] for key in sorted(self._alarms)])


def _of_partitions(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Yield the tenants' outcomes, and that of nobody's messages among all of a partition."""
    received: Counter[tuple[str, int]] = Counter()
    nobodys: dict[tuple[str, int], Outcome] = {}
    for one in outcomes:
        received[one.topic, one.partition] += one.received
        if one.tenant_id == UNATTRIBUTED:
            nobodys[one.topic, one.partition] = one
        else:
            yield one
    for (topic, partition), count in received.items():
        nobody = nobodys.get((topic, partition))
        rejected, codes = (nobody.rejected, nobody.codes) if nobody else (0, Counter[str]())
        yield Outcome(topic, partition, UNATTRIBUTED, count, rejected, codes)


def _alarm(outcome: Outcome, received: int, rejected: int) -> dict[str, str]:
    reasons = ", ".join(f"{code} {count}" for code, count in outcome.codes.most_common(3))
    place = f"{outcome.topic}/{outcome.partition}"
    return {
        "partition": place,
        "tenant": outcome.tenant_id,
        "alarm": ALARM,
        "message": f"{rejected} of the latest {received} messages of tenant {outcome.tenant_id} in "
        f"partition {outcome.partition} of {outcome.topic} were rejected (lately {reasons}); "
        "they are in quarantine, and everything else is stored",
        "remedy": f"see `eta quarantine list --tenant {outcome.tenant_id}` for why, correct the "
        "producer or the tenant's mapping, and replay what is in quarantine",
    }
