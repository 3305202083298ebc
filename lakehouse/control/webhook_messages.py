"""Which messages webhook sources have sent, for as long as a sender may repeat them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.keys import LAST_USED_EVERY

REPLAY_MEMORY: Final = timedelta(hours=76)
"""Longer than senders repeat a message: 75 hours in the schedule of Standard Webhooks."""

Received = Literal["new", "known", "replayed", "waiting", "conflict", "known_conflict"]


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message whose payload is kept, since it was not stored as events yet.

    `is_conflict`: its id was of another message before; its rows go to quarantine.
    """

    source_id: str
    message_hash: str
    session_id: str
    received_at: datetime
    is_conflict: bool
    payload: bytes = field(repr=False)


class WebhookMessages:
    """The messages of one control database."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def receive(
        self,
        source_id: str,
        message_id: str,
        sent_at: int,
        payload: bytes,
        session_id: str,
        *,
        by_previous: bool = False,
    ) -> Received:
        """Keep a message until it is stored; durable when this returns.

        `known`: the sender repeats a message of that id, signed anew. `replayed`: the very request
        has been here before. `waiting`: it was kept before and is not stored yet. Then nothing
        is kept. `conflict`: a message of that id had another payload; this one is kept under
        `conflict_hash`. `known_conflict`: that is stored already. The use of the source, and of
        its previous secret, is noted.
        """
        hashed, digest = message_hash(message_id), payload_hash(payload)
        try:
            with self._connections.write() as connection:
                self._note_use(connection, source_id, by_previous=by_previous)
                found = _get(connection, source_id, hashed)
                other = None
                if found is not None and found.payload_hash not in (None, digest):
                    other, hashed = hashed, conflict_hash(message_id, payload)
                    found = _get(connection, source_id, hashed)
                if found is not None:
                    return self._repeated(connection, found, sent_at)
                connection.execute(
                    insert(schema.webhook_messages).values(
                        source_id=source_id,
                        message_hash=hashed,
                        sent_at=sent_at,
                        received_at=self._clock(),
                        session_id=session_id,
                        payload=payload,
                        payload_hash=digest,
                        conflicts_with=other,
                    )
                )
        except IntegrityError:  # another process received it at the same moment
            return "waiting"
        return "new" if other is None else "conflict"

    def holder(self, source_id: str, message_id_hash: str) -> str | None:
        """Return the session that received a message which is kept; None when none is."""
        with self._connections.read() as connection:
            found = _get(connection, source_id, message_id_hash)
        return None if found is None or found.payload is None else str(found.session_id)

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

    def kept(
        self,
        besides: str | None = None,
        *,
        limit: int = 100,
        after: KeptMessage | None = None,
    ) -> tuple[KeptMessage, ...]:
        """Return messages that wait to be stored, oldest first, those behind `after`.

        `besides` names a session whose messages are left out.
        """
        table = schema.webhook_messages
        order = (table.c.received_at, table.c.source_id, table.c.message_hash)
        query = select(table).where(table.c.payload.is_not(None)).order_by(*order).limit(limit)
        if besides is not None:
            query = query.where(table.c.session_id != besides)
        if after is not None:
            moment = literal(after.received_at, table.c.received_at.type)
            place = (moment, literal(after.source_id), literal(after.message_hash))
            query = query.where(tuple_(*order) > tuple_(*place))
        with self._connections.read() as connection:
            return tuple(_kept(row) for row in connection.execute(query))

    def waiting(self) -> dict[str, int]:
        """Return how many messages of each source are kept and not stored yet."""
        table = schema.webhook_messages
        query = (
            select(table.c.source_id, func.count())
            .where(table.c.payload.is_not(None))
            .group_by(table.c.source_id)
        )
        with self._connections.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def drop_old(self) -> int:
        """Forget messages that nobody can repeat any more, those still kept apart."""
        table = schema.webhook_messages
        old = table.c.received_at < self._clock() - REPLAY_MEMORY
        with self._connections.write() as connection:
            return connection.execute(delete(table).where(old, table.c.payload.is_(None))).rowcount

    def _repeated(self, connection: Connection, found: Row[Any], sent_at: int) -> Received:
        if found.payload is not None:
            return "waiting"
        if found.conflicts_with is not None:
            return "known_conflict"
        if sent_at <= found.sent_at:
            return "replayed"
        table = schema.webhook_messages
        mine = (table.c.source_id == found.source_id, table.c.message_hash == found.message_hash)
        connection.execute(update(table).where(*mine).values(sent_at=sent_at))
        return "known"

    def _note_use(self, connection: Connection, source_id: str, *, by_previous: bool) -> None:
        """Remember that a source, and maybe its previous secret, was used just now."""
        table, now = schema.webhook_sources, self._clock()
        columns = [table.c.last_used_at]
        if by_previous:
            columns.append(table.c.previous_used_at)
        for column in columns:
            is_stale = or_(column.is_(None), column <= now - LAST_USED_EVERY)
            connection.execute(
                update(table).where(table.c.source_id == source_id, is_stale).values({column: now})
            )


def message_hash(message_id: str) -> str:
    """Return what a message is known by: its id may hold anything."""
    return _sha256(message_id.encode())


def payload_hash(payload: bytes) -> str:
    """Return what tells a message from another one of the same id."""
    return _sha256(payload)


def conflict_hash(message_id: str, payload: bytes) -> str:
    """Return what a message is known by whose id was of another one; no id holds a line break."""
    return _sha256(f"{message_id}\n{payload_hash(payload)}".encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _get(connection: Connection, source_id: str, hashed: str) -> Row[Any] | None:
    table = schema.webhook_messages
    mine = (table.c.source_id == source_id, table.c.message_hash == hashed)
    return connection.execute(select(table).where(*mine)).first()


def _kept(row: Row[Any]) -> KeptMessage:
    return KeptMessage(
        row.source_id,
        row.message_hash,
        row.session_id,
        row.received_at,
        row.conflicts_with is not None,
        row.payload,
    )
