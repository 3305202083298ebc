"""Documents are read beside the service's own work, once for all who ask at the same time."""

import asyncio
import threading

import pytest

from ingest_service.quality import MOST_WAITING, STANDS_SECONDS, QualityBusyError, QualityDesk


class Reading:
    """A reader that is held until it is let go, and counts."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.read: list[str] = []

    def __call__(self, tenant_id: str | None, days: int) -> bytes:
        assert self.may_end.wait(30)
        self.read.append(f"{tenant_id} {days}")
        if tenant_id == "broken":
            raise OSError("away")
        return str(tenant_id).encode()


def test_the_loop_goes_on_and_those_who_ask_for_the_same_wait_for_one_reading() -> None:
    async def run() -> None:
        reading = Reading()
        desk = QualityDesk(reading, reading)
        asked = [asyncio.ensure_future(desk.report("acme", 30)) for _ in range(50)]
        await asyncio.sleep(0.05)  # would not come back if reading held the loop
        assert not any(one.done() for one in asked)
        asked[0].cancel()  # whoever gives up takes nothing from the others
        reading.may_end.set()
        assert set(await asyncio.gather(*asked[1:])) == {b"acme"}
        assert reading.read == ["acme 30"]
        desk.close()

    asyncio.run(run())


def test_a_document_stands_for_some_seconds_and_a_failure_does_not() -> None:
    async def run() -> None:
        now = [0.0]
        reading = Reading()
        reading.may_end.set()
        desk = QualityDesk(reading, reading, clock=lambda: now[0])
        await desk.report("acme", 30)
        await desk.report("acme", 30)
        await desk.report("acme", 7)
        now[0] = STANDS_SECONDS + 1
        await desk.report("acme", 30)
        assert reading.read == ["acme 30", "acme 7", "acme 30"]
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                await desk.report("broken", 30)
        assert reading.read[3:] == ["broken 30", "broken 30"]
        desk.close()

    asyncio.run(run())


def test_too_many_different_ones_at_once_are_refused() -> None:
    async def run() -> None:
        reading = Reading()
        desk = QualityDesk(reading, reading)
        asked = [asyncio.ensure_future(desk.report(f"t{n}", 30)) for n in range(MOST_WAITING)]
        await asyncio.sleep(0)
        try:
            with pytest.raises(QualityBusyError):
                await asyncio.wait_for(desk.overview(None, 30), 5)
        finally:
            reading.may_end.set()
        assert len(await asyncio.gather(*asked)) == MOST_WAITING
        desk.close()

    asyncio.run(run())
