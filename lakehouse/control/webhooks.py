"""Webhook sources of tenants, their signing secrets, and which messages they have sent.

A secret signs, so unlike a key it has to be kept as it is: in this database, whose file only its
owner may read, and nowhere else.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.control.keys import LAST_USED_EVERY
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError

ADAPTERS: Final = ("generic", "segment")
REPLAY_MEMORY: Final = timedelta(hours=76)
"""Longer than senders repeat a message: 75 hours in the schedule of Standard Webhooks."""

_SECRET_BYTES: Final = 32
_SOURCE_ID: Final = re.compile(r"wh_[0-9a-f]{16}")


class WebhookNotFound(EtaError):
    """No webhook source has this id, or it was removed."""

    def __init__(self) -> None:
        super().__init__(
            "there is no webhook source of that id",
            remedy="see `eta webhooks list`; the id begins with `wh_`",
        )


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """Where messages come from and how they are read.

    `secrets`: the one to sign with and, during a rotation, the one before it.
    """

    source_id: str
    tenant_id: str
    name: str
    adapter: str
    data_type: str
    mapping: str
    created_at: datetime
    last_used_at: datetime | None
    removed_at: datetime | None
    has_previous: bool
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A signing secret just made; shown this once."""

    source_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message whose payload is kept, since it was not stored as events yet."""

    source_id: str
    message_hash: str
    session_id: str
    payload: bytes = field(repr=False)


class WebhookSources:
    """The webhook sources of one control database."""

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], audit: AuditLog
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._audit = audit

    def add(
        self,
        tenant_id: str,
        name: str,
        *,
        adapter: str,
        data_type: str,
        mapping: str,
        by: str = SYSTEM,
    ) -> NewSecret:
        """Add a source; this is the only time its secret is shown. Raises `TenantNotFound`."""
        if adapter not in ADAPTERS:
            raise EtaError("there is no such adapter", remedy=f"use one of: {', '.join(ADAPTERS)}")
        made = NewSecret(f"wh_{secrets.token_hex(8)}", _new_secret())
        known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.write() as connection:
            if connection.execute(known).first() is None:
                raise TenantNotFound(tenant_id)
            connection.execute(
                insert(schema.webhook_sources).values(
                    source_id=made.source_id,
                    tenant_id=tenant_id,
                    name=name,
                    adapter=adapter,
                    data_type=data_type,
                    mapping=mapping,
                    secret=made.secret,
                    created_at=self._clock(),
                )
            )
            what = {"adapter": adapter, "data_type": data_type, "mapping": mapping}
            self._audit.write(connection, by, "webhook.add", tenant_id, made.source_id, **what)
        return made

    def list(self, tenant_id: str) -> tuple[WebhookSource, ...]:
        """Return the tenant's sources, oldest first, the removed ones too."""
        table = schema.webhook_sources
        query = select(table).where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            rows = connection.execute(query.order_by(table.c.created_at, table.c.source_id))
            return tuple(_source(row) for row in rows)

    def get(self, source_id: str) -> WebhookSource:
        """Return a source that is in use, whatever text is asked for; raises `WebhookNotFound`."""
        table = schema.webhook_sources
        row = None
        if _SOURCE_ID.fullmatch(source_id):
            with self._connections.read() as connection:
                row = connection.execute(
                    select(table).where(table.c.source_id == source_id)
                ).first()
        if row is None or row.removed_at is not None:
            raise WebhookNotFound
        return _source(row)

    def rotate(self, source_id: str, *, by: str = SYSTEM) -> NewSecret:
        """Make a new secret; the present one stays good until `retire` or the next rotation."""
        source = self.get(source_id)
        made = NewSecret(source_id, _new_secret())
        change = {"secret": made.secret, "previous_secret": source.secrets[0]}
        self._change(source, change, "webhook.rotate", by)
        return made

    def retire(self, source_id: str, *, by: str = SYSTEM) -> None:
        """Refuse the secret from before the rotation from now on."""
        self._change(self.get(source_id), {"previous_secret": None}, "webhook.retire", by)

    def remove(self, source_id: str, *, by: str = SYSTEM) -> None:
        """Refuse everything that the source sends from now on."""
        change = {"removed_at": self._clock(), "previous_secret": None}
        self._change(self.get(source_id), change, "webhook.remove", by)

    def note_use(self, source: WebhookSource) -> None:
        """Remember that the source was used just now, to the minute."""
        now = self._clock()
        before = now - LAST_USED_EVERY
        if source.last_used_at is not None and source.last_used_at > before:
            return
        table = schema.webhook_sources
        is_stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= before)
        with self._connections.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.source_id == source.source_id, is_stale)
                .values(last_used_at=now)
            )

    def _change(self, source: WebhookSource, values: dict[str, Any], action: str, by: str) -> None:
        table = schema.webhook_sources
        with self._connections.write() as connection:
            connection.execute(
                update(table).where(table.c.source_id == source.source_id).values(**values)
            )
            self._audit.write(connection, by, action, source.tenant_id, source.source_id)


