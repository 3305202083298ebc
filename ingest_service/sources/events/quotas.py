"""How fast and how much each tenant may send: a bucket per second, a count per day.

The bucket is this process's own: with several processes a tenant has the rate at each. The day's
count is that of all processes together (`day_counts`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from math import ceil
from time import monotonic
from typing import Final

from ingest_service.sources.events.day_counts import DayCounts, Usage, utc_now
from lakehouse.contracts.tenant import Quotas
from lakehouse.errors import EtaError

OVER_SECONDS: Final = 2.0
"""How long a tenant that was refused for its rate counts as one that sends too much."""


class QuotaError(EtaError):
    """A tenant has sent more than it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, code: str, message: str, retry_after: int) -> None:
        super().__init__(
            message,
            remedy="send it again after the time in Retry-After; `quotas` of the tenant's "
            "settings say how much it may send",
        )
        self.code = code
        self.retry_after = retry_after


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    refused_at: float | None = None


class QuotaKeeper:
    """Says who may send; one event loop."""

    def __init__(
        self,
        usage: Usage,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clock = clock
        self._days = DayCounts(usage, now)
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, tenant_id: str, quotas: Quotas) -> None:
        """Raise `QuotaError` when the tenant has used up what it may send now or today."""
        if quotas.events_per_second is not None:
            self._check_rate(tenant_id, quotas, quotas.events_per_second)
        most = quotas.events_per_day
        if most is not None and self._days.today(tenant_id) >= most:
            raise QuotaError(
                "daily_quota",
                f"the tenant has sent its {most:,} events of today",
                self._days.seconds_until_midnight(),
            )

    def take(self, tenant_id: str, quotas: Quotas, events: int) -> None:
        """Count events that come in; raises `QuotaError` when there is no room at all.

        What is left may be overdrawn by one request: the next ones wait the longer. So a request
        larger than the quota of a moment is served, and the average holds.
        """
        self.admit(tenant_id, quotas)
        if quotas.events_per_second is not None:
            self._buckets[tenant_id].tokens -= events
        self._days.add(tenant_id, events)

    def is_over(self, tenant_id: str) -> bool:
        """Whether the tenant was refused for its rate a moment ago."""
        bucket = self._buckets.get(tenant_id)
        if bucket is None or bucket.refused_at is None:
            return False
        return self._clock() - bucket.refused_at < OVER_SECONDS

    async def start(self) -> None:
        """Begin to save counts."""
        await self._days.start()

    async def stop(self) -> None:
        """Save what was counted, then end."""
        await self._days.stop()

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
