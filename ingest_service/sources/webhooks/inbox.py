"""Messages on their way into the lake; what a kill interrupts is taken up again."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from ingest_service.background import Background
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.json.rows import JsonColumns, RowTexts
from ingest_service.sources.events.outcomes import EventResults
from ingest_service.sources.events.writer import EventRequest, EventWriter
from ingest_service.sources.webhooks.adapters import conflicting_rows, rows_of
from ingest_service.sources.webhooks.signatures import Message
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.control.database import (
    ControlDatabase,
    KeptMessage,
    WebhookSource,
    conflict_hash,
    message_hash,
)
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60
PAGE: Final = 10
"""Kept messages that are read at once."""
CONTRACT: Final = "contract"
SOURCE: Final = "webhook"


Refused = Literal["known", "replayed", "running", "conflict"]


class Inbox:
    """Takes messages in: kept first, then stored as events, then forgotten but for their id.

    What is kept and not in work, since its process has ended or a step of it failed, is looked for
    every minute and stored then, each message for itself.
    """

    def __init__(
        self, control: ControlDatabase, writer: EventWriter, session_id: str, limits: EventLimits
    ) -> None:
        self._control = control
        self._writer = writer
        self._session_id = session_id
        self._limits = limits
        self._in_work = InWork()
        self._looking = Background("storing kept webhook messages", self._look)

    def request(self, source: WebhookSource, settings: TenantSettings, body: bytes) -> EventRequest:
        """Return a message as events. Without its mapping its rows are the contract's, or wrong."""
        name, columns = _columns(source, settings)
        rows = rows_of(source.adapter, body, columns, self._limits)
        return _events(source, name, rows, body)

    async def take(
        self, source: WebhookSource, message: Message, body: bytes, request: EventRequest
    ) -> EventResults | Refused:
        """Store a message; return when it is durable, with what became of its events.

        `known`: a repetition that was signed anew; `replayed`: the very request again; `running`:
        another attempt to send it is being worked on, so it may not be durable yet; `conflict`:
        another message had its id, and it is in quarantine. Raises `EtaError` when it could not be
        stored; then it may be sent again. A caller that gives up changes nothing.
        """
        taking = asyncio.create_task(self._take(source, message, body, request))
        return await asyncio.shield(taking)

    async def start(self) -> None:
        """Begin to look for messages that dead processes have left."""
        self._looking.start()

    async def stop(self) -> None:
        """End; what was not stored is kept for the next start."""
        await self._looking.stop()

    async def _take(
        self, source: WebhookSource, message: Message, body: bytes, request: EventRequest
    ) -> EventResults | Refused:
        hashes = await asyncio.to_thread(_hashes, message, body)
        with self._in_work.of(source.source_id, hashes) as is_alone:
            found = await asyncio.to_thread(
                self._control.messages.receive,
                source.source_id,
                message.message_id,
                message.sent_at,
                body,
                self._session_id,
                by_previous=message.by_previous,
            )
            if found == "new":
                return await self._write(source, hashes[0], request)
            if found == "conflict":
                settings = await asyncio.to_thread(self._control.tenant_settings, source.tenant_id)
                await self._write(source, hashes[1], _conflict(source, settings, body))
                return "conflict"
            if found == "waiting":
                is_left = is_alone and await asyncio.to_thread(self._is_left, source, hashes)
                return "known" if is_left else "running"
            return "conflict" if found == "known_conflict" else found

    async def _write(
        self, source: WebhookSource, hashed: str, request: EventRequest
    ) -> EventResults:
        log = self._control.messages
        try:
            written = await self._writer.write(request)
        except BaseException:
            await _attempted(log.forget, source.source_id, hashed)
            raise
        await _attempted(log.done, source.source_id, hashed)
        return written.told

    async def _look(self) -> None:
        while True:
            await self._store_left()
            await asyncio.sleep(LOOK_SECONDS)

    async def _store_left(self) -> None:
        """Store what is kept and not in work; what goes wrong with one message is its own."""
        after: KeptMessage | None = None
        kept = self._control.messages.kept
        while page := await asyncio.to_thread(kept, limit=PAGE, after=after):
            for message in page:
                storing = asyncio.create_task(self._store(message))
                await asyncio.wait({storing})
                error = None if storing.cancelled() else storing.exception()
                if error is not None:
                    kind = type(error).__qualname__
                    _log.warning("a message kept of %s is not stored: %s", message.source_id, kind)
            after = page[-1]

    async def _store(self, message: KeptMessage) -> None:
        with self._in_work.of(message.source_id, [message.message_hash]) as is_alone:
            if not is_alone or not await asyncio.to_thread(self._has_ended, message.session_id):
                return
            log = self._control.messages
            if await asyncio.to_thread(log.holder, message.source_id, message.message_hash) is None:
                return  # stored since the page was read
            source = await asyncio.to_thread(self._control.any_webhook_source, message.source_id)
            settings = await asyncio.to_thread(self._control.tenant_settings, source.tenant_id)
            if message.is_conflict:
                request = _conflict(source, settings, message.payload)
            else:
                request = self.request(source, settings, message.payload)
            await self._writer.write(request)
            await asyncio.to_thread(log.done, message.source_id, message.message_hash)

    def _is_left(self, source: WebhookSource, hashes: Sequence[str]) -> bool:
        """Whether whoever received a message does not work on it any more."""
        held = [self._control.messages.holder(source.source_id, one) for one in hashes]
        return all(self._has_ended(session) for session in held if session is not None)

    def _has_ended(self, session_id: str) -> bool:
        return session_id == self._session_id or self._control.has_ended(session_id)


class InWork:
    """Which messages this process works on. One event loop."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def of(self, source_id: str, hashes: Iterable[str]) -> Iterator[bool]:
        """Work on a message known by these; yields whether nobody else does."""
        places = [(source_id, one) for one in hashes]
        is_alone = not any(self._count[place] for place in places)
        self._count.update(places)
        try:
            yield is_alone
        finally:
            self._count.subtract(places)
            for place in places:
                if not self._count[place]:
                    del self._count[place]


def _hashes(message: Message, body: bytes) -> list[str]:
    """Return what a message may be known by: its id, or as one whose id was of another."""
    return [message_hash(message.message_id), conflict_hash(message.message_id, body)]


def _columns(source: WebhookSource, settings: TenantSettings) -> tuple[str, JsonColumns]:
    data_type = DataType(source.data_type)
    try:
        name, mapping = source.mapping, settings.mapping(source.mapping, data_type)
    except EtaError:
        name, mapping = CONTRACT, settings.mapping(CONTRACT, data_type)
    return name, JsonColumns.of(data_type, mapping)


def _events(source: WebhookSource, name: str, rows: RowTexts, body: bytes) -> EventRequest:
    data_type = DataType(source.data_type)
    return EventRequest(source.tenant_id, data_type, name, SOURCE, rows, len(body))


def _conflict(source: WebhookSource, settings: TenantSettings, body: bytes) -> EventRequest:
    name, columns = _columns(source, settings)
    return _events(source, name, conflicting_rows(body, columns), body)


async def _attempted(change: Callable[[str, str], None], source_id: str, hashed: str) -> None:
    """Change what is noted of a message; if that fails it stays kept, and is looked at later."""
    try:
        await asyncio.to_thread(change, source_id, hashed)
    except EtaError as error:
        _log.warning("a message of %s stays kept: %s", source_id, type(error).__qualname__)
