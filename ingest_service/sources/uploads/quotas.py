"""How much each tenant may upload: so many files at the same time, so many bytes per day."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from ingest_service.sources.events.day_counts import DayCounts, Usage, utc_now
from ingest_service.sources.events.quotas import QuotaError
from lakehouse.contracts.tenant import Quotas

PARALLEL_RETRY_SECONDS: Final = 5


class UploadQuotas:
    """Says who may upload; one event loop.

    Bytes count as they arrive, also those of a file that is refused or broken off: the quota
    is on what a tenant makes the service receive.
    """

    def __init__(self, usage: Usage, now: Callable[[], datetime] = utc_now) -> None:
        self._days = DayCounts(usage, now)
        self._open: Counter[str] = Counter()

    @contextmanager
    def upload(
        self, tenant_id: str, quotas: Quotas, announced: int | None
    ) -> Iterator[Callable[[int], None]]:
        """Open an upload and yield what counts its bytes; both raise `QuotaError`.

        A file that announces more than is left of the day is refused before it is read.
        """
        most = quotas.parallel_uploads
        if most is not None and self._open[tenant_id] >= most:
            raise QuotaError(
                "parallel_uploads",
                f"the tenant has {most:,} uploads under way",
                PARALLEL_RETRY_SECONDS,
            )

        def count(size: int) -> None:
            self._check_day(tenant_id, quotas, size)
            self._days.add(tenant_id, size)

        self._check_day(tenant_id, quotas, max(announced or 0, 1))
        self._open[tenant_id] += 1
        try:
            yield count
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]

    async def start(self) -> None:
        """Begin to save counts."""
        await self._days.start()

    async def stop(self) -> None:
        """Save what was counted, then end."""
        await self._days.stop()

    def _check_day(self, tenant_id: str, quotas: Quotas, size: int) -> None:
        most = quotas.upload_bytes_per_day
        if most is None:
            return
        left = max(0, most - self._days.today(tenant_id))
        if size > left:
            raise QuotaError(
                "daily_upload_quota",
                f"of the {most:,} bytes that the tenant may upload today {left:,} are left, "
                "less than the file has",
                self._days.seconds_until_midnight(),
            )
