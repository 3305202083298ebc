"""Who must not be stored again, as keyed hashes: one list, key and version per tenant."""

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from lakehouse.control import schema
from lakehouse.control.connection import Connections

DIGEST: Final = "sha256"


@dataclass(frozen=True, slots=True, repr=False)
class ListedHashes:
    """A tenant's list: hashes of subjects, and of the anonymous ids that are tied to them."""

    version: int
    key: str
    subjects: frozenset[str]
    tied: frozenset[str]


def subject_hash(key: str, subject: str) -> str:
    """Return the keyed hash of a subject (HMAC-SHA256, hex)."""
    return hmac.new(key.encode(), subject.encode(), DIGEST).hexdigest()


def hash_key_id(key: str) -> str:
    """Return what tells a tenant's key from others, and says nothing of it."""
    return hmac.new(key.encode(), b"eta: which key this is", DIGEST).hexdigest()[:16]


class Suppressions:
    """The suppression lists of one control database."""

    def __init__(self, connections: Connections, clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock

    def version(self, tenant_id: str) -> int:
        """Return a number that grows whenever the tenant's list changes; 0 before the first."""
        table = schema.suppression_lists
        with self._connections.read() as connection:
            query = select(table.c.version).where(table.c.tenant_id == tenant_id)
            return connection.execute(query).scalar() or 0

    def hashes(self, tenant_id: str) -> ListedHashes:
        """Return the tenant's list as it stands."""
        lists, table = schema.suppression_lists, schema.suppressions
        with self._connections.read() as connection:
            head = connection.execute(select(lists).where(lists.c.tenant_id == tenant_id)).first()
            if head is None:
                return ListedHashes(0, "", frozenset(), frozenset())
            query = select(table.c.subject_hash, table.c.tied_to)
            rows = connection.execute(query.where(table.c.tenant_id == tenant_id)).all()
        return ListedHashes(
            head.version,
            head.hash_key,
            frozenset(str(row.subject_hash) for row in rows if row.tied_to is None),
            frozenset(str(row.subject_hash) for row in rows if row.tied_to is not None),
        )

    def newest(self, tenant_id: str | None = None) -> datetime | None:
        """Return when somebody was last put on a tenant's list, or on any; None for none."""
        table = schema.suppressions
        query = select(func.max(table.c.added_at))
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            return connection.execute(query).scalar()

    def tenants(self) -> list[str]:
        """Return the tenants that have a list."""
        with self._connections.read() as connection:
            return list(connection.execute(select(schema.suppression_lists.c.tenant_id)).scalars())

    def key(self, connection: Connection, tenant_id: str) -> str:
        """Return the key that the tenant's subjects are hashed with; made at its first use."""
        table = schema.suppression_lists
        mine = select(table.c.hash_key).where(table.c.tenant_id == tenant_id)
        found = connection.execute(mine).scalar()
        if found is not None:
            return str(found)
        made = secrets.token_hex(32)
        connection.execute(insert(table).values(tenant_id=tenant_id, hash_key=made, version=0))
        return made

    def add(self, connection: Connection, tenant_id: str, hashes: Mapping[str, str | None]) -> None:
        """Put hashes on the list: each with the hash of the subject that it is tied to, if any.

        A subject's own hash takes the place of a tied one, never the other way round.
        """
        table, now = schema.suppressions, self._clock()
        mine = select(table.c.subject_hash, table.c.tied_to).where(table.c.tenant_id == tenant_id)
        known = {row.subject_hash: row.tied_to for row in connection.execute(mine)}
        raised = [h for h, tied in hashes.items() if tied is None and known.get(h) is not None]
        if raised:
            self._drop(connection, tenant_id, raised)
        fresh = [h for h in hashes if h not in known or h in raised]
        if fresh:
            rows = [
                {"tenant_id": tenant_id, "subject_hash": h, "tied_to": hashes[h], "added_at": now}
                for h in fresh
            ]
            connection.execute(insert(table), rows)
        self._advance(connection, tenant_id)

    def remove(self, connection: Connection, tenant_id: str, hashes: Iterable[str]) -> int:
        """Take subjects, and what is tied to them, off the list; return how many subjects."""
        table = schema.suppressions
        wanted = list(hashes)
        tied = (table.c.tenant_id == tenant_id, table.c.tied_to.in_(wanted))
        connection.execute(delete(table).where(*tied))
        found = self._drop(connection, tenant_id, wanted)
        if found:
            self._advance(connection, tenant_id)
        return found

    def _drop(self, connection: Connection, tenant_id: str, hashes: list[str]) -> int:
        table = schema.suppressions
        mine = (table.c.tenant_id == tenant_id, table.c.subject_hash.in_(hashes))
        return connection.execute(delete(table).where(*mine)).rowcount

    def _advance(self, connection: Connection, tenant_id: str) -> None:
        table = schema.suppression_lists
        connection.execute(
            update(table).where(table.c.tenant_id == tenant_id).values(version=table.c.version + 1)
        )
