"""Takes rows out of a table that others write to all the time, file by file.

A MERGE or DELETE of delta-rs fails when anything was appended since it began, so beside live
ingestion it would never end. Here each file that holds such rows is divided: a commit puts a file
of those rows and one of the others in its place and says that no data changed; a second commit
removes the file of those rows. No append stands in the way of either, only another rewrite
of the same files does, and readers of the change feed see exactly the rows that went. The
log holds names of files and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.contracts.tables import TableSpec
from lakehouse.storage.maintenance import live_files
from lakehouse.storage.staging import (
    DataFile,
    StagedFile,
    StagedRows,
    commit_files,
)
from lakehouse.storage.stores import table_filesystem

THREADS: Final = 2
NAME: Final = "rewritten"
DAY: Final = "ingest_date"
_KEYS: Final = ("tenant_id", DAY)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of a file: at which positions, and what the search tells of each."""

    file: DataFile
    is_match: Mask
    told: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What taking rows out has cost."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Rewritten) -> Rewritten:
        """Return both together."""
        return Rewritten(self.files + other.files, self.bytes + other.bytes)


def files_of(table: DeltaTable, tenant_id: str) -> list[DataFile]:
    """Return the files of a tenant's rows that readers see."""
    mine = live_files(table).filter(pl.col("tenant_id") == tenant_id)
    return [
        DataFile(path, size, {"tenant_id": tenant_id, DAY: day})
        for path, size, day in mine.select("path", "size_bytes", DAY).iter_rows()
    ]


def find_rows(
    table: DeltaTable,
    tenant_id: str,
    columns: Sequence[str],
    search: Callable[[pa.Table], tuple[Mask, pl.DataFrame]],
) -> list[Match]:
    """Search a tenant's files, reading `columns` alone; return those that hold any such row.

    `search` returns which rows of a table match, and something of each one that does.
    """
    files = table_filesystem(table)

    def look(file: DataFile) -> Match | None:
        with files.open_input_file(file.path) as source:
            parquet = pq.ParquetFile(source)
            masks, told = [], []
            for group in range(parquet.num_row_groups):
                mask, found = search(parquet.read_row_group(group, columns=list(columns)))
                masks.append(mask)
                told.append(found)
        if not masks or not any(mask.any() for mask in masks):
            return None
        return Match(file, np.concatenate(masks), pl.concat(told))

    with ThreadPoolExecutor(THREADS) as pool:
        return [match for match in pool.map(look, files_of(table, tenant_id)) if match]


def take_out(
    table: DeltaTable,
    spec: TableSpec,
    tenant_id: str,
    matches: Sequence[Match],
    transactions: Mapping[str, int],
    replaced_by: Callable[[pa.Table], pa.Table] | None = None,
) -> Rewritten:
    """Remove the matching rows, or replace them; `transactions` are committed with that.

    With `replaced_by` the rows come back as it returns them, in the same commit. `table` is the
    handle that the rows were found with. Raises `CommitFailedError` when one of the files was
    replaced meanwhile: then find the rows again.
    """
    is_whole = [replaced_by is None and bool(match.is_match.all()) for match in matches]
    whole = [match.file for match, alone in zip(matches, is_whole, strict=True) if alone]
    mixed = [match for match, alone in zip(matches, is_whole, strict=True) if not alone]
    divided = _divide(table, spec, tenant_id, mixed, replaced_by)
    written = [*divided.rest, *divided.taken]
    if mixed:
        replaced = [match.file for match in mixed]
        commit_files(table, spec, written, {}, removed=replaced, data_change=False)
        table.update_incremental()
    commit_files(table, spec, divided.new, transactions, removed=[*whole, *divided.taken])
    return Rewritten(len(mixed), sum(file.size for file in written))


@dataclass(frozen=True, slots=True)
class _Divided:
    rest: list[StagedFile]
    taken: list[StagedFile]
    new: list[StagedFile]


def _divide(
    table: DeltaTable,
    spec: TableSpec,
    tenant_id: str,
    matches: Sequence[Match],
    replaced_by: Callable[[pa.Table], pa.Table] | None,
) -> _Divided:
    """Write the rows that stay, and those that go, to new files: the latter one per day.

    So are those that come in their place.
    """

    def divide(match: Match) -> tuple[list[StagedFile], str, list[pa.Table]]:
        staged = _staged(table, spec, tenant_id, match.file.partition_values[DAY])
        going = []
        for rows, mask in _groups(table, spec, match):
            if mask.any():
                going.append(rows.filter(pa.array(mask)))
                rows = rows.filter(pa.array(~mask))  # noqa: PLW2901 - what stays of them
            staged.write(rows)
        return list(staged.finish()), match.file.partition_values[DAY], going

    rest: list[StagedFile] = []
    by_day: dict[str, list[pa.Table]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for files, day, going in pool.map(divide, matches):
            rest += files
            by_day.setdefault(day, []).extend(going)
    taken: list[StagedFile] = []
    new: list[StagedFile] = []
    for day, parts in sorted(by_day.items()):
        going = pa.concat_tables(parts)
        staged = _staged(table, spec, tenant_id, day)
        staged.write(going)
        taken += staged.finish()
        if replaced_by is not None:
            staged = _staged(table, spec, tenant_id, day)
            staged.write(replaced_by(going))
            new += staged.finish()
    return _Divided(rest, taken, new)


def _groups(table: DeltaTable, spec: TableSpec, match: Match) -> Iterable[tuple[pa.Table, Mask]]:
    """Yield a file's row groups with the part of the mask that is about each."""
    names = [name for name in spec.schema.names if name not in _KEYS]
    schema = pa.schema([spec.schema.field(name) for name in names])
    with table_filesystem(table).open_input_file(match.file.path) as source:
        parquet = pq.ParquetFile(source)
        first = 0
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, columns=names).select(names).cast(schema)
            yield rows, match.is_match[first : first + rows.num_rows]
            first += rows.num_rows


def _staged(table: DeltaTable, spec: TableSpec, tenant_id: str, day: str) -> StagedRows:
    return StagedRows(table, spec, tenant_id, day, NAME, is_batch=False)
