"""The raw tables as the dedupe window's past: after a start, and for other processes' commits."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ingest_service.dedupe.window import Seen
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.identity import fingerprints, payload_text
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.staging import batch_of, table_filesystem

_NOT_READ: Final = frozenset({"tenant_id", "ingest_date", "source", "batch_id", "source_ref"})
_BATCH_ROWS: Final = 131_072


class DeltaHistory:
    """Reads fingerprints from the data files of a tenant, each file once."""

    def __init__(self, sink: DeltaSink) -> None:
        self._table: Callable[[DataType], DeltaTable] = lambda kind: sink.table(RAW_TABLES[kind])

    def unseen(
        self, tenant_id: str, data_type: DataType, seen: Seen, limit: int
    ) -> Iterable[pl.DataFrame]:
        """Yield fingerprints of files not in `seen`; see `History.unseen`."""
        table = self._table(data_type)
        files = _files(table, tenant_id)
        fresh = [
            (path, rows)
            for path, rows in files
            if path not in seen.files and batch_of(path) not in seen.batches
        ]
        seen.files = {path for path, _ in files}
        seen.batches.clear()
        wanted: list[str] = []
        room = limit
        for path, rows in fresh:
            if room <= 0:
                break
            wanted.append(path)
            room -= rows
        for path in reversed(wanted):
            yield from _read(table, path, data_type, limit)


def _files(table: DeltaTable, tenant_id: str) -> list[tuple[str, int]]:
    """The tenant's data files with their row counts, newest first."""
    adds = pl.DataFrame(table.get_add_actions(flatten=True))
    mine = adds.filter(pl.col("partition.tenant_id") == tenant_id)
    if not mine.height:
        return []
    newest = ["partition.ingest_date", "modification_time", "path"]
    ordered = mine.sort(newest, descending=True)
    return list(ordered.select("path", "num_records").iter_rows())


def _read(table: DeltaTable, path: str, data_type: DataType, limit: int) -> Iterator[pl.DataFrame]:
    with table_filesystem(table).open_input_file(path) as source:
        file = pq.ParquetFile(source)
        names = [name for name in file.schema_arrow.names if name not in _NOT_READ]
        for batch in file.iter_batches(
            batch_size=_BATCH_ROWS, columns=names, row_groups=_last_groups(file, limit)
        ):
            yield _fingerprints(data_type, pl.DataFrame(batch))


def _last_groups(file: pq.ParquetFile, limit: int) -> list[int]:
    groups: list[int] = []
    rows = 0
    for group in reversed(range(file.num_row_groups)):
        groups.insert(0, group)
        rows += file.metadata.row_group(group).num_rows
        if rows >= limit:
            break
    return groups


def _fingerprints(data_type: DataType, frame: pl.DataFrame) -> pl.DataFrame:
    is_state = None
    if "context" in frame.columns:
        frame = frame.unnest("context")
    if data_type is DataType.ITEMS:
        is_state = frame.select(pl.col("updated_at") == pl.col("known_at")).to_series()
        given = pl.when(pl.col("updated_at") != pl.col("known_at")).then("updated_at")
        frame = frame.with_columns(given.alias("updated_at"))
    return fingerprints(data_type, frame, payload_text(data_type, frame), is_state)
