"""Deletes people's rows from the tables that the service writes: raw, quarantine, outcomes.

The rows are found by reading their columns, and taken out file by file (`rewriting`): the log holds
the text of every predicate, so a deletion by one would name a person. What is about to go is
counted per batch first, so that the ledger still adds up (`storage.removals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from secrets import randbits
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import (
    OPS_REPLAY_OUTCOMES,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_QUARANTINE,
    TableSpec,
)
from lakehouse.errors import EtaError
from lakehouse.privacy.needles import Needles
from lakehouse.privacy.rewriting import Mask, Rewritten, find_rows, take_out
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.removals import ERASED, record_removal
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


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion did: table → request → rows, and what it rewrote."""

    rows: Mapping[str, Counter[str]]
    files: int
    bytes: int


def delete_rows(settings: LakeSettings, people: People, now: datetime) -> Deleted:
    """Delete every row of these people. Safe to repeat, and beside writers.

    Call it behind the fence (`fence.raise_fence`): then no row of theirs can come after it.
    Raises `EtaError` when others rewrote the same files each time.
    """
    rows: dict[str, Counter[str]] = {}
    cost = []
    for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM):
        done = _delete(settings, spec, people, now, _subject_search(spec, people))
        rows[spec.full_name] = done[0]
        cost.append(done[1])
    needles = Needles([*people.subjects, *people.tied])
    places = _quarantined_places(settings, people, needles)
    if places.height:
        outcomes = _place_search(places)
        cost.append(_delete(settings, OPS_REPLAY_OUTCOMES, people, now, outcomes, None)[1])
    still_open = _open_places(settings, people) if places.height else places
    search = _mention_search(people, needles)
    done = _delete(settings, RAW_QUARANTINE, people, now, search, still_open)
    rows[RAW_QUARANTINE.full_name] = done[0]
    cost.append(done[1])
    return Deleted(rows, sum(one.files for one in cost), sum(one.bytes for one in cost))


@dataclass(frozen=True, slots=True)
class _Search:
    """Which columns to read, and which of the rows to take out."""

    columns: Sequence[str]
    find: Callable[[pa.Table], tuple[Mask, pl.DataFrame]]


ALL: Final = pl.DataFrame(schema=dict.fromkeys(PLACE, pl.String))
"""Stands for: count every row."""


def _delete(
    settings: LakeSettings,
    spec: TableSpec,
    people: People,
    now: datetime,
    search: _Search,
    counted: pl.DataFrame | None = ALL,
) -> tuple[Counter[str], Rewritten]:
    """Take rows out of one table; return rows per request, and what was rewritten.

    `counted`: the places of the rows whose removal the ledger has to know of; None for none.
    """
    for _ in range(TRIES):
        table = open_table(settings, spec)
        matches = find_rows(table, people.tenant_id, search.columns, search.find)
        if not matches:
            return Counter(), Rewritten()
        found = pl.concat(
            match.told.with_columns(ingest_date=pl.lit(date.fromisoformat(match.file.ingest_date)))
            for match in matches
        )
        known = found.clear() if counted is None else found
        if counted is not None and counted is not ALL:
            known = found.unique(PLACE).join(counted, on=PLACE, how="semi")
        transactions = _note(settings, spec, people, known, now)
        try:
            done = take_out(table, spec, people.tenant_id, matches, transactions)
        except CommitFailedError as error:
            failure = error  # a compaction or an expiry came in between
            continue
        return Counter(found["request_id"].to_list()), done
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
        attempt, removal_id = randbits(62) + 1, f"{ERASED}:{request_id}:{spec.full_name}"
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


def _subject_search(spec: TableSpec, people: People) -> _Search:
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

    return _Search([*PLACE, *columns], find)


def _mention_search(people: People, needles: Needles) -> _Search:
    first = people.request_ids[0]

    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        mask = np.zeros(rows.num_rows, dtype=bool)
        mask[sorted(needles.words(rows.column("raw").combine_chunks()))] = True
        told = pl.DataFrame(rows.select(PLACE)).filter(pl.Series(mask))
        return mask, told.with_columns(request_id=pl.lit(first))

    return _Search([*PLACE, "raw"], find)


def _place_search(places: pl.DataFrame) -> _Search:
    def find(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows)
        hits = frame.with_row_index("row").join(places, on=PLACE, how="semi")
        mask = np.zeros(frame.height, dtype=bool)
        mask[hits["row"].to_numpy()] = True
        return mask, hits.select(*PLACE, request_id=pl.lit(""))

    return _Search(PLACE, find)


def _quarantined_places(settings: LakeSettings, people: People, needles: Needles) -> pl.DataFrame:
    search = _mention_search(people, needles)
    table = open_table(settings, RAW_QUARANTINE)
    matches = find_rows(table, people.tenant_id, search.columns, search.find)
    return pl.concat([ALL, *(match.told.select(PLACE) for match in matches)]).unique()


def _open_places(settings: LakeSettings, people: People) -> pl.DataFrame:
    """Return the places of quarantined records that are open: those the ledger counts as such."""
    quarantine = Quarantine(table_opener(settings), people.tenant_id)
    return pl.concat([ALL, *(rows.select(PLACE) for rows in quarantine.rows())])


def _is_of(people: People, columns: Sequence[str]) -> pl.Expr:
    """Whether a row is of one of these people."""
    subjects = pl.Series(list(people.subjects), dtype=pl.String).implode()
    is_of = pl.any_horizontal(pl.col(name).is_in(subjects).fill_null(False) for name in columns)
    if people.tied and "anonymous_id" in columns:
        tied = pl.Series(list(people.tied), dtype=pl.String).implode()
        has_user = pl.col("user_id").fill_null("") != ""
        is_of |= ~has_user & pl.col("anonymous_id").is_in(tied).fill_null(False)
    return is_of
