"""Events that go into Kafka: what is odd about them is told at once, as when they are stored."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.events.plain import plain_body
from ingest_service.sources.events.outcomes import EventStatus, Outcomes
from ingest_service.sources.events.queue_writer import QueueWriter
from ingest_service.sources.events.writer import EventRequest, Written
from lakehouse.contracts.tenant import DataType, TenantSettings

GOOD = {"user_id": "u", "item_id": "i", "interaction_type": "like", "timestamp": 1_767_225_600_000}


class Topic:
    """Takes every event."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []

    def send(
        self,
        tenant_id: str,
        event: Mapping[str, Any],
        data_type: DataType = DataType.INTERACTIONS,
    ) -> "Future[Any]":
        self.events.append(event)
        done: Future[Any] = Future()
        done.set_result(None)
        return done

    def close(self) -> None: ...


class Lake:
    """Keeps wrong events."""

    def check_room(self, tenant_id: str) -> None: ...

    async def write(self, request: EventRequest) -> Written:
        statuses = [EventStatus.REJECTED] * request.count
        return Written("b", Outcomes(statuses, [None] * request.count).results())

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def test_what_is_odd_about_queued_events_is_told() -> None:
    topic = Topic()
    events = [GOOD, {**GOOD, "user_id": "NULL", "Rating": 4}, {**GOOD, "user_id": "", "Rating": 4}]

    async def run() -> Written:
        writer = QueueWriter(lambda: topic, Lake(), lambda _: TenantSettings())
        await writer.start()
        body = json.dumps(events).encode()
        rows = plain_body(body, DataType.INTERACTIONS, EventLimits(10, 10_000))
        assert rows is not None
        request = EventRequest("acme", DataType.INTERACTIONS, "contract", "api", rows, len(body))
        return await writer.write(request)

    told = asyncio.run(run()).told
    results = json.loads(told.results)
    assert [one["status"] for one in results] == ["queued", "queued", "rejected"]
    assert [sorted(w["code"] for w in one.get("warnings", [])) for one in results] == [
        [],
        ["null_word", "similar_column"],
        ["similar_column"],
    ]
    assert told.warnings == {"null_word": 1, "similar_column": 2}
    assert len(topic.events) == 2
