"""Who did what to tenants, keys, webhook sources and people's data: written with the deed.

Each entry holds a hash over itself and the entry before it, so that none can be changed, left out
or put in between without all later ones telling. An entry holds no identifier of a person.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, text

from lakehouse.control import schema
from lakehouse.control.connection import Connections

SYSTEM: Final = "system"
"""Actor of what no person asked for."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `actor` is `cli:USER`, `key:KEY` or `system`; holds no secret."""

    at: datetime
    actor: str
    action: str
    tenant_id: str
    subject: str
    detail: dict[str, Any]


class AuditLog:
    """The audit log of one control database; nothing in it is ever changed."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def write(
        self,
        connection: Connection,
        actor: str,
        action: str,
        tenant_id: str,
        subject: str,
        **detail: Any,
    ) -> None:
        """Note a deed within the transaction that does it."""
        if not self._connections.is_sqlite:  # there a transaction that writes is alone anyway
            connection.execute(text("lock table audit_log in exclusive mode"))
        table = schema.audit_log
        newest = select(table.c.entry_hash).order_by(table.c.entry_id.desc()).limit(1)
        before = connection.execute(newest).scalar() or ""
        entry = AuditEntry(self._clock(), actor, action, tenant_id, subject, detail)
        connection.execute(
            insert(table).values(
                at=entry.at,
                actor=actor,
                action=action,
                tenant_id=tenant_id,
                subject=subject,
                detail=detail,
                entry_hash=chained(before, entry),
            )
        )

    def head(self) -> str:
        """Return the hash of the newest entry: who keeps it can tell whether any is gone."""
        table = schema.audit_log
        with self._connections.read() as connection:
            newest = select(table.c.entry_hash).order_by(table.c.entry_id.desc()).limit(1)
            return connection.execute(newest).scalar() or ""

    def first_broken(self, *, until: str | None = None) -> int | None:
        """Return the number of the first entry that is not what it was, None when all are.

        With `until`, a hash that was noted earlier, an entry must have it: else 0.
        """
        table = schema.audit_log
        before, is_met = "", until is None
        with self._connections.read() as connection:
            for row in connection.execute(select(table).order_by(table.c.entry_id)):
                if chained(before, _entry(row)) != row.entry_hash:
                    return int(row.entry_id)
                before = row.entry_hash
                is_met = is_met or before == until
        return None if is_met else 0

    def has(self, action: str, tenant_id: str, subject: str, detail: dict[str, Any]) -> bool:
        """Whether there is such an entry, whoever was its actor."""
        table = schema.audit_log
        query = select(table.c.detail).where(
            table.c.action == action,
            table.c.tenant_id == tenant_id,
            table.c.subject == subject,
        )
        with self._connections.read() as connection:
            return any(row.detail == detail for row in connection.execute(query))

    def list(self, tenant_id: str | None = None, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Return the newest entries, newest first, of one tenant or all."""
        table = schema.audit_log
        query = select(table).order_by(table.c.entry_id.desc()).limit(limit)
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            return tuple(_entry(row) for row in connection.execute(query))


def chained(before: str, entry: AuditEntry) -> str:
    """Return the hash of an entry behind the one with the hash `before` (SHA-256, hex)."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    found = [before, at, entry.actor, entry.action, entry.tenant_id, entry.subject, entry.detail]
    content = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(row.at, row.actor, row.action, row.tenant_id, row.subject, row.detail)
