"""Rows on their way into a table: written to data files at once, visible only when committed.

A batch is validated while its rows are already streaming into Parquet, so memory does not grow
with the batch, and its counts are known only at the end. delta-rs' own writer commits when its
input ends; here the files are written first and committed later, after the ledger. Until then no
reader sees them, and `discard` deletes them. Files left by a killed process carry the batch id in
their name and are removed by a full vacuum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
)
from deltalake.transaction import AddAction, RemoveAction

from lakehouse.errors import EtaError
from lakehouse.storage.stores import table_filesystem

if TYPE_CHECKING:
    from lakehouse.contracts.tables import TableSpec

TARGET_FILE_BYTES: Final = 128 * 1024 * 1024
ROW_GROUP_ROWS: Final = 262_144
MAX_COMMIT_RETRIES: Final = 100
COMPRESSION: Final = "zstd"
COMPRESSION_LEVEL: Final = 1

_STAGED_NAME: Final = re.compile(r"/part-(?P<batch_id>.+)-[0-9a-f]{8}-\d{5}\.zstd\.parquet$")

_DICTIONARY_COLUMNS: Final = (
    "interaction_type",
    "event_name",
    "context.device_type",
    "context.location",
    "category",
    "data_type",
    "known_at",
    "source",
    "batch_id",
)
"""Columns of few values. For the others a dictionary is built and thrown away: it costs a third
of the writing time and saves nothing after zstd."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file: where it is, relative to the table, its bytes, and the partition it is of."""

    path: str
    size: int
    partition_values: dict[str, str]


@dataclass(frozen=True, slots=True)
class StagedFile(DataFile):
    """A finished data file, with what the log is to say of its rows."""

    stats: str


@dataclass(slots=True)
class _ColumnStats:
    null_count: int = 0
    least: Any = None
    greatest: Any = None


@dataclass(slots=True)
class _OpenFile:
    path: str
    writer: pq.ParquetWriter
    sink: pa.NativeFile
    rows: int = 0
    stats: dict[str, _ColumnStats] = field(default_factory=dict)


class StagedRows:
    """Streams the rows of one batch into data files of one partition of one table.

    Not for several threads. `finish` or `discard` ends it. Without `is_batch` the rows are of
    several batches, and `batch_of` knows none of the files.
    """

    def __init__(
        self,
        table: DeltaTable,
        spec: TableSpec,
        tenant_id: str,
        ingest_date: str,
        batch_id: str,
        *,
        is_batch: bool = True,
    ) -> None:
        self._spec = spec
        self._files = table_filesystem(table)
        self._partition = {"tenant_id": tenant_id, "ingest_date": ingest_date}
        # The token keeps a second attempt at a batch away from the files of the first.
        token = f"{'-' if is_batch else '.'}{token_hex(4)}"
        self._stem = f"tenant_id={tenant_id}/ingest_date={ingest_date}/part-{batch_id}{token}"
        self._open: _OpenFile | None = None
        self._finished: list[StagedFile] = []
        self.row_count = 0

    def write(self, rows: pa.Table) -> None:
        """Append rows: the table's columns in its order, without the partition columns."""
        if rows.num_rows == 0:
            return
        if self._open is None:
            self._open = self._start(rows.schema)
        current = self._open
        current.writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        current.rows += rows.num_rows
        self.row_count += rows.num_rows
        for name in self._spec.stats_columns:
            _observe(current.stats.setdefault(name, _ColumnStats()), rows.column(name))
        if current.sink.tell() >= TARGET_FILE_BYTES:
            self._close()

    def close(self) -> list[str]:
        """Close the last file; return the paths of all, relative to the table, to be synced."""
        self._close()
        return [file.path for file in self._finished]

    def finish(self) -> tuple[StagedFile, ...]:
        """Close the last file and hand all of them over; nothing is visible yet.

        From now on `discard` spares them: a commit that fails may have happened all the same,
        and a table must never miss a file. The caller deletes what surely was not committed.
        """
        self._close()
        finished, self._finished = tuple(self._finished), []
        return finished

    def delete(self, files: Iterable[StagedFile]) -> None:
        """Delete files that `finish` returned and that were surely not committed."""
        for staged in files:
            with suppress(FileNotFoundError):  # an erasure may have been faster
                self._files.delete_file(staged.path)

    def discard(self) -> None:
        """Delete every file that was not handed over; safe to repeat, also on a full disk."""
        current, self._open = self._open, None
        if current is not None:
            for part in (current.writer, current.sink):
                with suppress(OSError, pa.ArrowException):  # what it holds is not wanted any more
                    part.close()
            with suppress(FileNotFoundError):
                self._files.delete_file(current.path)
        finished, self._finished = self._finished, []
        self.delete(finished)

    def _start(self, schema: pa.Schema) -> _OpenFile:
        path = f"{self._stem}-{len(self._finished):05}.zstd.parquet"
        self._files.create_dir(path.rpartition("/")[0], recursive=True)
        sink = self._files.open_output_stream(path)
        writer = pq.ParquetWriter(
            sink,
            schema,
            compression=COMPRESSION,
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=list(_DICTIONARY_COLUMNS),
            write_statistics=list(self._spec.stats_columns),
            store_schema=False,
        )
        return _OpenFile(path, writer, sink)

    def _close(self) -> None:
        current, self._open = self._open, None
        if current is None:
            return
        current.writer.close()
        size = current.sink.tell()
        current.sink.close()
        self._finished.append(StagedFile(current.path, size, self._partition, _stats_json(current)))


