"""The raw tables as the dedupe window's past: after a start, and for other processes' commits."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ingest_service.dedupe.verdicts import newest_states
from ingest_service.dedupe.window import FINGERPRINT_SCHEMA, Seen
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.identity import fingerprints, payload_text
from lakehouse.contracts.order import positions
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.damage import DamagedError, damaged_file
from lakehouse.storage.staging import batch_of
from lakehouse.storage.stores import table_filesystem

_NOT_READ: Final = frozenset({"tenant_id", "ingest_date", "source", "batch_id", "source_ref"})
_ARRIVAL: Final = ("known_at", "batch_id", "position", "source_ref")
_BATCH_ROWS: Final = 131_072


class DeltaHistory:
    """Reads fingerprints from the data files of a tenant, each file once."""

    def __init__(self, sink: DeltaSink) -> None:
        self._sink = sink

    def unseen(
        self, tenant_id: str, data_type: DataType, seen: Seen, limit: int
    ) -> Iterable[pl.DataFrame]:
        """Return fingerprints of files not in `seen`; see `History.unseen`.

        All of them are read before `seen` changes. Raises `DamagedError` for a file that cannot be
        read, also on a new handle, and `StorageError` when the table cannot be.
        """

        def read(table: DeltaTable) -> tuple[Seen, list[pl.DataFrame]]:
            found = seen.copy()
            return found, list(_unseen(table, tenant_id, data_type, found, limit))

        found, frames = self._sink.ask(RAW_TABLES[data_type], read)
        seen.files, seen.batches, seen.is_void = found.files, found.batches, found.is_void
        seen.rows, seen.added = found.rows, found.added
        return frames

    def stored(self, tenant_id: str, data_type: DataType, keys: pl.Series) -> pl.DataFrame:
        """Return the fingerprints of all stored rows of these keys, however long ago they came.

        Reads every row of the tenant, so it is for rows of which there are few.
        """

        def read(table: DeltaTable) -> list[pl.DataFrame]:
            wanted = keys.unique().alias("key").to_frame()
            return [
                _read_file(table, tenant_id, path, data_type, rows)
                .select("key", "payload")
                .join(wanted, on="key", how="semi")
                for path, rows in _files(table, tenant_id)
            ]

        return pl.concat(
            [
                pl.DataFrame(schema=FINGERPRINT_SCHEMA),
                *self._sink.ask(RAW_TABLES[data_type], read),
            ]
        )


def _unseen(
    table: DeltaTable, tenant_id: str, data_type: DataType, seen: Seen, limit: int
) -> Iterator[pl.DataFrame]:
    files = _files(table, tenant_id)
    paths = {path for path, _ in files}
    total = sum(rows for _, rows in files)
    gone = _are_gone(seen, paths)
    seen.is_void = gone and (seen.added is None or total != seen.rows + seen.added)
    is_merged = gone and not seen.is_void
    seen.rows, seen.added = total, 0
    if seen.is_void:
        seen.files, seen.batches = set(), set()
    fresh = [
        (path, rows)
        for path, rows in files
        if not is_merged and path not in seen.files and batch_of(path) not in seen.batches
    ]
    seen.files = paths
    seen.batches.clear()
    wanted: list[str] = []
    room = limit
    for path, rows in fresh:
        if room <= 0:
            break
        wanted.append(path)
        room -= rows
    frames = (_read_file(table, tenant_id, path, data_type, limit) for path in reversed(wanted))
    if data_type.definition.is_state:
        yield from _in_order(frames)
    else:
        yield from (frame.select("key", "payload") for frame in frames)


def _read_file(
    table: DeltaTable, tenant_id: str, path: str, data_type: DataType, limit: int
) -> pl.DataFrame:
    try:
        return _read(table, path, data_type, limit)
    except Exception as error:
        spec = RAW_TABLES[data_type]
        raise DamagedError(damaged_file(spec, tenant_id, path, error)) from error


def _are_gone(seen: Seen, paths: set[str]) -> bool:
    """Whether files that were taken in are gone, those of this process's own batches included."""
    if not seen.files <= paths:
        return True
    is_merged = any(batch_of(path) is None for path in paths - seen.files)
    return is_merged and not seen.batches <= {batch_of(path) for path in paths}


def _files(table: DeltaTable, tenant_id: str) -> list[tuple[str, int]]:
    """The tenant's data files with their row counts, newest first by what became known last."""
    adds = pl.DataFrame(table.get_add_actions(flatten=True))
    mine = adds.filter(pl.col("partition.tenant_id") == tenant_id)
    if not mine.height:
        return []
    newest = ["partition.ingest_date", "max.known_at", "modification_time", "path"]
    ordered = mine.sort([name for name in newest if name in mine.columns], descending=True)
    return list(ordered.select("path", "num_records").iter_rows())


def _in_order(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """All rows in the order in which they arrived; of an item's states the one still in force.

    A merged file need not have its rows in that order, so it is not the files' that counts.
    """
    found = list(frames)
    if found:
        rows = pl.concat(found).sort(_ARRIVAL, maintain_order=True).drop(_ARRIVAL)
        yield newest_states(rows)


def _read(table: DeltaTable, path: str, data_type: DataType, limit: int) -> pl.DataFrame:
    """The newest `limit` rows of a file or so, in the order in which they became known.

    A batch's own file is in order, so its last row groups will do. A merged one need not be.
    """
    with table_filesystem(table).open_input_file(path) as source:
        file = pq.ParquetFile(source)
        ordering = {"batch_id", "source_ref"} if data_type.definition.is_state else frozenset()
        left_out = _NOT_READ - ordering
        names = [name for name in file.schema_arrow.names if name not in left_out]
        is_merged = batch_of(path) is None
        groups = list(range(file.num_row_groups)) if is_merged else _last_groups(file, limit)
        rows = pl.concat(
            _fingerprints(data_type, pl.DataFrame(batch))
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names, row_groups=groups)
        )
    return rows.sort("known_at", maintain_order=True).tail(limit) if is_merged else rows


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
    known_at = frame["known_at"]
    if "context" in frame.columns:
        frame = frame.unnest("context")
    if data_type.definition.is_state:
        time = data_type.definition.time_column
        is_state = frame.select(pl.col(time) == pl.col("known_at")).to_series()
        given = pl.when(pl.col(time) != pl.col("known_at")).then(time)
        frame = frame.with_columns(given.alias(time))
    prints = fingerprints(data_type, frame, payload_text(data_type, frame), is_state)
    if is_state is None:
        return prints.with_columns(known_at)
    places = frame["source_ref"].cast(pl.String)
    return prints.with_columns(
        known_at,
        is_state.alias("is_state"),
        frame["batch_id"].cast(pl.String),
        positions(places),
        places,
    )