class WebhookMessages:
    """Which messages were received, for as long as a sender may repeat them."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def receive(
        self, source_id: str, message_id: str, sent_at: int, payload: bytes, session_id: str
    ) -> Literal["new", "known", "replayed"]:
        """Keep a message until it is stored; durable when this returns.

        `known`: the sender repeats a message of that id, signed anew. `replayed`: the very request
        has been here before. Then nothing is kept.
        """
        table = schema.webhook_messages
        hashed = message_hash(message_id)
        mine = (table.c.source_id == source_id, table.c.message_hash == hashed)
        with self._connections.write() as connection:
            found = connection.execute(select(table.c.sent_at).where(*mine)).scalar()
            if found is not None:
                if sent_at <= found:
                    return "replayed"
                connection.execute(update(table).where(*mine).values(sent_at=sent_at))
                return "known"
            try:
                connection.execute(
                    insert(table).values(
                        source_id=source_id,
                        message_hash=hashed,
                        sent_at=sent_at,
                        received_at=self._clock(),
                        session_id=session_id,
                        payload=payload,
                    )
                )
            except IntegrityError:  # another process received it at the same moment
                return "replayed"
        return "new"

    def done(self, source_id: str, message_id_hash: str) -> None:
        """Drop the payload of a message that is stored; that it was here stays known."""
        table = schema.webhook_messages
        mine = (table.c.source_id == source_id, table.c.message_hash == message_id_hash)
        with self._connections.write() as connection:
            connection.execute(update(table).where(*mine).values(payload=None))

    def forget(self, source_id: str, message_id_hash: str) -> None:
        """Take a message for never received, so that its sender may send it again."""
        table = schema.webhook_messages
        mine = (table.c.source_id == source_id, table.c.message_hash == message_id_hash)
        with self._connections.write() as connection:
            connection.execute(delete(table).where(*mine))

    def kept(self, session_id: str, *, limit: int = 100) -> tuple[KeptMessage, ...]:
        """Return messages that wait to be stored, of other sessions than this one, oldest first."""
        table = schema.webhook_messages
        query = (
            select(table)
            .where(table.c.payload.is_not(None), table.c.session_id != session_id)
            .order_by(table.c.received_at)
            .limit(limit)
        )
        with self._connections.read() as connection:
            return tuple(
                KeptMessage(row.source_id, row.message_hash, row.session_id, row.payload)
                for row in connection.execute(query)
            )

    def drop_old(self) -> int:
        """Forget messages that nobody can repeat any more, those still kept apart."""
        table = schema.webhook_messages
        old = table.c.received_at < self._clock() - REPLAY_MEMORY
        with self._connections.write() as connection:
            return connection.execute(delete(table).where(old, table.c.payload.is_(None))).rowcount


def message_hash(message_id: str) -> str:
    """Return what a message is known by: its id may hold anything."""
    return hashlib.sha256(message_id.encode()).hexdigest()


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _source(row: Row[Any]) -> WebhookSource:
    return WebhookSource(
        row.source_id,
        row.tenant_id,
        row.name,
        row.adapter,
        row.data_type,
        row.mapping,
        row.created_at,
        row.last_used_at,
        row.removed_at,
        row.previous_secret is not None,
        tuple(found for found in (row.secret, row.previous_secret) if found),
    )
