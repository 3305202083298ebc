"""Keeps the tables that the ingestion service writes in few files and short logs, beside writers.

Every batch adds a file per table. A writer that finds more than `SMALL_FILES` of them in its
tenant's day merges them before it goes on, so their number has a bound however much is sent:
`SMALL_FILES + CHECK_EVERY × writers` per table, tenant and day. Where senders wait for an answer
(events) they are merged beside the next commits, and waited for at `WAIT_FILES`. Days that have
ended are merged to large files. Compaction changes no row: its commit says so (`dataChange` false)
and readers of the change feed see nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import SERVICE_TABLES, TableSpec
from lakehouse.storage.derived_maintenance import clean_derived
from lakehouse.storage.lake import Lake
from lakehouse.storage.merging import PARTITION, merge_files
from lakehouse.storage.staging import writer_properties

MEBIBYTE: Final = 1024 * 1024
SMALL_BYTES: Final = 8 * MEBIBYTE
"""Files below this are merged while their day lasts."""
SMALL_FILES: Final = 64
WAIT_FILES: Final = 4 * SMALL_FILES
"""With so many, a writer that merges beside its work waits for it."""
CHECK_EVERY: Final = 4
"""A process looks at its tenant's day after so many of its commits."""
ENDED_SMALL_BYTES: Final = 64 * MEBIBYTE
KEPT_HOURS: Final = 30 * 24
"""How long removed files and log entries stay: a model whose last run is older than this cannot
read what changed since, and has to be refreshed in full."""


