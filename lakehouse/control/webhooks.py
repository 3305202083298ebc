"""Webhook sources of tenants and their signing secrets.

A secret signs, so unlike a key it has to be kept as it is: in this database, whose file only its
owner may read, and nowhere else.
"""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError

ADAPTERS: Final = ("generic", "segment")
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

    `secrets`: the one to sign with and, during a rotation, the one before it, which signed a
    message at `previous_used_at` last. Times of use are exact to a minute.
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
    previous_used_at: datetime | None
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A signing secret just made; shown this once."""

    source_id: str
    secret: str = field(repr=False)


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

    def get(self, source_id: str, *, with_removed: bool = False) -> WebhookSource:
        """Return a source that is in use, whatever text is asked for; raises `WebhookNotFound`."""
        table = schema.webhook_sources
        row = None
        if _SOURCE_ID.fullmatch(source_id):
            with self._connections.read() as connection:
                row = connection.execute(
                    select(table).where(table.c.source_id == source_id)
                ).first()
        if row is None or (row.removed_at is not None and not with_removed):
            raise WebhookNotFound
        return _source(row)

    def rotate(self, source_id: str, *, by: str = SYSTEM) -> NewSecret:
        """Make a new secret; the present one stays good until `retire` or the next rotation."""
        source = self.get(source_id)
        made = NewSecret(source_id, _new_secret())
        change = {
            "secret": made.secret,
            "previous_secret": source.secrets[0],
            "previous_used_at": None,
        }
        self._change(source, change, "webhook.rotate", by)
        return made

    def retire(self, source_id: str, *, by: str = SYSTEM) -> None:
        """Refuse the secret from before the rotation from now on."""
        change = {"previous_secret": None, "previous_used_at": None}
        self._change(self.get(source_id), change, "webhook.retire", by)

    def remove(self, source_id: str, *, by: str = SYSTEM) -> None:
        """Refuse everything that the source sends from now on."""
        change = {"removed_at": self._clock(), "previous_secret": None}
        self._change(self.get(source_id), change, "webhook.remove", by)

    def _change(self, source: WebhookSource, values: dict[str, Any], action: str, by: str) -> None:
        table = schema.webhook_sources
        with self._connections.write() as connection:
            connection.execute(
                update(table).where(table.c.source_id == source.source_id).values(**values)
            )
            self._audit.write(connection, by, action, source.tenant_id, source.source_id)


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
        row.previous_used_at,
        tuple(found for found in (row.secret, row.previous_secret) if found),
    )
