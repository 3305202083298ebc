"""Deletes people's rows from the tables that the service writes: raw and quarantine.

The rows are found by reading their columns, and taken out file by file (`rewriting`): the log holds
the text of every predicate, so a deletion by one would name a person. What is about to go is
counted per batch first, so that the ledger still adds up (`storage.removals`). What tells of a row
by its batch and line alone (ledger, outcomes of replays) names nobody and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from secrets import randbits
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.identifying import ANONYMOUS
from lakehouse.contracts.tables import (
    OPS_REMOVALS,
    PERSONAL_TABLES,
    RAW_QUARANTINE,
    SERVICE_TABLES,
    TableSpec,
)
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError
from lakehouse.privacy.devices import (
    OWNER,
    attributed_rows,
    note_shared,
    own_devices,
    shared_devices,
)
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.quarantined import RECORDS, RecordSearch
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.rewriting import DAY, Mask, Rewritten, find_rows, take_out
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.removals import ERASED, Removal, forget_undone, record_removals
from lakehouse.waiting import retry_times

if TYPE_CHECKING:
    from lakehouse.control.erasure_subjects import Subject

PLACE: Final = ("batch_id", "source_ref")
TRIES: Final = 20
REQUESTS: Final = "requests"
"""Column of a found row: the requests that it is of, joined."""
_AND: Final = "+"


@dataclass(frozen=True)
class People:
    """Whom an erasure is about: subjects and tied anonymous ids, with the hash and request of each.

    A text may come in several requests: its rows count for each of them.
    """

    tenant_id: str
    subjects: Mapping[str, tuple[Subject, ...]] = field(repr=False)
    tied: Mapping[str, tuple[Subject, ...]] = field(repr=False)

    @classmethod
    def of(cls, tenant_id: str, found: Iterable[Subject]) -> People:
        """Sort subjects from what is tied to them."""
        subjects: dict[str, tuple[Subject, ...]] = {}
        tied: dict[str, tuple[Subject, ...]] = {}
        for one in found:
            texts = subjects if one.tied_to is None else tied
            texts[one.text] = (*texts.get(one.text, ()), one)
        return cls(tenant_id, subjects, tied)

    @property
    def patterns(self) -> IdentifierPatterns:
        """The subjects, to look for."""
        return IdentifierPatterns(self.subjects)

    @property
    def request_ids(self) -> list[str]:
        """The requests, in order."""
        return sorted({one.request_id for each in self.subjects.values() for one in each})

    @property
    def requests(self) -> dict[str, frozenset[str]]:
        """Each subject with the requests that name it."""
        return {t: frozenset(one.request_id for one in each) for t, each in self.subjects.items()}

    def requests_of(self, subjects: Iterable[str], tied: Iterable[str] = ()) -> set[str]:
        """Return the requests that are about any of these texts."""
        named = {one.request_id for text in subjects for one in self.subjects.get(text, ())}
        return named | {one.request_id for text in tied for one in self.tied.get(text, ())}


def tied_ids(lake: Lake, people: People) -> list[tuple[str, Subject]]:
    """Return the anonymous ids that are subjects' alone, with each whose they are."""
    alone = own_devices(lake, people.tenant_id, people.subjects)
    return [(anonymous, one) for anonymous, user in alone for one in people.subjects[user]]


def delete_rows(
    lake: Lake,
    people: People,
    now: datetime,
    tenant: TenantSettings | MappingHistory | None = None,
) -> Rewritten:
    """Delete every row of these people; return what was rewritten. Safe to repeat.

    `tenant`: how the tenant's records are read. May run beside writers. Call it behind the fence
    (`fence.raise_fence`): then no row of theirs can come after it. Raises `EtaError` when others
    rewrote the same files each time.
    """
    shared = shared_devices(lake, people.tenant_id, people.subjects)
    note_shared(lake, people.tenant_id, shared, now)
    attributed = attributed_rows(lake, people.tenant_id, people.subjects, shared)
    cost = [
        delete_found(lake, spec, people, now, _subject_search(spec, people, attributed))
        for spec in PERSONAL_TABLES
    ]
    stored = Quarantine(cache(lake.table), people.tenant_id).stored
    search = _record_search(people, tenant or TenantSettings())
    cost.append(delete_found(lake, RAW_QUARANTINE, people, now, search, stored))
    return Rewritten(sum(one.files for one in cost), sum(one.bytes for one in cost))


def erased_rows(lake: Lake, tenant_id: str, request_ids: Sequence[str]) -> dict[str, Counter[str]]:
    """Return table → request → rows that were deleted, over every attempt, killed ones too.

    A row of people of several requests counts for each of them.
    """
    tables = cache(lake.table)
    columns = "table_name, removal_id, attempt, row_count"
    noted = query(tables(OPS_REMOVALS), columns, tenant_id, f"reason = '{ERASED}'")
    found: dict[str, Counter[str]] = {
        spec.full_name: Counter() for spec in (*PERSONAL_TABLES, RAW_QUARANTINE)
    }
    specs, wanted = {spec.full_name: spec for spec in SERVICE_TABLES}, frozenset(request_ids)
    for name, removal_id, attempt, count in noted.iter_rows():
        mine = wanted.intersection(removal_id.split(":")[1].split(_AND))
        if mine and tables(specs[name]).transaction_version(removal_id) == attempt:
            # of the catalogue only rows go that mention somebody, if at all
            found.setdefault(name, Counter()).update(dict.fromkeys(mine, count))
    return found


