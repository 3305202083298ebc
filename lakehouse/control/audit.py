"""Who did what to tenants, keys and webhook sources: written with the deed, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

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
        connection.execute(
            insert(schema.audit_log).values(
                at=self._clock(),
                actor=actor,
                action=action,
                tenant_id=tenant_id,
                subject=subject,
                detail=detail,
            )
        )

    def list(self, tenant_id: str | None = None, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Return the newest entries, newest first, of one tenant or all."""
        table = schema.audit_log
        query = select(table).order_by(table.c.entry_id.desc()).limit(limit)
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            return tuple(
                AuditEntry(row.at, row.actor, row.action, row.tenant_id, row.subject, row.detail)
                for row in connection.execute(query)
            )
