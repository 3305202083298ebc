"""Merges small data files of a day so that a power cut at any moment takes nothing.

delta-rs' own compaction commits before its new files are on disk. Of such a commit the log's entry
may outlast a power cut and the files not, and then rows are gone that were acknowledged long ago.
Here the files are written and synced first, then named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakehouse.storage.durable import LakeSync
from lakehouse.storage.lake import Lake
from lakehouse.storage.staging import DataFile, StagedRows, commit_files
from lakehouse.storage.stores import table_filesystem

if TYPE_CHECKING:
    import pyarrow.fs as pafs

    from lakehouse.contracts.tables import TableSpec

NAME: Final = "merged"
PARTITION: Final = ("tenant_id", "ingest_date")


def merge_files(
    lake: Lake,
    spec: TableSpec,
    table: DeltaTable,
    tenant_id: str,
    ingest_date: str,
    small_bytes: int,
) -> None:
    """Put a day's files below `small_bytes` into as few as there can be; no row changes.

    The table is partitioned by tenant and day. Raises `CommitFailedError` when one of the files
    was replaced meanwhile; nothing has happened then.
    """
    partition = {"tenant_id": tenant_id, "ingest_date": ingest_date}
    found = _small(table, tenant_id, ingest_date, small_bytes)
    small = [DataFile(path, size, partition) for path, size in found]
    staged = StagedRows(table, spec, tenant_id, ingest_date, NAME, is_batch=False)
    try:
        files = table_filesystem(table)
        for file in small:
            for rows in _rows(files, spec, file.path):
                staged.write(rows)
        LakeSync(lake).data_files((spec.path, name) for name in staged.close())
    except BaseException:
        staged.discard()
        raise
    written = staged.finish()
    try:
        commit_files(table, spec, written, {}, removed=small, data_change=False)
    except CommitFailedError:
        staged.delete(written)
        raise


def _small(
    table: DeltaTable, tenant_id: str, ingest_date: str, small_bytes: int
) -> list[tuple[str, int]]:
    """Return path and size of a day's small files, in the order in which they became known."""
    adds = pl.DataFrame(table.get_add_actions(flatten=True))
    small = adds.filter(
        pl.col("partition.tenant_id") == tenant_id,
        pl.col("partition.ingest_date").cast(pl.String) == ingest_date,
        pl.col("size_bytes") < small_bytes,
    )
    order = [name for name in ("max.known_at", "modification_time", "path") if name in adds.columns]
    return list(small.sort(order).select("path", "size_bytes").iter_rows())


def _rows(files: pafs.FileSystem, spec: TableSpec, path: str) -> Iterator[pa.Table]:
    """Yield a file's row groups with the table's columns; one that it lacks is null."""
    fields = [field for field in spec.schema if field.name not in PARTITION]
    with files.open_input_file(path) as source:
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group)
            columns = [
                rows[field.name].cast(field.type)
                if field.name in rows.column_names
                else pa.nulls(rows.num_rows, field.type)
                for field in fields
            ]
            yield pa.Table.from_arrays(columns, schema=pa.schema(fields))