@dataclass(frozen=True, slots=True)
class RowSearch:
    """Which columns to read, and which of the rows to take out."""

    columns: Sequence[str]
    find: Callable[[pa.Table], tuple[Mask, pl.DataFrame]]


def delete_found(
    lake: Lake,
    spec: TableSpec,
    people: People,
    now: datetime,
    search: RowSearch,
    stored: pl.DataFrame | None = None,
) -> Rewritten:
    """Take rows out of one table; return what was rewritten.

    `stored`: the batches and attempts whose rows the ledger counts; None when it counts all.
    """
    # Expiry counts what it removes in the same way, and drops what killed removals have counted.
    with lake.lock(f"expiry of {spec.full_name}"):
        forget_undone(lake, spec, now)
        return _delete_alone(lake, spec, people, now, search, stored)


def _delete_alone(
    lake: Lake,
    spec: TableSpec,
    people: People,
    now: datetime,
    search: RowSearch,
    stored: pl.DataFrame | None,
) -> Rewritten:
    def delete() -> Rewritten:
        table = lake.table(spec)
        matches = find_rows(table, people.tenant_id, search.columns, search.find)
        if not matches:
            return Rewritten()
        found = pl.concat(
            match.told.with_columns(
                ingest_date=pl.lit(date.fromisoformat(match.file.partition_values[DAY]))
            )
            for match in matches
        )
        known = found if stored is None else found.join(stored, on=stored.columns, how="semi")
        transactions = _note(lake, spec, people, known, now)
        return take_out(table, spec, people.tenant_id, matches, transactions)

    failed = EtaError(
        f"rows could not be deleted from {spec.full_name}: its files kept being rewritten",
        remedy="nothing is lost; the next `eta privacy work` tries again",
    )
    # a compaction or an expiry may come in between
    return retry_times(delete, CommitFailedError, TRIES, failed=failed)


def _note(
    lake: Lake, spec: TableSpec, people: People, known: pl.DataFrame, now: datetime
) -> dict[str, int]:
    """Count per batch what is about to go; return the transactions that confirm it.

    Each row is counted once: under the request that it is of, or under all of several together.
    """
    removals = []
    for (requests,), rows in known.group_by(REQUESTS, maintain_order=True):
        attempt = randbits(62) + 1
        removal_id = f"{ERASED}:{requests}:{spec.full_name}:{attempt:016x}"
        counts = rows.group_by("ingest_date", "batch_id").agg(row_count=pl.len().cast(pl.Int64))
        counts = counts.with_columns(tenant_id=pl.lit(people.tenant_id))
        removals.append(Removal(removal_id, attempt, counts))
    if removals:
        record_removals(lake, spec, removals, reason=ERASED, now=now)
    return {one.removal_id: one.attempt for one in removals}


def of_requests(people: People, found: Iterable[tuple[Iterable[str], Iterable[str]]]) -> pl.Series:
    """Return the requests of each row, joined: `found` has its subjects and its tied ids.

    A row of which that cannot be said counts for all of them.
    """
    joined = [_AND.join(sorted(people.requests_of(*each)) or people.request_ids) for each in found]
    return pl.Series(REQUESTS, joined, pl.String)


def _subject_search(spec: TableSpec, people: People, attributed: pl.DataFrame) -> RowSearch:
    columns = list(spec.subjects)
    owned = attributed if ANONYMOUS in columns else attributed.clear()

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows).join(owned, on=PLACE, how="left", maintain_order="left")
        has_user = pl.col("user_id").fill_null("") != ""
        frame = frame.with_columns(pl.when(~has_user).then(OWNER).alias(OWNER))
        is_of = frame.select(_is_of(people, columns) | pl.col(OWNER).is_not_null()).to_series()
        mine = frame.filter(is_of)
        ids = mine.select(OWNER, *columns).unique()
        people_of = (_people_of(row[1:], owner=row[0]) for row in ids.iter_rows())
        ids = ids.with_columns(of_requests(people, people_of))
        return is_of.to_numpy(), mine.join(ids, on=ids.columns[:-1], nulls_equal=True).select(
            *PLACE, REQUESTS
        )

    return RowSearch([*PLACE, *columns], find)


def _record_search(people: People, tenant: TenantSettings | MappingHistory) -> RowSearch:
    """Records of the quarantine that name one of these people."""
    look = RecordSearch(people.patterns, Readers(tenant), frozenset(people.tied))

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        mask = look.names(rows)
        mine = rows.filter(pa.array(mask))
        found = pl.DataFrame(mine.select([*PLACE, "attempt"]))
        return mask, found.with_columns(of_requests(people, look.people(mine)))

    return RowSearch([*PLACE, "attempt", *RECORDS], find)


def _people_of(
    ids: tuple[str | None, ...], owner: str | None = None
) -> tuple[list[str], list[str]]:
    """Return the ids by which a row is of somebody, and those that count where no user is."""
    user, *others = ids
    anonymous = [text for text in others if text is not None]
    named = [text for text in (user, owner) if text is not None]
    return [*named, *anonymous], [] if user else anonymous


def _is_of(people: People, columns: Sequence[str]) -> pl.Expr:
    """Whether a row is of one of these people."""
    subjects = pl.Series(list(people.subjects), dtype=pl.String).implode()
    is_of = pl.any_horizontal(pl.col(name).is_in(subjects).fill_null(False) for name in columns)
    if people.tied and "anonymous_id" in columns:
        tied = pl.Series(list(people.tied), dtype=pl.String).implode()
        has_user = pl.col("user_id").fill_null("") != ""
        is_of |= ~has_user & pl.col("anonymous_id").is_in(tied).fill_null(False)
    return is_of
