"""Deletes raw rows by their age: out of the table first, from storage once nobody reads them.

Rows leave by whole days of arrival, which are partitions: the commit names files and rewrites none.
It says that no data changed (`dataChange` false), so that the models, which have taken the rows in
long ago, do not take them out again; what they hold stays (docs/adr/0021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from secrets import randbits
from typing import Final

import polars as pl
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.retention import DataClass, RetentionPolicy
from lakehouse.contracts.tables import OPS_REMOVALS, TableSpec
from lakehouse.contracts.tenant import check_owner
from lakehouse.errors import EtaError
from lakehouse.retention.folders import EXPIRING
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.storage.maintenance import live_files
from lakehouse.storage.removals import EXPIRED, forget_undone, record_removal
from lakehouse.storage.staging import DataFile, commit_files
from lakehouse.storage.stores import table_filesystem
from lakehouse.waiting import retry_times

READER_TIME: Final = timedelta(hours=24)
"""Longest time that a reader may stay on a version: so long expired files stay in storage."""
TRIES: Final = 10
_ATTEMPT_BITS: Final = 62


@dataclass(frozen=True, slots=True)
class Expired:
    """What left a tenant's table: days of arrival before `before`, that day not included."""

    table: str
    tenant_id: str
    before: date
    rows: int
    files: int


def first_kept_day(policy: RetentionPolicy, today: date) -> date:
    """Return the oldest day of arrival whose raw rows stay."""
    return today - timedelta(days=policy.tiers(DataClass.RAW_INTERACTIONS).delete_days)


def expire_rows(
    lake: Lake,
    tenants: Mapping[str, RetentionPolicy],
    now: datetime,
    *,
    tenant_id: str | None = None,
    dry_run: bool = False,
) -> list[Expired]:
    """Remove the rows of days that are too old; safe to repeat and beside writers and readers.

    Those of one tenant, or of all.

    Tenants that the lake has rows of and `tenants` does not name have the product's policy.
    Per batch the rows are counted in `ops.removals` first: the ledger adds up at any moment.
    """
    found = []
    for spec in EXPIRING:
        with lake.lock(f"expiry of {spec.full_name}"):
            if not dry_run:
                forget_undone(lake, spec, now)
            for owner in _tenants_of(lake.table(spec)):
                if tenant_id not in (None, owner):
                    continue
                before = first_kept_day(tenants.get(owner, RetentionPolicy()), now.date())
                gone = _expire(lake, spec, owner, before, now, dry_run=dry_run)
                if gone is not None:
                    found.append(gone)
    return found


def drop_expired_files(lake: Lake, now: datetime, *, reader_time: timedelta = READER_TIME) -> int:
    """Delete the files of days that expired longer than `reader_time` ago; return how many.

    Only what no newest version names, in partitions that have none left. The table's other files,
    which the models' change feeds need for a month, are a vacuum's business (`eta tables clean`).
    """
    dropped = 0
    known = f"reason = '{EXPIRED}' and known_at <= timestamp '{(now - reader_time).isoformat()}'"
    days = query(
        lake.table(OPS_REMOVALS), "distinct table_name, tenant_id, ingest_date", None, known
    )
    for spec in EXPIRING:
        mine = days.filter(pl.col("table_name") == spec.full_name)
        if mine.height:
            dropped += _drop_days(lake.table(spec), mine)
    return dropped


def _expire(
    lake: Lake,
    spec: TableSpec,
    tenant_id: str,
    before: date,
    now: datetime,
    *,
    dry_run: bool,
) -> Expired | None:
    removal_id = f"{EXPIRED}:{spec.full_name}:{tenant_id}:{before.isoformat()}:{randbits(32):08x}"

    def expire() -> Expired | None:
        table = lake.table(spec)
        files = _files_before(table, tenant_id, before)
        if not files:
            return None
        counts = _count(table, tenant_id, before)
        gone = Expired(
            spec.full_name, tenant_id, before, int(counts["row_count"].sum()), len(files)
        )
        if dry_run:
            return gone
        attempt = randbits(_ATTEMPT_BITS)
        record_removal(
            lake,
            spec,
            counts,
            reason=EXPIRED,
            removal_id=removal_id,
            attempt=attempt,
            now=now,
            expired_before=datetime.combine(before, time(), UTC),
        )
        try:
            transaction = {removal_id: attempt}
            commit_files(table, spec, [], transaction, removed=files, data_change=False)
        except CommitFailedError:  # an erasure or a merge has replaced one of the files
            forget_undone(lake, spec, now)
            raise
        return gone

    failed = EtaError(
        f"{spec.full_name} is being rewritten all the time, so nothing could expire",
        remedy="run `eta retention expire` again later; nothing was half removed",
    )
    return retry_times(expire, CommitFailedError, TRIES, failed=failed)


def _files_before(table: DeltaTable, tenant_id: str, before: date) -> list[DataFile]:
    old = live_files(table).filter(
        pl.col("tenant_id") == tenant_id, pl.col("ingest_date") < before.isoformat()
    )
    return [
        DataFile(path, size, {"tenant_id": tenant_id, "ingest_date": day})
        for path, size, day in old.select("path", "size_bytes", "ingest_date").iter_rows()
    ]


def _tenants_of(table: DeltaTable) -> list[str]:
    return sorted(map(check_owner, live_files(table)["tenant_id"].unique().to_list()))


def _count(table: DeltaTable, tenant_id: str, before: date) -> pl.DataFrame:
    keys = "tenant_id, ingest_date, batch_id"
    rest = f"ingest_date < date '{before}' group by {keys}"
    return query(table, f"{keys}, count(*) as row_count", tenant_id, rest)


def _drop_days(table: DeltaTable, days: pl.DataFrame) -> int:
    kept = set(live_files(table).select("tenant_id", "ingest_date").iter_rows())
    files = table_filesystem(table)
    dropped = 0
    for tenant_id, day in days.select("tenant_id", "ingest_date").iter_rows():
        if (tenant_id, day.isoformat()) in kept:
            continue
        folder = f"tenant_id={check_owner(tenant_id)}/ingest_date={day.isoformat()}"
        selector = pafs.FileSelector(folder, allow_not_found=True)
        for info in files.get_file_info(selector):
            if info.type is pafs.FileType.File:
                files.delete_file(info.path)
                dropped += 1
    return dropped
