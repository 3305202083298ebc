"""Messages on their way into the lake; what a kill interrupts is taken up again."""

import asyncio
import logging
from asyncio import Task
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal, Protocol

from ingest_service.events.outcomes import Told
from ingest_service.events.parsing import EventLimits
from ingest_service.events.writer import EventRequest, EventWriter
from ingest_service.json_files.rows import JsonColumns
from ingest_service.webhooks.adapters import rows_of
from ingest_service.webhooks.signatures import Message
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.control.database import KeptMessage, WebhookSource, message_hash
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60
CONTRACT: Final = "contract"
SOURCE: Final = "webhook"


class MessageLog(Protocol):
    """Which messages there were; see `lakehouse.control.webhooks.WebhookMessages`."""

    def receive(
        self, source_id: str, message_id: str, sent_at: int, payload: bytes, session_id: str
    ) -> Literal["new", "known", "replayed"]:
        """Keep a message, durably."""
        ...

    def done(self, source_id: str, message_id_hash: str) -> None:
        """Drop its payload."""
        ...

    def forget(self, source_id: str, message_id_hash: str) -> None:
        """Take it for never received."""
        ...

    def kept(self, session_id: str, *, limit: int = 100) -> Sequence[KeptMessage]:
        """Return those of other sessions that wait to be stored."""
        ...


class InboxControl(Protocol):
    """What the inbox needs of the control database."""

    @property
    def messages(self) -> MessageLog:
        """The messages."""
        ...

    def webhook_source(self, source_id: str) -> WebhookSource:
        """Return a source that is in use."""
        ...

    def tenant_settings(self, tenant_id: str) -> TenantSettings:
        """Return a tenant's settings."""
        ...

    def has_ended(self, session_id: str) -> bool:
        """Whether the process of a session is known to be dead."""
        ...


class Inbox:
    """Takes messages in: kept first, then stored as events, then forgotten but for their id."""

    def __init__(
        self, control: InboxControl, writer: EventWriter, session_id: str, limits: EventLimits
    ) -> None:
        self._control = control
        self._writer = writer
        self._session_id = session_id
        self._limits = limits
        self._task: Task[None] | None = None

    def request(self, source: WebhookSource, settings: TenantSettings, body: bytes) -> EventRequest:
        """Return a message as events. Without its mapping its rows are the contract's, or wrong."""
        try:
            name, mapping = source.mapping, settings.mapping(source.mapping)
        except EtaError:
            name, mapping = CONTRACT, settings.mapping(CONTRACT)
        data_type = DataType(source.data_type)
        rows = rows_of(source.adapter, body, JsonColumns.of(data_type, mapping), self._limits)
        return EventRequest(source.tenant_id, data_type, name, SOURCE, rows, len(body))

    async def take(
        self, source: WebhookSource, message: Message, body: bytes, request: EventRequest
    ) -> Told | Literal["known", "replayed"]:
        """Store a message; return when it is durable, with what became of its events.

        `known`: a repetition that was signed anew; `replayed`: the very request again. Raises
        `EtaError` when it could not be stored; then it may be sent again.
        """
        log, hashed = self._control.messages, message_hash(message.message_id)
        found = await asyncio.to_thread(
            log.receive,
            source.source_id,
            message.message_id,
            message.sent_at,
            body,
            self._session_id,
        )
        if found != "new":
            return found
        try:
            written = await self._writer.write(request)
        except Exception:
            await asyncio.to_thread(log.forget, source.source_id, hashed)
            raise
        await asyncio.to_thread(log.done, source.source_id, hashed)
        return written.told

    async def start(self) -> None:
        """Begin to look for messages that dead processes have left."""
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """End; what was not stored is kept for the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        while True:
            try:
                for message in await asyncio.to_thread(self._left):
                    await self._store(message)
            except EtaError as error:
                _log.warning("kept messages were not stored: %s", type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    def _left(self) -> list[KeptMessage]:
        return [
            message
            for message in self._control.messages.kept(self._session_id)
            if self._control.has_ended(message.session_id)
        ]

    async def _store(self, message: KeptMessage) -> None:
        source = await asyncio.to_thread(self._control.webhook_source, message.source_id)
        settings = await asyncio.to_thread(self._control.tenant_settings, source.tenant_id)
        await self._writer.write(self.request(source, settings, message.payload))
        await asyncio.to_thread(
            self._control.messages.done, message.source_id, message.message_hash
        )
