"""API keys: made once, shown once, stored as a hash, rotated with an overlap, revoked at once."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select, update

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections, DatabaseUnreachable
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError

SCOPES: Final = frozenset({"ingest", "read", "quarantine", "admin", "privacy"})
HANDED_ON: Final = frozenset({"privacy", "quarantine"})
"""Scopes that a key can give to another key, or renew, only if it has them itself."""

LAST_USED_EVERY: Final = timedelta(minutes=1)
"""How exact `last_used_at` is: a key in constant use costs one write in this time."""

_SECRET_BYTES: Final = 32
_KEY: Final = re.compile(r"eta_(?P<key_id>[A-Za-z0-9-]{1,64})_[A-Za-z0-9_-]{43}", re.ASCII)
_NO_HASH: Final = "0" * 64


class ScopeNotHeld(EtaError):
    """A key asks for a scope that it may not hand on."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"only a key with the scope `{scope}` can give it to a key, or renew a key that has it",
            remedy=f"ask the operator: `eta keys create TENANT --scope {scope}`",
        )


class KeyNotFound(EtaError):
    """No API key has this id."""

    def __init__(self) -> None:
        super().__init__(
            "there is no API key of that id",
            remedy="see `eta keys list`; the id is the part between `eta_` and the second `_`",
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that was accepted: whose it is and what it may do."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `secret` is the whole text to send and is stored nowhere."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, without its secret; `last_used_at` is exact to a minute."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    expires_at: datetime | None = None


@dataclass(slots=True)
class KnownKey:
    """A good key as it was read, until the database changes."""

    key: ApiKey
    expires_at: datetime | None
    last_used_at: datetime | None


class Keys:
    """The API keys of one control database."""

    def __init__(
        self,
        connections: Connections,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        audit: AuditLog,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._new_id = new_id
        self._audit = audit
        self._note_by: Callable[[Callable[[], None]], object] = lambda note: note()

    def note_by(self, run: Callable[[Callable[[], None]], object]) -> None:
        """Have uses noted by `run`, a thread's `submit`: an event loop must wait for no writer."""
        self._note_by = run

    def create(
        self,
        tenant_id: str,
        scopes: Collection[str] = frozenset({"ingest"}),
        *,
        by: str = SYSTEM,
        granted_by: Collection[str] = SCOPES,
    ) -> NewKey:
        """Make a key `eta_<key_id>_<random>`; this is the only time its secret can be read.

        `granted_by`: the scopes of the key that asks for it. Raises `TenantNotFound`, `EtaError`
        for scopes other than `SCOPES`, and `ScopeNotHeld`.
        """
        _check_scopes(scopes)
        _check_granted(scopes, granted_by)
        known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.write() as connection:
            if connection.execute(known).first() is None:
                raise TenantNotFound(tenant_id)
            key = self._insert(connection, tenant_id, scopes)
            granted = sorted(scopes)
            self._audit.write(connection, by, "key.create", tenant_id, key.key_id, scopes=granted)
        return key

    def rotate(
        self,
        key_id: str,
        overlap: timedelta,
        *,
        tenant_id: str | None = None,
        by: str = SYSTEM,
        granted_by: Collection[str] = SCOPES,
    ) -> NewKey:
        """Make a key of the same tenant and scopes; the old one is refused once `overlap` is over.

        Raises `KeyNotFound`, also for a key of another tenant than `tenant_id` when that is given,
        `EtaError` for a key that is revoked, and `ScopeNotHeld`.
        """
        table = schema.api_keys
        with self._connections.write() as connection:
            old = _find(connection, key_id, tenant_id)
            _check_granted(old.scopes, granted_by)
            if old.revoked_at is not None:
                raise EtaError(
                    "the key is revoked already", remedy="make a new one with `eta keys create`"
                )
            ends = self._clock() + overlap
            if old.expires_at is not None:
                ends = min(ends, old.expires_at)
            connection.execute(
                update(table).where(table.c.key_id == key_id).values(expires_at=ends)
            )
            new = self._insert(connection, old.tenant_id, old.scopes)
            detail = {"new_key": new.key_id, "old_ends": ends.isoformat()}
            self._audit.write(connection, by, "key.rotate", old.tenant_id, key_id, **detail)
        return new

    def _insert(self, connection: Connection, tenant_id: str, scopes: Collection[str]) -> NewKey:
        key_id = self._new_id()
        secret = f"eta_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        connection.execute(
            insert(schema.api_keys).values(
                key_id=key_id,
                tenant_id=tenant_id,
                key_hash=key_hash(secret),
                scopes=sorted(scopes),
                created_at=self._clock(),
            )
        )
        return NewKey(key_id, secret)

    def list(self, tenant_id: str) -> tuple[KeyRecord, ...]:
        """Return the tenant's keys, oldest first, the revoked ones too."""
        table = schema.api_keys
        query = select(table).where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            rows = connection.execute(query.order_by(table.c.created_at, table.c.key_id))
            return tuple(_record(row) for row in rows)

    def revoke(self, key_id: str, *, tenant_id: str | None = None, by: str = SYSTEM) -> None:
        """Refuse the key from now on, in every process; revoking again changes nothing.

        Raises `KeyNotFound`, also for a key of another tenant than `tenant_id` when that is given.
        """
        table = schema.api_keys
        with self._connections.write() as connection:
            found = _find(connection, key_id, tenant_id)
            changed = connection.execute(
                update(table)
                .where(table.c.key_id == key_id, table.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            if changed.rowcount:
                self._audit.write(connection, by, "key.revoke", found.tenant_id, key_id)

    def authenticate(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, None when it is unknown, wrong, old or revoked.

        The hash is computed and compared in constant time whether or not the id is known, so the
        time taken does not tell which ids exist.
        """
        return self.admit(self.find(presented))

    def find(self, presented: str) -> KnownKey | None:
        """Return the key if it is good but for its time; see `authenticate`."""
        shape = _KEY.fullmatch(presented)
        if shape is None:
            return None
        table = schema.api_keys
        with self._connections.read() as connection:
            row = connection.execute(select(table).where(table.c.key_id == shape["key_id"])).first()
        stored = _NO_HASH if row is None else row.key_hash
        is_same = hmac.compare_digest(stored, key_hash(presented))
        if row is None or not is_same or row.revoked_at is not None:
            return None
        key = ApiKey(row.key_id, row.tenant_id, frozenset(row.scopes))
        return KnownKey(key, row.expires_at, row.last_used_at)

    def admit(self, known: KnownKey | None) -> ApiKey | None:
        """Return a key that was found, None when its time is over; its use is noted."""
        if known is None:
            return None
        now = self._clock()
        if known.expires_at is not None and known.expires_at <= now:
            return None
        if known.last_used_at is None or known.last_used_at <= now - LAST_USED_EVERY:
            known.last_used_at = now
            self._note_by(partial(self._note_use, known.key.key_id, now))
        return known.key

    def _note_use(self, key_id: str, now: datetime) -> None:
        table = schema.api_keys
        before = now - LAST_USED_EVERY
        is_stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= before)
        try:
            with self._connections.write() as connection:
                connection.execute(
                    update(table).where(table.c.key_id == key_id, is_stale).values(last_used_at=now)
                )
        except DatabaseUnreachable:
            return  # a busy database must not refuse a good key; a later request notes its use


def _find(connection: Connection, key_id: str, tenant_id: str | None) -> Row[Any]:
    table = schema.api_keys
    found = connection.execute(select(table).where(table.c.key_id == key_id)).first()
    if found is None or tenant_id not in (None, found.tenant_id):
        raise KeyNotFound
    return found


def key_hash(secret: str) -> str:
    """Return the SHA-256 of a key, in hex.

    A slow, salted hash protects secrets that can be guessed. These hold 256 random bits: nobody
    can try them all, however fast the hash, and a slow one would cost every request its time.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_scopes(scopes: Collection[str]) -> None:
    if not scopes or not SCOPES.issuperset(scopes):
        raise EtaError(
            "the scopes of an API key are not valid",
            remedy=f"give one or more of: {', '.join(sorted(SCOPES))}",
        )


def _check_granted(scopes: Collection[str], granted_by: Collection[str]) -> None:
    for scope in sorted(HANDED_ON.intersection(scopes)):
        if scope not in granted_by:
            raise ScopeNotHeld(scope)


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        row.key_id,
        row.tenant_id,
        frozenset(row.scopes),
        row.created_at,
        row.revoked_at,
        row.last_used_at,
        row.expires_at,
    )
