"""Anonymous ids of the people of an erasure: which are theirs alone, and which they share.

An anonymous id is a device or a browser. One that stands beside nobody else goes with its person,
unless another user is called so: in the models the rows of that user and of the device are one's.
What has no user on a shared one may be the other's and stays, but the models must not take it for
the other's alone, once nothing tells of the first any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lakehouse.contracts.identifying import ANONYMOUS, USER, names_nobody
from lakehouse.contracts.tables import OPS_SHARED_DEVICES, PERSONAL_TABLES
from lakehouse.contracts.tenant import check_owner
from lakehouse.privacy.rewriting import Mask, find_rows
from lakehouse.storage.lake import Lake

OWNER: Final = "owner"
"""Column of a row without a user: whose it is by a tie."""
STAGED_EVENTS: Final = "staging/stg_clickstream"
TIES: Final = "staging/stg_identity_ties"
_COLUMNS: Final = (USER, ANONYMOUS)


def own_devices(lake: Lake, tenant_id: str, subjects: Collection[str]) -> set[tuple[str, str]]:
    """Return the anonymous ids that are one subject's or several's alone, each with one of them."""
    pairs, others = _devices(lake, tenant_id, subjects)
    return {(anonymous, user) for anonymous, user in pairs if anonymous not in others}


def shared_devices(lake: Lake, tenant_id: str, subjects: Collection[str]) -> set[str]:
    """Return the anonymous ids that subjects share with somebody else.

    Not those that changed hands: one user had been untied before the other came.
    """
    _, others = _devices(lake, tenant_id, subjects)
    return set(others) - _handed_over(lake, tenant_id, subjects, others)


def note_shared(lake: Lake, tenant_id: str, devices: Collection[str], now: datetime) -> None:
    """Note shared devices, before what tells so is deleted. Safe to repeat."""
    if devices:
        rows = [
            {"tenant_id": tenant_id, "device_hash": device_hash(tenant_id, one), "known_at": now}
            for one in sorted(devices)
        ]
        table = pa.Table.from_pylist(rows, OPS_SHARED_DEVICES.schema)
        write_deltalake(lake.table(OPS_SHARED_DEVICES), table, mode="append")


def device_hash(tenant_id: str, anonymous_id: str) -> str:
    """Return what stands for a device in `ops.shared_devices`; `stg_identity_ties` says it too."""
    return hashlib.sha256(f"{tenant_id}|{anonymous_id}".encode()).hexdigest()


def attributed_rows(
    lake: Lake, tenant_id: str, subjects: Collection[str], shared: Collection[str]
) -> pl.DataFrame:
    """Return the place and `owner` of events that the models say are a subject's, by a tie.

    They are found on a device that changed hands, too, which is no subject's alone; not on `shared`
    ones, which may be such since the models ran.
    """
    table = lake.find(STAGED_EVENTS)
    if table is None or ANONYMOUS not in {column.name for column in table.schema().fields}:
        return pl.DataFrame(schema=dict.fromkeys(("batch_id", "source_ref", OWNER), pl.String))
    text = (
        f"select distinct batch_id, source_ref, user_id as {OWNER}, anonymous_id from held "  # noqa: S608
        f"where tenant_id = '{check_owner(tenant_id)}' and anonymous_id is not null"
    )
    rows = _read(table, text)
    is_of = pl.col(OWNER).is_in(_listed(subjects)) & ~pl.col(ANONYMOUS).is_in(_listed(shared))
    return rows.filter(is_of.fill_null(value=False)).drop(ANONYMOUS)


def _devices(
    lake: Lake, tenant_id: str, subjects: Collection[str]
) -> tuple[set[tuple[str, str]], dict[str, set[str]]]:
    """Return the subjects' anonymous ids, each with a subject, and who else has these.

    Who stands beside one in a row, or is called like it; ids of nobody (`names_nobody`) are neither
    a device nor somebody else, as in the models.
    """
    is_subject = pl.col(USER).is_in(_listed(subjects))
    pairs = {
        (anonymous, user)
        for user, anonymous in _pairs(lake, tenant_id, is_subject)
        if anonymous not in subjects and not (names_nobody(anonymous) or names_nobody(user))
    }
    others: dict[str, set[str]] = {}
    if pairs:
        devices = {anonymous for anonymous, _ in pairs}
        is_theirs = pl.col(ANONYMOUS).is_in(_listed(devices))
        is_other = is_theirs & (pl.col(USER) != "") & ~is_subject
        for user, anonymous in _pairs(lake, tenant_id, is_other):
            if names_nobody(user):
                continue
            others.setdefault(anonymous, set()).add(user)
        for user in _users_called(lake, tenant_id, devices):
            others.setdefault(user, set()).add(user)
    return pairs, others


def _handed_over(
    lake: Lake, tenant_id: str, subjects: Collection[str], others: Mapping[str, set[str]]
) -> set[str]:
    """Return those devices that no subject had, by the models' ties, while somebody else had it.

    A device with a user of whom the models do not know yet is none.
    """
    if not others or (table := lake.find(TIES)) is None:
        return set()
    text = (
        "select anonymous_id, user_id, tied_at from held "  # noqa: S608
        f"where tenant_id = '{check_owner(tenant_id)}'"
    )
    rows = _read(table, text).filter(pl.col(ANONYMOUS).is_in(_listed(others)))
    is_subject = pl.col(USER).is_in(_listed(subjects)).fill_null(value=False)
    spans = (
        rows.sort(ANONYMOUS, "tied_at", USER, nulls_last=False)
        .with_columns(span=pl.col(USER).is_null().cum_sum().over(ANONYMOUS))
        .group_by(ANONYMOUS, "span")
        .agg(
            has_subject=is_subject.any(),
            has_other=(pl.col(USER).is_not_null() & ~is_subject).any(),
            users=pl.col(USER).drop_nulls(),
        )
    )
    had = spans.filter("has_subject")
    apart = set(had[ANONYMOUS]) - set(had.filter("has_other")[ANONYMOUS])
    known: dict[str, set[str]] = {}
    for anonymous, users in spans.select(ANONYMOUS, "users").iter_rows():
        known.setdefault(anonymous, set()).update(users)
    return {anonymous for anonymous in apart if others[anonymous] <= known[anonymous]}


def _read(table: DeltaTable, text: str) -> pl.DataFrame:
    """Return what a statement selects `from held`."""
    return pl.DataFrame(QueryBuilder().register("held", table).execute(text).read_all())


def _pairs(lake: Lake, tenant_id: str, condition: pl.Expr) -> set[tuple[str, str]]:
    """Return users and anonymous ids of the tenant's rows with both for which a condition holds."""
    is_found = (condition & pl.all_horizontal(pl.col(_COLUMNS).is_not_null())).fill_null(
        value=False
    )

    def search(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows)
        mask = frame.select(is_found).to_series()
        return mask.to_numpy(), frame.filter(mask)

    return {
        pair
        for spec in PERSONAL_TABLES
        if set(_COLUMNS) <= set(spec.subjects)
        for match in find_rows(lake.table(spec), tenant_id, list(_COLUMNS), search)
        for pair in match.told.select(_COLUMNS).iter_rows()
    }


def _users_called(lake: Lake, tenant_id: str, names: Collection[str]) -> set[str]:
    """Return those of the names that users of the tenant have."""
    is_one = pl.col(USER).is_in(_listed(names)).fill_null(value=False)

    def search(rows: pa.Table) -> tuple[Mask, pl.DataFrame]:
        frame = pl.DataFrame(rows)
        mask = frame.select(is_one).to_series()
        return mask.to_numpy(), frame.filter(mask).unique()

    return {
        user
        for spec in PERSONAL_TABLES
        for match in find_rows(lake.table(spec), tenant_id, [USER], search)
        for user in match.told[USER]
    }


def _listed(texts: Iterable[str]) -> pl.Expr:
    return pl.lit(pl.Series(list(texts), dtype=pl.String).implode())