def batch_of(path: str) -> str | None:
    """Return the batch id in the name of a data file, None for a file another way made."""
    match = _STAGED_NAME.search(path)
    return match["batch_id"] if match else None


def commit_files(
    table: DeltaTable,
    spec: TableSpec,
    files: Sequence[StagedFile],
    transactions: Mapping[str, int],
    *,
    removed: Sequence[DataFile] = (),
    data_change: bool = True,
) -> None:
    """Commit files (or none) to a table together with application transactions: id and version.

    Files of the table may be `removed` by the same commit; without `data_change` the change feed
    tells of neither. Conflicts with other appends are retried inside delta-rs; a commit under one
    of the ids by someone else since the handle was refreshed, or another removal of one of these
    files, raises `CommitFailedError`, and nothing has happened.
    """
    schema = table.schema()
    if spec.added_columns:
        _check_columns(spec, {field.name for field in schema.fields})
    now = int(datetime.now(UTC).timestamp() * 1_000)
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            path=file.path,
            size=file.size,
            partition_values=dict(file.partition_values),
            modification_time=now,
            data_change=data_change,
            stats=file.stats,
        )
        for file in files
    ]
    actions += [
        RemoveAction(
            path=file.path,
            data_change=data_change,
            deletion_timestamp=now,
            size=file.size,
            partition_values=dict(file.partition_values),
        )
        for file in removed
    ]
    table.create_write_transaction(
        actions,
        "append",
        schema,
        list(spec.partition_by),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(name, v, now) for name, v in transactions.items()],
            max_commit_retries=MAX_COMMIT_RETRIES,
        ),
        # Looking for expired log entries lists the whole log: 70 ms per commit at 10,000 entries.
        # `shorten_log` does it.
        post_commithook_properties=PostCommitHookProperties(
            create_checkpoint=True, cleanup_expired_logs=False
        ),
    )


def _check_columns(spec: TableSpec, held: Set[str]) -> None:
    """Refuse a table without the columns of this release: its readers would miss what they say."""
    missing = [name for name in spec.added_columns if name not in held]
    if missing:
        raise EtaError(
            f"the table {spec.full_name} lacks the column {', '.join(missing)}",
            remedy="start the service again: it adds the column when it starts",
        )


def writer_properties() -> WriterProperties:
    """How delta-rs' own writer is to write what it rewrites: as the service writes.

    Without dictionaries for columns of many values a merge takes half the time, and what it writes
    is two fifths smaller.
    """
    return WriterProperties(
        compression="ZSTD",
        compression_level=COMPRESSION_LEVEL,
        default_column_properties=ColumnProperties(dictionary_enabled=False),
        column_properties=dict.fromkeys(
            _DICTIONARY_COLUMNS, ColumnProperties(dictionary_enabled=True)
        ),
    )


def _observe(stats: _ColumnStats, column: pa.ChunkedArray) -> None:
    # Through polars: pyarrow's compute functions import pandas, 60 MB for nothing here.
    values = pl.Series(column)
    stats.null_count += values.null_count()
    least, greatest = values.min(), values.max()
    if least is None:
        return
    stats.least = least if stats.least is None else min(stats.least, least)
    stats.greatest = greatest if stats.greatest is None else max(stats.greatest, greatest)


def _stats_json(current: _OpenFile) -> str:
    known = {name: stats for name, stats in current.stats.items() if stats.least is not None}
    return json.dumps(
        {
            "numRecords": current.rows,
            "minValues": {name: _floor(stats.least) for name, stats in known.items()},
            "maxValues": {name: _ceiling(stats.greatest) for name, stats in known.items()},
            "nullCount": {name: stats.null_count for name, stats in current.stats.items()},
        }
    )


def _floor(moment: datetime) -> str:
    """The log holds milliseconds: round down, so that the least stays a bound."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1_000:03}Z"


def _ceiling(moment: datetime) -> str:
    """Round up, so that the greatest stays a bound for readers that compare exactly."""
    return _floor(moment + timedelta(microseconds=999))
