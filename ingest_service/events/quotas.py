"""How fast and how much each tenant may send: a bucket per second, a count per day.

The bucket is this process's own: with several processes a tenant has the rate at each. The day's
count is kept in the control database by all processes together, brought up to date every second;
so a day may end up over its quota by what the processes take in within one second, and a killed
process forgets at most its last second.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from time import monotonic
from typing import Final, Protocol

from ingest_service.background import Background
from lakehouse.contracts.tenant import Quotas
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 1.0
OVER_SECONDS: Final = 2.0
"""How long a tenant that was refused for its rate counts as one that sends too much."""


class QuotaError(EtaError):
    """A tenant has sent more than it may; `retry_after` is in seconds."""

    def __init__(self, code: str, message: str, retry_after: int) -> None:
        super().__init__(
            message,
            remedy="send it again after the time in Retry-After; `quotas` of the tenant's "
            "settings say how much it may send",
        )
        self.code = code
        self.retry_after = retry_after


class Usage(Protocol):
    """Daily counts that processes share; see `lakehouse.control.usage.DailyUsage`."""

    def add(self, day: date, events: dict[str, int]) -> dict[str, int]:
        """Add events; return the new totals."""
        ...

    def of(self, tenant_id: str, day: date) -> int:
        """Return a total."""
        ...


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    refused_at: float | None = None


@dataclass(slots=True)
class _Day:
    day: date
    known: int
    """What the database said last, and what was added here since."""


class QuotaKeeper:
    """Says who may send; one event loop."""

    def __init__(
        self,
        usage: Usage,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._usage = usage
        self._clock = clock
        self._now = now
        self._buckets: dict[str, _Bucket] = {}
        self._days: dict[str, _Day] = {}
        self._unsaved: Counter[tuple[str, date]] = Counter()
        self._saving = Background("counting the day's events", self._save_for_ever)

    def admit(self, tenant_id: str, quotas: Quotas) -> None:
        """Raise `QuotaError` when the tenant has used up what it may send now or today."""
        if quotas.events_per_second is not None:
            self._check_rate(tenant_id, quotas, quotas.events_per_second)
        if quotas.events_per_day is not None and self._today(tenant_id) >= quotas.events_per_day:
            raise QuotaError(
                "daily_quota",
                f"the tenant has sent its {quotas.events_per_day:,} events of today",
                self._until_midnight(),
            )

    def take(self, tenant_id: str, quotas: Quotas, events: int) -> None:
        """Count events that come in; raises `QuotaError` when there is no room at all.

        What is left may be overdrawn by one request: the next ones wait the longer. So a request
        larger than the quota of a moment is served, and the average holds.
        """
        self.admit(tenant_id, quotas)
        if quotas.events_per_second is not None:
            self._buckets[tenant_id].tokens -= events
        today = self._now().date()
        self._unsaved[tenant_id, today] += events
        if tenant_id in self._days and self._days[tenant_id].day == today:
            self._days[tenant_id].known += events

    def is_over(self, tenant_id: str) -> bool:
        """Whether the tenant was refused for its rate a moment ago."""
        bucket = self._buckets.get(tenant_id)
        if bucket is None or bucket.refused_at is None:
            return False
        return self._clock() - bucket.refused_at < OVER_SECONDS

    async def start(self) -> None:
        """Begin to save counts."""
        self._saving.start()

    async def stop(self) -> None:
        """Save what was counted, then end."""
        await self._saving.stop()
        await self._save()

    def _check_rate(self, tenant_id: str, quotas: Quotas, rate: int) -> None:
        now, most = self._clock(), rate * quotas.burst_seconds
        bucket = self._buckets.get(tenant_id)
        if bucket is None:
            bucket = self._buckets[tenant_id] = _Bucket(most, now)
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens <= 0:
            bucket.refused_at = now
            wait = max(1, ceil((1 - bucket.tokens) / rate))
            raise QuotaError(
                "rate_limited", f"the tenant sends more than {rate:,} events per second", wait
            )

    def _today(self, tenant_id: str) -> int:
        today = self._now().date()
        known = self._days.get(tenant_id)
        if known is None or known.day != today:
            found = self._usage.of(tenant_id, today) + self._unsaved[tenant_id, today]
            known = self._days[tenant_id] = _Day(today, found)
        return known.known

    def _until_midnight(self) -> int:
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(1, ceil((midnight - now).total_seconds()))

    async def _save_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._save()

    async def _save(self) -> None:
        """Save what was counted; what could not be saved stays for the next time."""
        unsaved = Counter(self._unsaved)
        for day in {day for _, day in unsaved}:
            events = {tenant: count for (tenant, of), count in unsaved.items() if of == day}
            try:
                totals = await asyncio.to_thread(self._usage.add, day, events)
            except EtaError as error:
                _log.warning("the day's events could not be counted: %s", type(error).__name__)
                continue
            for tenant, count in events.items():
                self._unsaved[tenant, day] -= count
                if not self._unsaved[tenant, day]:
                    del self._unsaved[tenant, day]
            for tenant, total in totals.items():
                if tenant in self._days and self._days[tenant].day == day:
                    self._days[tenant].known = total + self._unsaved[tenant, day]
