"""Groups of requests: shared commits, turns, room, and who suffers from whom."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.events.quick import quick_texts
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.events.group_commit import GroupCommitWriter, GroupLimits
from ingest_service.sources.events.quotas import QuotaError, QuotaKeeper
from ingest_service.sources.events.writer import BehindError, EventRequest, Written
from ingest_service.sources.ingest import IngestService
from lakehouse.contracts.tenant import DataType, Quotas, TenantSettings
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import EmptySuppressionList

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
_numbers = count()


def request(tenant: str, *, events: int = 1, size: int | None = None) -> EventRequest:
    rows = [
        {"user_id": f"u{next(_numbers)}", "item_id": "i", "interaction_type": "view",
         "timestamp": 1_767_225_600_000}
        for _ in range(events)
    ]  # fmt: skip
    body = json.dumps(rows).encode()
    texts = quick_texts(body, DataType.INTERACTIONS, EventLimits(100, 1_000))
    assert texts is not None
    return EventRequest(tenant, DataType.INTERACTIONS, "contract", "api", texts, size or len(body))


class Bench:
    """A writer over a sink in memory."""

    def __init__(self, **limits: Any) -> None:
        self.sink = MemorySink()
        self.ingest = IngestService(
            self.sink, NoHistory(), DedupeWindows(), EmptySuppressionList(), lambda: MOMENT
        )
        ids = count()
        self.writer = GroupCommitWriter(
            self.ingest,
            lambda _: TenantSettings(),
            lambda: f"b{next(ids)}",
            GroupLimits(wait=0.01, parallel=1, **limits),
            lambda *_: None,
        )

    def run(self, program: Callable[[], Any]) -> Any:
        async def main() -> Any:
            await self.writer.start()
            try:
                return await program()
            finally:
                await self.writer.stop()

        return asyncio.run(main())

    @property
    def batches(self) -> list[tuple[str, int]]:
        return [(key.tenant_id, counts.received) for key, counts in self.sink.ledger]


def test_requests_that_come_together_are_one_batch_per_tenant() -> None:
    bench = Bench()

    async def program() -> list[Written]:
        wanted = [request(tenant, events=2) for tenant in "abab"]
        return list(await asyncio.gather(*map(bench.writer.write, wanted)))

    found = bench.run(program)
    assert bench.batches == [("a", 4), ("b", 4)]
    assert [written.told.received for written in found] == [2] * 4
    told = [one for written in found for one in json.loads(written.told.results)]
    assert [one["status"] for one in told] == ["stored"] * 8
    assert len({one["event_id"] for one in told}) == 8


def test_tenants_take_turns_and_a_batch_has_a_bound() -> None:
    bench = Bench(batch_events=4)

    async def program() -> None:
        busy = [asyncio.ensure_future(bench.writer.write(request("a", events=2))) for _ in range(6)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(bench.writer.write(request("b")))
        await asyncio.gather(*busy, other)

    bench.run(program)
    assert bench.batches[:2] == [("a", 4), ("b", 1)]
    assert sum(received for _, received in bench.batches) == 13


def test_a_tenant_over_its_quota_gets_a_commit_now_and_then() -> None:
    bench = Bench(over_quota_wait=1.0)

    async def program() -> None:
        loud = []
        for _ in range(10):
            wanted = replace(request("loud"), is_over_quota=True)
            loud.append(asyncio.ensure_future(bench.writer.write(wanted)))
            await bench.writer.write(request("quiet"))
        await asyncio.gather(*loud)

    bench.run(program)
    assert [received for tenant, received in bench.batches if tenant == "quiet"] == [1] * 10
    loud = [received for tenant, received in bench.batches if tenant == "loud"]
    assert sum(loud) == 10
    assert len(loud) <= 3


def test_a_tenant_without_room_leaves_room_to_others() -> None:
    bench = Bench(tenant_bytes=1_000, total_bytes=2_500)

    async def program() -> None:
        first = asyncio.ensure_future(bench.writer.write(request("a", size=1_000)))
        await asyncio.sleep(0)
        with pytest.raises(BehindError) as told:
            bench.writer.check_room("a")
        assert told.value.retry_after >= 1
        bench.writer.check_room("b")
        second = asyncio.ensure_future(bench.writer.write(request("b", size=1_600)))
        await asyncio.sleep(0)
        with pytest.raises(BehindError):
            await bench.writer.write(request("c"))
        await asyncio.gather(first, second)
        bench.writer.check_room("a")

    bench.run(program)


def test_a_request_that_breaks_the_batch_breaks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    whole = bench.ingest.ingest_rows

    def fragile(order: Any, rows: Any, *turn: Any) -> Any:
        if any(b"poison" in raw for part in rows()._parts for raw in part.raws):
            raise ZeroDivisionError
        return whole(order, rows, *turn)

    monkeypatch.setattr(bench.ingest, "ingest_rows", fragile)
    bad = request("a")
    bad.rows.raws[0] = b"poison"  # type: ignore[index]

    async def program() -> list[Any]:
        wanted = [request("a"), bad, request("a")]
        return list(await asyncio.gather(*map(bench.writer.write, wanted), return_exceptions=True))

    found = bench.run(program)
    assert [type(one) for one in found] == [Written, ZeroDivisionError, Written]


def test_an_error_that_is_foreseen_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, tried = Bench(), count()

    def away(*_: Any) -> Any:
        next(tried)
        raise EtaError("the lake is away", remedy="wait")

    monkeypatch.setattr(bench.ingest, "ingest_rows", away)

    async def program() -> list[Any]:
        wanted = [request("a"), request("a")]
        return list(await asyncio.gather(*map(bench.writer.write, wanted), return_exceptions=True))

    assert [type(one) for one in bench.run(program)] == [EtaError, EtaError]
    assert next(tried) == 1


class Days:
    """Daily counts that another process adds to."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, _day: Any, events: dict[str, int]) -> dict[str, int]:
        self.total += events["a"]
        return {"a": self.total}

    def of(self, _tenant: str, _day: Any) -> int:
        return self.total


