"""People in the control database: payloads of webhooks on their way in, and kept answers.

Identifiers are taken out of the rows, and then the database's files are written anew: what was
deleted or replaced would stay in free pages and in the write-ahead log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlalchemy import ColumnElement, Table, select, update

from lakehouse.contracts.identifying import spelling
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.strict_json import StrictJsonError, dumps, loads
from lakehouse.contracts.tenant import DataType
from lakehouse.control import schema
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.json_values import BATCH
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.records import RecordReader

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase

ERASED: Final = "(erased)"
TABLES: Final = ("webhook_messages", "jobs", "erasure_subjects")
"""What may have held identifiers, sealed ones among them."""
_NAMES_OF_PEOPLE: Final = frozenset(
    map(spelling, ("user_id", "anonymous_id", "user", "users", "subject", "subjects", "ids"))
)
"""Under these names an answer of a job has people."""


@dataclass(frozen=True, slots=True)
class RowsFound:
    """Rows per table that name people, and others that mention them."""

    values: Counter[str] = field(default_factory=Counter)
    mentions: Counter[str] = field(default_factory=Counter)


def look_through_rows(
    database: ControlDatabase, tenant_id: str, patterns: IdentifierPatterns, readers: Readers
) -> RowsFound:
    """Return which rows of the tenant name people: kept messages, and answers of ended jobs.

    What a row holds besides, such as the tenant's own name, can only mention somebody.
    """
    found = RowsFound()
    for table, row in _rows(database, tenant_id):
        if _change_of(table, row, patterns, readers) is not None:
            found.values[table.name] += 1
        elif _mentions(patterns, dict(row._mapping)):  # noqa: SLF001 - its documented way to a mapping
            found.mentions[table.name] += 1
    return found


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that names people, what it has to be set to, and whom it names: subjects, tied ids."""

    is_of: ColumnElement[bool]
    table: Table
    values: Mapping[str, Any] = field(repr=False)
    subjects: Collection[str] = field(repr=False)
    tied: Collection[str] = field(repr=False)


def row_changes(
    database: ControlDatabase,
    tenant_id: str,
    patterns: IdentifierPatterns,
    readers: Readers,
    tied: frozenset[str] = frozenset(),
) -> list[RowChange]:
    """Return what has to be changed so that no row names these people any more."""
    found = []
    for table, row in list(_rows(database, tenant_id)):
        change = _change_of(table, row, patterns, readers, tied)
        if change is None:
            continue
        is_job = table is schema.jobs
        mine = table.c.job_id == row.job_id if is_job else table.c.message_hash == row.message_hash
        named = (
            (_in_answer(patterns, [row.request, row.result]), set())
            if is_job
            else _in_message(patterns, row, readers, tied)
        )
        found.append(RowChange(mine, table, change, *named))
    return found


def change_rows(database: ControlDatabase, changes: Iterable[RowChange]) -> None:
    """Change rows as `row_changes` says."""
    for one in changes:
        with database.connections.write() as connection:
            connection.execute(update(one.table).where(one.is_of).values(**one.values))


def _rows(database: ControlDatabase, tenant_id: str) -> Iterator[tuple[Table, Any]]:
    """Yield every row of the tenant's, a message with how its source's messages are read."""
    with database.connections.read() as connection:
        sources = schema.webhook_sources
        for table in schema.metadata.sorted_tables:
            query = select(table)
            if "tenant_id" in table.c:
                query = query.where(table.c.tenant_id == tenant_id)
            elif table is schema.webhook_messages:
                joined = table.join(sources, sources.c.source_id == table.c.source_id)
                query = select(table, sources.c.data_type, sources.c.mapping).select_from(joined)
                query = query.where(sources.c.tenant_id == tenant_id)
            for row in connection.execute(query):
                yield table, row


def _change_of(
    table: Table,
    row: Any,
    patterns: IdentifierPatterns,
    readers: Readers,
    tied: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """Return what a row has to be set to, None when it names nobody."""
    if table is schema.jobs and row.finished_at is not None:
        values = {n: _without(patterns, getattr(row, n)) for n in ("request", "result")}
        return None if values == {"request": row.request, "result": row.result} else values
    if table is schema.webhook_messages and row.payload is not None:
        payload = _without_events(patterns, row.payload, _reader(row, readers), tied)
        return None if payload == row.payload else {"payload": payload}
    return None


def _reader(row: Any, readers: Readers) -> RecordReader:
    layout = SourceLayout(format="json", mapping=row.mapping)
    return readers.of(DataType(row.data_type), layout)


def _in_message(
    patterns: IdentifierPatterns, row: Any, readers: Readers, tied: frozenset[str]
) -> tuple[set[str], set[str]]:
    """Return the subjects that a message names, and the tied ids of its events without a user."""
    reader, parts = _reader(row, readers), [row.payload]
    with suppress(StrictJsonError):
        body = loads(row.payload).value
        events = body.get(BATCH) if isinstance(body, dict) else body
        parts += [dumps(one).encode() for one in events] if isinstance(events, list) else []
    named = [reader.named(part).people(patterns.texts, tied) for part in parts]
    return set().union(*(one for one, _ in named)), set().union(*(one for _, one in named))


def _in_answer(patterns: IdentifierPatterns, value: Any, *, is_named: bool = False) -> set[str]:
    """Return whom a JSON value has under names of ids, as `_without` replaces them."""
    if isinstance(value, dict):
        return set().union(
            *(
                _in_answer(patterns, v, is_named=is_named or spelling(n) in _NAMES_OF_PEOPLE)
                for n, v in value.items()
            )
        )
    if isinstance(value, list):
        return set().union(*(_in_answer(patterns, one, is_named=is_named) for one in value))
    is_one = is_named and not isinstance(value, bool) and str(value) in patterns.texts
    return {str(value)} if is_one else set()


def _mentions(patterns: IdentifierPatterns, values: dict[str, Any]) -> bool:
    texts = []
    for value in values.values():
        if isinstance(value, bytes):
            texts.append(value)
        elif isinstance(value, (dict, list)):
            texts.append(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        elif isinstance(value, str):
            texts.append(value.encode(errors="replace"))
    return bool(texts) and bool(patterns.rows(pa.array(texts, pa.large_binary())))


def _without(patterns: IdentifierPatterns, value: Any, *, is_named: bool = False) -> Any:
    """Return a JSON value in which people under names of ids are replaced."""
    if isinstance(value, dict):
        return {
            name: _without(patterns, inner, is_named=is_named or spelling(name) in _NAMES_OF_PEOPLE)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(patterns, part, is_named=is_named) for part in value]
    is_one = is_named and not isinstance(value, bool) and str(value) in patterns.texts
    return ERASED if is_one else value


def _without_events(
    patterns: IdentifierPatterns, payload: bytes, reader: RecordReader, tied: frozenset[str]
) -> bytes | None:
    """Return a message without the events that name people; None when none is left."""

    def is_of(raw: bytes) -> bool:
        return reader.named(raw).is_of(patterns.texts.__contains__, tied.__contains__)

    if not is_of(payload):
        return payload
    try:
        body = loads(payload).value
    except StrictJsonError:
        return None
    if isinstance(body, list):
        kept = [event for event in body if not is_of(dumps(event).encode())]
        return dumps(kept).encode() if kept else None
    if isinstance(body, dict) and isinstance(body.get(BATCH), list):
        kept = [event for event in body[BATCH] if not is_of(dumps(event).encode())]
        rest = dumps({**body, BATCH: kept}).encode()
        return rest if kept and not is_of(rest) else None
    return None