@dataclass(frozen=True, slots=True)
class Day:
    """A partition: one tenant's rows of one day of arrival (None: not partitioned by day)."""

    tenant_id: str
    ingest_date: str | None

    @property
    def filters(self) -> list[tuple[str, str, str]]:
        """The partition as delta-rs names it."""
        tenant = ("tenant_id", "=", self.tenant_id)
        if self.ingest_date is None:
            return [tenant]
        return [tenant, ("ingest_date", "=", self.ingest_date)]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a compaction did to a day."""

    table: str
    day: Day
    files_before: int
    files_after: int


def live_files(table: DeltaTable) -> pl.DataFrame:
    """Return `path, tenant_id, ingest_date, size_bytes`, one row per file that readers see."""
    found = pl.DataFrame(table.get_add_actions(flatten=True))
    columns = {"tenant_id": "partition.tenant_id", "ingest_date": "partition.ingest_date"}
    texts = [
        (pl.col(source) if source in found.columns else pl.lit(None)).cast(pl.String).alias(name)
        for name, source in columns.items()
    ]
    return found.select("path", *texts, "size_bytes")


def small_file_count(table: DeltaTable, day: Day, small_bytes: int = SMALL_BYTES) -> int:
    """Return how many files of a day are small."""
    files = live_files(table)
    mine = files.filter(
        pl.col("tenant_id") == day.tenant_id,
        pl.col("ingest_date").eq_missing(pl.lit(day.ingest_date, dtype=pl.String)),
        pl.col("size_bytes") < small_bytes,
    )
    return mine.height


def merge_small_files(
    lake: Lake,
    spec: TableSpec,
    day: Day,
    *,
    above: int = SMALL_FILES,
    small_bytes: int = SMALL_BYTES,
) -> Merged | None:
    """Merge the small files of a day if there are more than `above`; None when there are not.

    Processes of one machine take turns, and those that come while one merges wait for it, which is
    what makes the bound hold. Between machines the first commit wins and the other's work is
    dropped. Writers that append meanwhile are not disturbed.
    """
    with lake.lock(spec.full_name):
        table = lake.table(spec)
        before = small_file_count(table, day, small_bytes)
        if before <= above:
            return None
        try:
            if spec.partition_by == PARTITION and day.ingest_date is not None:
                merge_files(lake, spec, table, day.tenant_id, day.ingest_date, small_bytes)
            else:
                table.optimize.compact(
                    partition_filters=day.filters,
                    target_size=2 * small_bytes,
                    max_concurrent_tasks=1,
                    writer_properties=writer_properties(),
                )
        except CommitFailedError:
            return None  # another machine was faster, or rows were deleted meanwhile
        table.update_incremental()
        after = small_file_count(table, day, small_bytes)
    return Merged(spec.full_name, day, before, after)


def merge_ended_days(lake: Lake, today: date, tenant_id: str | None = None) -> list[Merged]:
    """Merge days that have ended to files of 64 to 128 MiB, those of one tenant or of all."""
    merged: list[Merged] = []
    for spec in SERVICE_TABLES:
        files = live_files(lake.table(spec))
        small = files.filter(
            pl.col("size_bytes") < ENDED_SMALL_BYTES,
            pl.col("ingest_date").fill_null("") < today.isoformat(),
            pl.lit(value=True) if tenant_id is None else pl.col("tenant_id") == tenant_id,
        )
        crowded = small.group_by("tenant_id", "ingest_date").len().filter(pl.col("len") > 1)
        for tenant, day, _ in crowded.sort("tenant_id", "ingest_date").iter_rows():
            found = merge_small_files(
                lake, spec, Day(tenant, day), above=1, small_bytes=ENDED_SMALL_BYTES
            )
            if found is not None and found.files_after < found.files_before:
                merged.append(found)
    return merged


@dataclass(frozen=True, slots=True)
class TableHealth:
    """A table's live files and its log; `most_small_files` is of any one tenant's day."""

    table: str
    files: int
    file_bytes: int
    most_small_files: int
    log_files: int
    log_bytes: int


def table_health(lake: Lake) -> list[TableHealth]:
    """Return the health of every table that the service writes."""
    found = []
    for spec in SERVICE_TABLES:
        files = live_files(lake.table(spec))
        small = files.filter(pl.col("size_bytes") < SMALL_BYTES)
        crowds = small.group_by("tenant_id", "ingest_date").len()["len"].to_list()
        log = log_files(lake, spec.path)
        size = int(files["size_bytes"].sum())
        found.append(TableHealth(spec.full_name, files.height, size, max(crowds, default=0), *log))
    return found


def clean_tables(
    lake: Lake, pinned: Mapping[str, Collection[int]], *, dry_run: bool = False
) -> list[tuple[str, int, int]]:
    """Shorten the logs and vacuum; return per table the files deleted and the log's files.

    `pinned` has versions by path in the lake that snapshots need: their files stay. The logs of the
    models' tables are Spark's and stay as they are.
    """
    found = []
    for spec in SERVICE_TABLES:
        if not dry_run:
            shorten_log(lake, spec)
        gone = vacuum(lake.table(spec), dry_run=dry_run)
        found.append((spec.full_name, gone, log_files(lake, spec.path)[0]))
    for name, gone in clean_derived(lake, pinned, KEPT_HOURS, dry_run=dry_run):
        found.append((name, gone, log_files(lake, name.replace(".", "/"))[0]))
    return found


def shorten_log(lake: Lake, spec: TableSpec) -> int:
    """Write a checkpoint and drop log entries of more than 30 days; return how many are left."""
    table = lake.table(spec)
    table.create_checkpoint()
    table.cleanup_metadata()
    return log_files(lake, spec.path)[0]


def vacuum(table: DeltaTable, *, dry_run: bool = False) -> int:
    """Delete files that no version of the last 30 days needs; return how many.

    Those of killed writers are among them: no live batch is that old.
    """
    return len(table.vacuum(retention_hours=KEPT_HOURS, dry_run=dry_run, full=True))


def log_files(lake: Lake, path: str) -> tuple[int, int]:
    """Return how many files a table's log has, and their bytes."""
    sizes = lake.folder(f"{path}/_delta_log").sizes("")
    return len(sizes), sum(sizes)