def test_a_rate_holds_on_average_and_may_be_overdrawn_by_one_request() -> None:
    now = [0.0]
    keeper = QuotaKeeper(Days(), lambda: now[0], lambda: MOMENT)
    quotas = Quotas(events_per_second=10, burst_seconds=2)
    keeper.take("a", quotas, 50)  # 20 were there
    with pytest.raises(QuotaError) as told:
        keeper.take("a", quotas, 1)
    assert told.value.retry_after == 4
    keeper.take("b", quotas, 1)
    now[0] = told.value.retry_after
    keeper.take("a", quotas, 1)
    sent = 0
    for _ in range(1_000):
        now[0] += 0.1
        try:
            keeper.take("a", quotas, 3)
            sent += 3
        except QuotaError:
            pass
    assert 950 <= sent <= 1_030


def test_a_tenant_is_over_its_quota_for_a_moment_after_it_was_refused() -> None:
    now = [0.0]
    keeper = QuotaKeeper(Days(), lambda: now[0], lambda: MOMENT)
    quotas = Quotas(events_per_second=10, burst_seconds=1)
    keeper.take("a", quotas, 15)
    assert not keeper.is_over("a")
    with pytest.raises(QuotaError):
        keeper.admit("a", quotas)
    now[0] = 1.0
    keeper.take("a", quotas, 1)
    assert keeper.is_over("a")
    assert not keeper.is_over("b")
    now[0] = 2.5
    assert not keeper.is_over("a")


def test_a_days_count_is_shared_and_ends_at_midnight() -> None:
    days, now = Days(), [MOMENT]
    keeper = QuotaKeeper(days, lambda: 0.0, lambda: now[0])
    quotas = Quotas(events_per_second=None, events_per_day=10)
    keeper.take("a", quotas, 6)
    days.total += 5  # another process
    asyncio.run(keeper.stop())  # saves
    with pytest.raises(QuotaError) as told:
        keeper.admit("a", quotas)
    assert told.value.retry_after == 86_400
    days.total = 0
    now[0] = datetime(2026, 5, 2, tzinfo=UTC)
    keeper.take("a", quotas, 1)
