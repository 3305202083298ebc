"""Loops that end are begun again, and what they carry is not lost."""

import asyncio
from datetime import UTC, date, datetime

import pytest

from ingest_service.background import Background
from ingest_service.sources.events import day_counts
from ingest_service.sources.events.quotas import QuotaKeeper
from lakehouse.contracts.tenant import Quotas


class Panic(BaseException):
    """What a native library raises when it panics."""


@pytest.mark.parametrize("how", ["raises", "panics", "returns", "is cancelled"])
def test_a_loop_that_ends_is_begun_again_until_it_is_stopped(how: str) -> None:
    begun: list[int] = []

    async def loop() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            if how == "raises":
                raise OSError
            if how == "panics":
                raise Panic
            if how == "returns":
                return
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    async def main() -> None:
        background = Background("a loop", loop, pause=0.001)
        background.start()
        async with asyncio.timeout(5):
            while len(begun) < 3:
                await asyncio.sleep(0.001)
            await background.stop()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert begun == [0, 1, 2]


def test_counts_that_could_not_be_saved_are_saved_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_counts, "FLUSH_SECONDS", 0.001)
    saved: list[int] = []

    class Usage:
        tries = 0

        def add(self, _day: date, events: dict[str, int]) -> dict[str, int]:
            self.tries += 1
            if self.tries < 3:
                raise RuntimeError
            saved.append(events["a"])
            return dict(events)

        def of(self, _tenant: str, _day: date) -> int:
            return 0

    async def main() -> None:
        keeper = QuotaKeeper(Usage(), lambda: 0.0, lambda: datetime(2026, 5, 1, tzinfo=UTC))
        keeper._days._saving._pause = 0.001
        await keeper.start()
        keeper.take("a", Quotas(events_per_second=None), 7)
        async with asyncio.timeout(5):
            while not saved:
                await asyncio.sleep(0.001)
        await keeper.stop()

    asyncio.run(main())
    assert saved == [7]
