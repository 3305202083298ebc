"""How many idempotency keys a tenant may hold, and how much their answers may take up.

Whoever may ingest can make keys, and every key is kept for days with its answer. So both have a
bound per tenant. Counting a hundred thousand keys takes tens of milliseconds: it is done once a
minute, and what this process adds in between is added to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from lakehouse.control import schema
from lakehouse.errors import EtaError

KEPT_AT_LEAST: Final = timedelta(hours=24)
"""Younger keys are not dropped to make room for new ones."""
RECOUNT: Final = timedelta(minutes=1)
DROP_AT_ONCE: Final = 1_000
RETRY_SECONDS: Final = 3_600


class TooManyKeys(EtaError):
    """A tenant holds as many idempotency keys as it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_idempotency_keys"
    retry_after = RETRY_SECONDS

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the tenant has used {most:,} Idempotency-Keys within a day, which is the most",
            remedy="put more into one request, or send it without the key: events are known by "
            "their event_id, rows of files by their content",
        )


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Per tenant: how many keys, and how many bytes of answers before answers are kept short."""

    keys: int = 100_000
    answer_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class _Held:
    keys: int
    answer_bytes: int
    counted_at: datetime
    is_full: bool = False
    """Nothing could be dropped when it was counted; it is not tried again before the next count."""


class KeyRoom:
    """What the tenants' keys hold, as far as this process knows; for several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: dict[str, _Held] = {}

    def take(self, connection: Connection, tenant_id: str, limits: KeyLimits) -> bool:
        """Make room for a new key; return whether its answer may be kept whole.

        Drops the oldest keys that may go when there are too many. Raises `TooManyKeys`.
        """
        held = self._known(connection, tenant_id)
        if held.keys >= limits.keys:
            if held.is_full:
                raise TooManyKeys(limits.keys)
            self._drop_oldest(connection, tenant_id)
            held = self._count(connection, tenant_id)
            if held.keys >= limits.keys:
                held.is_full = True
                raise TooManyKeys(limits.keys)
        with self._lock:
            held.keys += 1
        return held.answer_bytes < limits.answer_bytes

    def add(self, tenant_id: str, answer_bytes: int) -> None:
        """Note the size of an answer that was kept."""
        with self._lock:
            held = self._held.get(tenant_id)
            if held is not None:
                held.answer_bytes += answer_bytes

    def _known(self, connection: Connection, tenant_id: str) -> _Held:
        with self._lock:
            held = self._held.get(tenant_id)
        if held is None or self._clock() - held.counted_at > RECOUNT:
            return self._count(connection, tenant_id)
        return held

    def _count(self, connection: Connection, tenant_id: str) -> _Held:
        keys = schema.idempotency_keys
        query = select(func.count(), func.coalesce(func.sum(keys.c.answer_bytes), 0))
        row: Any = connection.execute(query.where(keys.c.tenant_id == tenant_id)).one()
        held = _Held(int(row[0]), int(row[1]), self._clock())
        with self._lock:
            self._held[tenant_id] = held
        return held

    def _drop_oldest(self, connection: Connection, tenant_id: str) -> None:
        keys = schema.idempotency_keys
        old = (keys.c.tenant_id == tenant_id, keys.c.created_at < self._clock() - KEPT_AT_LEAST)
        query = select(keys.c.key_hash).where(*old).order_by(keys.c.created_at)
        dropped: Sequence[str] = connection.execute(query.limit(DROP_AT_ONCE)).scalars().all()
        mine = (keys.c.tenant_id == tenant_id, keys.c.key_hash.in_(dropped))
        connection.execute(delete(keys).where(*mine))


def totals(connection: Connection) -> tuple[int, int]:
    """Return how many keys there are of all tenants, and the bytes of their answers."""
    keys = schema.idempotency_keys
    query = select(func.count(), func.coalesce(func.sum(keys.c.answer_bytes), 0))
    row: Any = connection.execute(query.select_from(keys)).one()
    return int(row[0]), int(row[1])
