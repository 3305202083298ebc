"""People in the control database: payloads of webhooks on their way in, and kept answers.

Identifiers are taken out of the rows, and then the database's files are written anew: what was
deleted or replaced would stay in free pages and in the write-ahead log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlalchemy import Table, select, update

from lakehouse.control import schema
from lakehouse.privacy.needles import Needles

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase

ERASED: Final = "(erased)"
TABLES: Final = ("webhook_messages", "jobs", "erasure_subjects")
"""What may have held identifiers, sealed ones among them."""


def count_in_rows(database: ControlDatabase, tenant_id: str, needles: Needles) -> dict[str, int]:
    """Return per table how many rows of the tenant hold an identifier, in any column."""
    found: dict[str, int] = {}
    for table, row in _rows(database, tenant_id):
        if _holds(needles, dict(row._mapping)):  # noqa: SLF001 - its documented way to a mapping
            found[table.name] = found.get(table.name, 0) + 1
    return found


def take_out_of_rows(database: ControlDatabase, tenant_id: str, needles: Needles) -> int:
    """Take identifiers out of jobs and waiting messages; return how many rows were changed.

    Of a waiting message only the events of these people go: the others are still to be stored.
    """
    changed = 0
    connections = database.connections
    for table, row in list(_rows(database, tenant_id)):
        if table is schema.jobs:
            values = {n: _without(needles, getattr(row, n)) for n in ("request", "result")}
            if values == {"request": row.request, "result": row.result}:
                continue
            mine = table.c.job_id == row.job_id
        elif table is schema.webhook_messages and row.payload is not None:
            payload = _without_events(needles, row.payload)
            if payload == row.payload:
                continue
            values, mine = {"payload": payload}, table.c.message_hash == row.message_hash
        else:
            continue
        with connections.write() as connection:
            connection.execute(update(table).where(mine).values(**values))
        changed += 1
    return changed


def _rows(database: ControlDatabase, tenant_id: str) -> Iterator[tuple[Table, Any]]:
    """Yield every row of the tenant's, and of tables that belong to no tenant."""
    with database.connections.read() as connection:
        sources = schema.webhook_sources
        mine = select(sources.c.source_id).where(sources.c.tenant_id == tenant_id)
        for table in schema.metadata.sorted_tables:
            query = select(table)
            if "tenant_id" in table.c:
                query = query.where(table.c.tenant_id == tenant_id)
            elif table is schema.webhook_messages:
                query = query.where(table.c.source_id.in_(mine))
            for row in connection.execute(query):
                yield table, row


def _holds(needles: Needles, values: dict[str, Any]) -> bool:
    texts = []
    for value in values.values():
        if isinstance(value, bytes):
            texts.append(value)
        elif isinstance(value, (dict, list)):
            texts.append(json.dumps(value, ensure_ascii=False).encode())
        elif isinstance(value, str):
            texts.append(value.encode())
    return bool(texts) and bool(needles.rows(pa.array(texts, pa.large_binary())))


def _without(needles: Needles, value: Any) -> Any:
    """Return a JSON value with every text that holds an identifier replaced."""
    if isinstance(value, dict):
        return {_without(needles, k): _without(needles, v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(needles, part) for part in value]
    if isinstance(value, str) and (value in needles.short or needles.count(value.encode())):
        return ERASED
    return value


def _without_events(needles: Needles, payload: bytes) -> bytes | None:
    """Return a message without the events that hold an identifier; None when none is left."""
    if not needles.words(pa.array([payload], pa.large_binary())):
        return payload
    try:
        body = json.loads(payload)
    except ValueError:
        return None
    if isinstance(body, list):
        kept = [event for event in body if not _mentions(needles, event)]
        return json.dumps(kept).encode() if kept else None
    if isinstance(body, dict):
        rest = {
            name: [e for e in part if not _mentions(needles, e)] if isinstance(part, list) else part
            for name, part in body.items()
        }
        has_events = any(isinstance(part, list) and part for part in rest.values())
        if has_events and not _mentions(needles, rest):
            return json.dumps(rest).encode()
    return None


def _mentions(needles: Needles, value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False).encode()
    return bool(needles.words(pa.array([text], pa.large_binary())))
