"""A failure at any step of a group: its requests alone get an error, and the next ones are served.

The steps are numbered by running once and counting; then each of them fails in turn.
"""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import BatchSession, BatchWindow, DedupeWindows, NoHistory
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.events.rows import EventRows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sinks.memory import MemoryBatch, MemorySink
from ingest_service.sources.events import group_commit
from ingest_service.sources.events.group_commit import GroupCommitWriter, GroupLimits
from ingest_service.sources.events.groups import Group
from ingest_service.sources.events.writer import BehindError, EventRequest, Written
from ingest_service.sources.ingest import IngestService
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.contracts.validator import Validator
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.support.faults import ERRORS, Faults

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
SERVED_SECONDS = 5
_numbers = count()


def request(
    tenant: str, *ids: str, wrong: bool = False, size: int | None = None, source: str = "api"
) -> EventRequest:
    rows = [
        {"event_id": one, "user_id": "u", "item_id": "i", "timestamp": 1_767_225_600_000,
         "interaction_type": "stare" if wrong else "view"}
        for one in ids
    ]  # fmt: skip
    body = json.dumps(rows).encode()
    texts = quick_texts(body, DataType.INTERACTIONS, EventLimits(1_000, 1_000))
    assert texts is not None
    size = len(body) if size is None else size
    return EventRequest(tenant, DataType.INTERACTIONS, "contract", source, texts, size)


class Bench:
    """A writer whose every step may be made to fail for the tenant `bad`."""

    def __init__(self, patches: pytest.MonkeyPatch, lake: LakeSettings | None = None) -> None:
        self.lake, self.faults = lake, Faults("bad")
        self.memory = MemorySink()
        self.delta = DeltaSink(Lake(lake)) if lake else None
        sink: Any = self.delta or self.memory
        history = DeltaHistory(self.delta) if self.delta else NoHistory()
        suppression = EmptySuppressionList()
        self.ingest = IngestService(
            sink, history, DedupeWindows(), suppression, self.faults.step("clock", lambda: MOMENT)
        )
        step = self.faults.step
        self.writer = GroupCommitWriter(
            self.ingest,
            step("settings", lambda _: TenantSettings()),
            step("batch id", lambda: f"20260501T000000000000-s{0:012x}-{next(_numbers):012x}"),
            GroupLimits(wait=0.001, parallel=1),
            step("observe", lambda *_: None),
        )
        self._patch(patches, sink, history, suppression)

    def _patch(self, patches: pytest.MonkeyPatch, sink: Any, history: Any, listed: Any) -> None:
        patch = self.faults.patch
        # each step of a group on the event loop and in its thread
        for name in ("_serve", "_store", "_commit"):
            patch(patches, self.writer, name)
        patch(patches, self.ingest, "turn", "ingest_rows")
        patch(patches, Group, "take")
        patch(patches, group_commit, "told_of", "Written")
        patch(patches, EventRows, "parse", "reading", "layout")
        patch(patches, Validator, "validate")
        patch(patches, type(listed), "current")
        patch(patches, type(history), "unseen")
        patch(patches, BatchSession, "start", "publish")
        patch(patches, BatchWindow, "judge")
        patch(patches, type(sink), "begin", "location")
        batch = DeltaBatch if self.delta else MemoryBatch
        patch(patches, batch, "append", "append_companion", "commit", "abort")
        if self.delta:
            patch(patches, DeltaSink, "commit_first", "commit_if", "compact", "ask")

    async def served(self, *wanted: EventRequest) -> list[Any]:
        writes = [self.writer.write(one) for one in wanted]
        async with asyncio.timeout(SERVED_SECONDS):
            return list(await asyncio.gather(*writes, return_exceptions=True))

    async def fail_at(self, step: int, error: str) -> None:
        """Fail at a step, and look at what it did to whom."""
        bad = [request("bad", f"b{step}"), request("bad", f"w{step}", wrong=True)]
        good = [request("good", f"g{step}-{n}") for n in range(2)]
        self.faults.arm(step, ERRORS[error])
        found = await self.served(*bad, *good)
        assert self.faults.has_struck, self.faults.names
        self.faults.disarm()
        assert all(isinstance(one, Written | BaseException) for one in found[:2])
        assert [type(one) for one in found[2:]] == [Written] * 2
        await self.nothing_left()
        again = await self.served(*bad)
        assert [type(one) for one in again] == [Written] * 2, (step, again)
        await self.nothing_left()

    async def nothing_left(self) -> None:
        """Wait until no request is counted and no group is there."""
        async with asyncio.timeout(SERVED_SECONDS):
            while self.writer._groups or self.writer._room.total:
                await asyncio.sleep(0.001)

    def run(self, errors: dict[int, str]) -> None:
        """Fail at each of these steps in turn."""

        async def main() -> None:
            for step, error in errors.items():
                await self.fail_at(step, error)
            async with asyncio.timeout(SERVED_SECONDS):
                await self.writer.stop()

        asyncio.run(main())

    def count_steps(self) -> list[str]:
        """Run once, without a failure."""

        async def main() -> list[str]:
            await self.served(request("bad", "first"), request("bad", "first-w", wrong=True))
            names = list(self.faults.names)
            await self.writer.stop()
            return names

        return asyncio.run(main())


