"""Events into Kafka: the same endpoint, where a consumer of the topics writes the lake.

What is wrong is told at once and kept in quarantine by the lake's own writer; the rest is durable
when all replicas in sync have it, and is told as `queued`. Whether it is a duplicate the consumer
finds out. Events that a mapping reads go into the lake directly: a topic holds the contract's.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ingest_service.readers.events.rows import texts_of_events
from ingest_service.readers.json.rows import JsonColumns, RowTexts, joined
from ingest_service.sources.events.outcomes import EventStatus, Outcomes, reasons_by_position
from ingest_service.sources.events.writer import BehindError, EventRequest, EventWriter, Written
from ingest_service.stream.producer import DeliveryError
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator

_ByRow = dict[int, list[dict[str, str]]]

CONTRACT: Final = "contract"
RETRY_SECONDS: Final = 5
DELIVERY_SECONDS: Final = 30


class Producer(Protocol):
    """Puts events on their way; see `InteractionProducer`."""

    def send(
        self, tenant_id: str, event: Mapping[str, Any], data_type: DataType = ...
    ) -> "Future[Any]":
        """Return a future that has a result once the event is durable."""
        ...

    def close(self) -> None:
        """Deliver what is on its way."""
        ...


class QueueWriter:
    """Writes events to the topics; see `EventWriter`."""

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        lake: EventWriter,
        settings_of: Callable[[str], TenantSettings],
    ) -> None:
        self._new_producer = new_producer
        self._lake = lake
        self._settings_of = settings_of
        self._producer: Producer | None = None

    def check_room(self, tenant_id: str) -> None:
        """Raise `BehindError` when wrong events could not be kept soon."""
        self._lake.check_room(tenant_id)

    async def write(self, request: EventRequest) -> Written:
        """Return when good events are in the topic and wrong ones in quarantine.

        Raises `BehindError` when Kafka does not take them: some may be in the topic then, and a
        repetition stores none of them twice.
        """
        if request.mapping_name != CONTRACT:
            return await self._lake.write(request)
        rows = await asyncio.to_thread(texts_of_events, request.rows)
        reasons, warnings = await asyncio.to_thread(self._judge, request, rows)
        good = [row for row in range(request.count) if row not in reasons]
        events = [json.loads(rows.raws[row]) for row in good]
        await self._send(request, events)
        statuses = [EventStatus.QUEUED] * request.count
        event_ids: list[str | None] = [None] * request.count
        for row, event in zip(good, events, strict=True):
            given = event.get("event_id")
            event_ids[row] = None if given is None else str(given)
        batch_id = None
        if reasons:
            kept = await self._lake.write(_only(request, rows, sorted(reasons)))
            batch_id = kept.batch_id
            for row in reasons:
                statuses[row] = EventStatus.REJECTED
        return Written(batch_id, Outcomes(statuses, event_ids, reasons, warnings).results())

    async def start(self) -> None:
        """Connect; raises `EtaError` when no broker answers."""
        await self._lake.start()
        self._producer = await asyncio.to_thread(self._new_producer)

    async def stop(self) -> None:
        """Deliver what is on its way."""
        try:
            if self._producer is not None:
                await asyncio.to_thread(self._producer.close)
        finally:
            await self._lake.stop()

    def _judge(self, request: EventRequest, rows: RowTexts) -> tuple[_ByRow, _ByRow]:
        """Return the reasons of rows that are wrong, and the warnings of those that are odd."""
        settings = self._settings_of(request.tenant_id)
        columns = JsonColumns.of(request.data_type, SourceMapping())
        validator = Validator(
            request.data_type, SourceMapping(), settings, columns.names, titles=None
        )
        chunk = joined([rows], validator.columns)
        now = datetime.now(UTC)
        checked = validator.check(chunk.frame, now, chunk.traits, chunk.faults)
        return reasons_by_position(checked.reasons), reasons_by_position(checked.warnings)

    async def _send(self, request: EventRequest, events: Sequence[dict[str, Any]]) -> None:
        assert self._producer is not None
        producer = self._producer

        def send() -> list[Future[Any]]:
            return [producer.send(request.tenant_id, e, request.data_type) for e in events]

        try:
            sent = await asyncio.to_thread(send)
            async with asyncio.timeout(DELIVERY_SECONDS):
                await asyncio.gather(*map(asyncio.wrap_future, sent))
        except (DeliveryError, TimeoutError):
            raise BehindError(RETRY_SECONDS) from None


def _only(request: EventRequest, texts: RowTexts, rows: Sequence[int]) -> EventRequest:
    """Return a request of some of the rows."""
    part = texts.only(rows)
    return EventRequest(
        request.tenant_id,
        request.data_type,
        request.mapping_name,
        request.source,
        part,
        sum(map(len, part.raws)),
    )
