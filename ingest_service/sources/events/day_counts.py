"""What each tenant has sent today, counted by all processes together.

The count is kept in the control database, brought up to date every second; so a day may end up over
its quota by what the processes take in within one second, and a killed process forgets at most its
last second.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Final, Protocol

from ingest_service.background import Background

_log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 1.0


class Usage(Protocol):
    """Daily counts that processes share; see `lakehouse.control.usage.DailyUsage`."""

    def add(self, day: date, counts: dict[str, int]) -> dict[str, int]:
        """Add to the tenants' counts; return the new totals."""
        ...

    def of(self, tenant_id: str, day: date) -> int:
        """Return a total."""
        ...


@dataclass(slots=True)
class _Day:
    day: date
    known: int
    """What the database said last, and what was added here since."""


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


class DayCounts:
    """Counts one kind of thing per tenant and UTC day; one event loop."""

    def __init__(self, usage: Usage, now: Callable[[], datetime] = utc_now) -> None:
        self._usage = usage
        self._now = now
        self._days: dict[str, _Day] = {}
        self._unsaved: Counter[tuple[str, date]] = Counter()
        self._saving = Background("counting the day's use", self._save_for_ever)

    def today(self, tenant_id: str) -> int:
        """Return a tenant's count of today."""
        today = self._now().date()
        known = self._days.get(tenant_id)
        if known is None or known.day != today:
            found = self._usage.of(tenant_id, today) + self._unsaved[tenant_id, today]
            known = self._days[tenant_id] = _Day(today, found)
        return known.known

    def add(self, tenant_id: str, count: int) -> None:
        """Count for a tenant."""
        today = self._now().date()
        self._unsaved[tenant_id, today] += count
        if tenant_id in self._days and self._days[tenant_id].day == today:
            self._days[tenant_id].known += count

    def seconds_until_midnight(self) -> int:
        """Return when the next day begins."""
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(1, ceil((midnight - now).total_seconds()))

    async def start(self) -> None:
        """Begin to save counts."""
        self._saving.start()

    async def stop(self) -> None:
        """Save what was counted, then end."""
        await self._saving.stop()
        await self._save()

    async def _save_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._save()

    async def _save(self) -> None:
        """Save what was counted; what could not be saved stays for the next time."""
        unsaved = Counter(self._unsaved)
        for day in {day for _, day in unsaved}:
            counts = {tenant: count for (tenant, of), count in unsaved.items() if of == day}
            try:
                totals = await asyncio.to_thread(self._usage.add, day, counts)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted again
                _log.warning("the day's counts could not be saved: %s", type(error).__name__)
                continue
            for tenant, count in counts.items():
                self._unsaved[tenant, day] -= count
                if not self._unsaved[tenant, day]:
                    del self._unsaved[tenant, day]
            for tenant, total in totals.items():
                if tenant in self._days and self._days[tenant].day == day:
                    self._days[tenant].known = total + self._unsaved[tenant, day]
