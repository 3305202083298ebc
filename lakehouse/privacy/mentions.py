"""Rows that only mention an erased person, under a tenant's policy for them.

They are looked for in the free texts of raw tables and in quarantined records. `delete_row` deletes
them and counts them with the rows of each request whose people they mention. `redact` writes
`(erased)` in the place of the identifier: the rows stay, with their ids, places and times. Tables
of the models follow by the next run. Identifiers of fewer than eight bytes are in no mention
(`patterns`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.fields import FieldKind
from lakehouse.contracts.strict_json import Number, StrictJsonError, dumps, loads
from lakehouse.contracts.tables import RAW_QUARANTINE, RAW_TABLES, TableSpec
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.privacy.database import ERASED
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.raw_tables import PLACE, TRIES, People, RowSearch, delete_found, of_requests
from lakehouse.privacy.rewriting import Mask, Rewritten, find_rows, take_out
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import Quarantine
from lakehouse.waiting import retry_times

FREE_TEXTS: Final[dict[TableSpec, tuple[str, ...]]] = {
    **{RAW_TABLES[kind]: texts for kind in DataType if (texts := kind.definition.free_texts)},
    RAW_QUARANTINE: ("raw",),
}
"""The columns whose texts may be about anything."""
FREE_COLUMNS: Final = frozenset(name for names in FREE_TEXTS.values() for name in names)
_JSON: Final = frozenset(
    one.name
    for kind in DataType
    for one in kind.definition.fields
    if one.kind is FieldKind.JSON_OBJECT
)


def delete_mentions(lake: Lake, people: People, now: datetime) -> Rewritten:
    """Delete the rows that mention one of these people. Safe to repeat; see `delete_rows`."""
    cost = []
    for spec, columns in FREE_TEXTS.items():
        stored = None
        if spec is RAW_QUARANTINE:
            stored = Quarantine(cache(lake.table), people.tenant_id).stored
        search = _search(spec, columns, people)
        cost.append(delete_found(lake, spec, people, now, search, stored))
    return Rewritten(sum(one.files for one in cost), sum(one.bytes for one in cost))


def redact_mentions(lake: Lake, people: People) -> Rewritten:
    """Write the rows that mention one of these people without them. Safe to repeat."""
    cost = [_redact(lake, spec, columns, people) for spec, columns in FREE_TEXTS.items()]
    return Rewritten(sum(one.files for one in cost), sum(one.bytes for one in cost))


def _redact(lake: Lake, spec: TableSpec, columns: Sequence[str], people: People) -> Rewritten:
    patterns, search = people.patterns, _search(spec, columns, people)

    def redact() -> Rewritten:
        table = lake.table(spec)
        matches = find_rows(table, people.tenant_id, search.columns, search.find)
        if not matches:
            return Rewritten()
        return take_out(
            table,
            spec,
            people.tenant_id,
            matches,
            {},
            lambda rows: _redacted(rows, columns, patterns),
        )

    failed = EtaError(
        f"rows of {spec.full_name} could not be redacted: its files kept being rewritten",
        remedy="nothing is lost; the next `eta privacy work` tries again",
    )
    # a compaction or an expiry may come in between
    return retry_times(redact, CommitFailedError, TRIES, failed=failed)


def _search(spec: TableSpec, columns: Sequence[str], people: People) -> RowSearch:
    patterns = people.patterns
    told_of = [*PLACE, *(["attempt"] if spec is RAW_QUARANTINE else [])]

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        mask = np.zeros(rows.num_rows, dtype=bool)
        mentioned: dict[int, set[str]] = {}
        for name in columns:
            for row, texts in patterns.people(rows.column(name).combine_chunks()).items():
                mentioned.setdefault(row, set()).update(texts)
        mask[sorted(mentioned)] = True
        told = pl.DataFrame(rows.select(told_of)).filter(pl.Series(mask))
        mine = [(texts, ()) for _, texts in sorted(mentioned.items())]
        return mask, told.with_columns(of_requests(people, mine))

    return RowSearch([*told_of, *columns], find)


def _redacted(rows: pa.Table, columns: Sequence[str], patterns: IdentifierPatterns) -> pa.Table:
    for name in columns:
        at, field = rows.schema.get_field_index(name), rows.schema.field(name)
        clean = _clean_json if name in _JSON else _clean
        values = [
            None if value is None else clean(value, patterns)
            for value in rows.column(name).to_pylist()
        ]
        rows = rows.set_column(at, field, pa.array(values, field.type))
    return rows


def _clean(value: str | bytes, patterns: IdentifierPatterns) -> str | bytes:
    """Return a text with every mention replaced; overlapping ones as one."""
    data = value.encode() if isinstance(value, str) else value
    parts, at = [], 0
    for start, end in sorted(patterns.spans(data)):
        if end <= at:
            continue
        if start >= at:
            parts += [data[at:start], ERASED.encode()]
        at = end
    clean = b"".join([*parts, data[at:]])
    return clean.decode(errors="replace") if isinstance(value, str) else clean


def _clean_json(text: str, patterns: IdentifierPatterns) -> str:
    """Return a JSON object whose texts, names and numbers mention nobody."""

    def walk(value: Any) -> Any:
        if isinstance(value, Number):
            return ERASED if value in patterns.texts else value
        if isinstance(value, str):
            return _clean(value, patterns)
        if isinstance(value, list):
            return [walk(one) for one in value]
        if isinstance(value, dict):
            return {walk(name): walk(inner) for name, inner in value.items()}
        return value

    try:
        return dumps(walk(loads(text.encode()).value))
    except StrictJsonError:
        return str(_clean(text, patterns))
