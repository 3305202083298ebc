"""Deletes people's rows from the tables that the service writes: raw and quarantine.

The rows are found by reading their columns, and taken out file by file (`rewriting`): the log holds
the text of every predicate, so a deletion by one would name a person. What is about to go is
counted per batch first, so that the ledger still adds up (`storage.removals`). What tells of a row
by its batch and line alone (ledger, outcomes of replays) names nobody and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from secrets import randbits
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import (
    OPS_REMOVALS,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_QUARANTINE,
    SERVICE_TABLES,
    TableSpec,
)
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.needles import Needles
from lakehouse.privacy.quarantined import RECORDS, RecordSearch
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.rewriting import DAY, Mask, Rewritten, find_rows, take_out
from lakehouse.storage.care import one_at_a_time
from lakehouse.storage.ledger import query
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.removals import ERASED, forget_undone, record_removal
from lakehouse.storage.tables import open_table, table_opener

if TYPE_CHECKING:
    from lakehouse.control.erasures import Subject
    from lakehouse.settings import LakeSettings

PLACE: Final = ("batch_id", "source_ref")
TRIES: Final = 20


@dataclass(frozen=True)
class People:
    """Whom an erasure is about: subjects and tied anonymous ids, with the hash and request of each.

    A text may come in several requests: its rows count for the first.
    """

    tenant_id: str
    subjects: Mapping[str, Subject] = field(repr=False)
    tied: Mapping[str, Subject] = field(repr=False)

    @classmethod
    def of(cls, tenant_id: str, found: Sequence[Subject]) -> People:
        """Sort subjects from what is tied to them."""
        subjects = {one.text: one for one in reversed(found) if one.tied_to is None}
        tied = {one.text: one for one in reversed(found) if one.tied_to is not None}
        return cls(tenant_id, subjects, {t: one for t, one in tied.items() if t not in subjects})

    @property
    def needles(self) -> Needles:
        """The subjects, to look for."""
        return Needles(self.subjects)

    @property
    def request_ids(self) -> list[str]:
        """The requests, in order."""
        return sorted({one.request_id for one in self.subjects.values()})


def tied_ids(settings: LakeSettings, people: People) -> dict[str, Subject]:
    """Return the anonymous ids that stand beside a subject in a clickstream row."""
    columns = ["user_id", "anonymous_id"]

    def search(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows)
        is_of = frame.select(_is_of(people, columns)).to_series()
        return is_of.to_numpy(), frame.filter(is_of)

    table = open_table(settings, RAW_CLICKSTREAM)
    found = find_rows(table, people.tenant_id, columns, search)
    pairs = {pair for match in found for pair in match.told.select(columns).iter_rows()}
    return {
        anonymous: people.subjects[user]
        for user, anonymous in pairs
        if anonymous is not None and user in people.subjects and anonymous not in people.subjects
    }


def delete_rows(
    settings: LakeSettings,
    people: People,
    now: datetime,
    tenant: TenantSettings | MappingHistory | None = None,
) -> Rewritten:
    """Delete every row of these people; return what was rewritten. Safe to repeat.

    `tenant`: how the tenant's records are read. May run beside writers. Call it behind the fence
    (`fence.raise_fence`): then no row of theirs can come after it. Raises `EtaError` when others
    rewrote the same files each time.
    """
    cost = [
        delete_found(settings, spec, people, now, _subject_search(spec, people))
        for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM)
    ]
    stored = Quarantine(table_opener(settings), people.tenant_id).stored
    search = _record_search(people, tenant or TenantSettings())
    cost.append(delete_found(settings, RAW_QUARANTINE, people, now, search, stored))
    return Rewritten(sum(one.files for one in cost), sum(one.bytes for one in cost))


def erased_rows(
    settings: LakeSettings, tenant_id: str, request_ids: Sequence[str]
) -> dict[str, Counter[str]]:
    """Return table → request → rows that were deleted, over every attempt, killed ones too."""
    tables = table_opener(settings)
    columns = "table_name, removal_id, attempt, row_count"
    noted = query(tables, OPS_REMOVALS, columns, tenant_id, f"reason = '{ERASED}'")
    found: dict[str, Counter[str]] = {
        spec.full_name: Counter() for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM, RAW_QUARANTINE)
    }
    specs = {spec.full_name: spec for spec in SERVICE_TABLES}
    for name, removal_id, attempt, count in noted.iter_rows():
        request_id = removal_id.split(":")[1]
        is_done = request_id in request_ids and (
            tables(specs[name]).transaction_version(removal_id) == attempt
        )
        if is_done:  # of the catalogue only rows go that mention somebody, if at all
            found.setdefault(name, Counter())[request_id] += count
    return found


@dataclass(frozen=True, slots=True)
class RowSearch:
    """Which columns to read, and which of the rows to take out."""

    columns: Sequence[str]
    find: Callable[[pa.Table], tuple[Mask, pl.DataFrame]]


def delete_found(
    settings: LakeSettings,
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
    with one_at_a_time(settings, f"expiry of {spec.full_name}"):
        forget_undone(settings, lambda s: open_table(settings, s), spec, now)
        return _delete_alone(settings, spec, people, now, search, stored)


def _delete_alone(
    settings: LakeSettings,
    spec: TableSpec,
    people: People,
    now: datetime,
    search: RowSearch,
    stored: pl.DataFrame | None,
) -> Rewritten:
    for _ in range(TRIES):
        table = open_table(settings, spec)
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
        transactions = _note(settings, spec, people, known, now)
        try:
            return take_out(table, spec, people.tenant_id, matches, transactions)
        except CommitFailedError as error:
            failure = error  # a compaction or an expiry came in between
    raise EtaError(
        f"rows could not be deleted from {spec.full_name}: its files kept being rewritten",
        remedy="nothing is lost; the next `eta privacy work` tries again",
    ) from failure


def _note(
    settings: LakeSettings, spec: TableSpec, people: People, known: pl.DataFrame, now: datetime
) -> dict[str, int]:
    """Count per request and batch what is about to go; return the transactions that confirm it."""
    transactions = {}
    for (request_id,), rows in known.group_by("request_id", maintain_order=True):
        attempt = randbits(62) + 1
        removal_id = f"{ERASED}:{request_id}:{spec.full_name}:{attempt:016x}"
        counts = rows.group_by("ingest_date", "batch_id").agg(row_count=pl.len().cast(pl.Int64))
        record_removal(
            settings,
            spec,
            counts.with_columns(tenant_id=pl.lit(people.tenant_id)),
            reason=ERASED,
            removal_id=removal_id,
            attempt=attempt,
            now=now,
        )
        transactions[removal_id] = attempt
    return transactions


def _subject_search(spec: TableSpec, people: People) -> RowSearch:
    columns = ["user_id", *(["anonymous_id"] if spec is RAW_CLICKSTREAM else [])]
    owners = {text: one.request_id for text, one in {**people.tied, **people.subjects}.items()}

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows)
        is_of = frame.select(_is_of(people, columns)).to_series()
        owner = pl.coalesce(
            pl.col(name).replace_strict(owners, default=None, return_dtype=pl.String)
            for name in columns
        )
        return is_of.to_numpy(), frame.filter(is_of).select(*PLACE, request_id=owner)

    return RowSearch([*PLACE, *columns], find)


def _record_search(people: People, tenant: TenantSettings | MappingHistory) -> RowSearch:
    """Records of the quarantine that name one of these people; they count for the first."""
    first = people.request_ids[0]
    look = RecordSearch(people.needles, Readers(tenant), frozenset(people.tied))

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        mask = look.names(rows)
        told = pl.DataFrame(rows.select([*PLACE, "attempt"])).filter(pl.Series(mask))
        return mask, told.with_columns(request_id=pl.lit(first))

    return RowSearch([*PLACE, "attempt", *RECORDS], find)


def _is_of(people: People, columns: Sequence[str]) -> pl.Expr:
    """Whether a row is of one of these people."""
    subjects = pl.Series(list(people.subjects), dtype=pl.String).implode()
    is_of = pl.any_horizontal(pl.col(name).is_in(subjects).fill_null(False) for name in columns)
    if people.tied and "anonymous_id" in columns:
        tied = pl.Series(list(people.tied), dtype=pl.String).implode()
        has_user = pl.col("user_id").fill_null("") != ""
        is_of |= ~has_user & pl.col("anonymous_id").is_in(tied).fill_null(False)
    return is_of