def steps_of(lake: LakeSettings | None = None) -> list[str]:
    with pytest.MonkeyPatch.context() as patches:
        return Bench(patches, lake).count_steps()


@pytest.mark.parametrize("error", list(ERRORS))
def test_a_failure_at_any_step_is_its_groups_alone(error: str) -> None:
    steps = steps_of()
    assert {"settings", "batch id", "observe", "MemoryBatch.commit", "Group.take"} <= set(steps)
    for step in range(1, len(steps) + 1):
        with pytest.MonkeyPatch.context() as patches:
            bench = Bench(patches)
            bench.run({step: error})
            for _, counts in bench.memory.ledger:
                assert counts.received == counts.stored + counts.duplicate + counts.quarantined
            kept = [one for _, table in bench.memory.raw[DataType.INTERACTIONS]
                    for one in table["event_id"].to_pylist()]  # fmt: skip
            assert {f"b{step}", f"g{step}-0", f"g{step}-1"} <= set(kept)


def test_on_delta_nothing_is_lost_or_twice_and_the_ledger_adds_up(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    steps = steps_of(lake)
    first = {name: steps.index(name) + 1 for name in steps if name.startswith(("Delta", "Batch"))}
    assert {"DeltaSink.commit_first", "BatchSession.publish"} <= set(first)
    last = {len(steps) - steps[::-1].index(name) for name in first}
    errors = dict(zip(sorted({*first.values(), *last}), cycle(ERRORS)))
    with pytest.MonkeyPatch.context() as patches:
        Bench(patches, lake).run(errors)
    table = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["tenant_id", "event_id"])
    stored = Counter(zip(*table.to_pydict().values(), strict=True))
    assert set(stored.values()) == {1}
    assert {("bad", f"b{step}") for step in errors} <= set(stored)
    assert check_ledger(Lake(lake)).wrong == ()


def test_requests_of_no_size_are_due_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)

    async def main() -> None:
        found = await bench.served(request("a", "e1", size=0), request("a", "e2"))
        assert [type(one) for one in found] == [Written] * 2
        assert [type(one) for one in await bench.served(request("a", "e3", size=0))] == [Written]
        bench.writer.check_room("a")
        await bench.writer.stop()

    asyncio.run(main())


def test_a_request_whose_sender_has_gone_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)

    async def main() -> None:
        gone = asyncio.create_task(bench.writer.write(request("a", "e1")))
        await asyncio.sleep(0)
        gone.cancel()
        assert [type(one) for one in await bench.served(request("a", "e2"))] == [Written]
        await bench.writer.stop()

    asyncio.run(main())
    assert sum(counts.stored for _, counts in bench.memory.ledger) == 2


def test_a_groups_task_that_is_cancelled_ends_its_requests_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)

    async def main() -> None:
        bad = asyncio.create_task(bench.writer.write(request("bad", "b1")))
        good = asyncio.create_task(bench.writer.write(request("good", "g1")))
        await asyncio.sleep(0)
        (group,) = [g for key, g in bench.writer._groups.items() if key[0] == "bad"]
        assert group.task is not None
        group.task.cancel()
        with pytest.raises(EtaError):
            await bad
        assert isinstance(await good, Written)
        assert [type(one) for one in await bench.served(request("bad", "b1"))] == [Written]
        await bench.writer.stop()
        with pytest.raises(BehindError):
            await bench.writer.write(request("bad", "b2"))

    asyncio.run(main())


def test_an_upload_that_holds_a_tenants_window_holds_up_no_other_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)

    async def main() -> None:
        with bench.ingest.turn("busy", DataType.INTERACTIONS):  # as an upload does
            sources = ("api", "webhook", "other")
            held = [
                asyncio.create_task(bench.writer.write(request("busy", one, source=one)))
                for one in sources
            ]
            await asyncio.sleep(0.05)
            assert [type(one) for one in await bench.served(request("quiet", "q"))] == [Written]
            assert not any(one.done() for one in held)
        async with asyncio.timeout(SERVED_SECONDS):
            assert [type(one) for one in await asyncio.gather(*held)] == [Written] * 3
        await bench.writer.stop()

    asyncio.run(main())


def test_a_group_that_cannot_end_does_not_keep_the_service_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_commit, "STOP_SECONDS", 0.05)
    bench = Bench(monkeypatch)

    async def main() -> None:
        with bench.ingest.turn("stuck", DataType.INTERACTIONS):
            held = asyncio.create_task(bench.writer.write(request("stuck", "e")))
            await asyncio.sleep(0.01)
            async with asyncio.timeout(SERVED_SECONDS):
                await bench.writer.stop()
            with pytest.raises(EtaError):
                await held

    asyncio.run(main())


def test_a_group_that_cannot_begin_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)

    async def main() -> None:
        bench.faults.arm(1, ERRORS["RuntimeError"])  # the task is not made
        (found,) = await bench.served(request("bad", "b1"))
        assert isinstance(found, RuntimeError)
        assert not bench.writer._groups
        assert bench.writer._room.total == 0
        assert [type(one) for one in await bench.served(request("bad", "b1"))] == [Written]
        await bench.writer.stop()

    asyncio.run(main())
