"""Fingerprints of rows that are stored, from data files."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ingest_service.dedupe.verdicts import newest_states
from lakehouse.contracts.identity import fingerprints, payload_text
from lakehouse.contracts.order import positions
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.damage import DamagedError, damaged_file
from lakehouse.storage.stores import table_filesystem

_NOT_READ: Final = frozenset({"tenant_id", "ingest_date", "source", "batch_id", "source_ref"})
_ARRIVAL: Final = ("known_at", "batch_id", "position", "source_ref")
_BATCH_ROWS: Final = 131_072


class StoredPrints:
    """Reads data files of one tenant and data type.

    Every method raises `DamagedError` for a file that cannot be read.
    """

    def __init__(self, table: DeltaTable, tenant_id: str, data_type: DataType) -> None:
        self._table = table
        self._tenant_id = tenant_id
        self._data_type = data_type

    def group(
        self, path: str, number: int, since: datetime | None = None
    ) -> tuple[pl.DataFrame, int]:
        """Return the rows of a file's row group known since then, and how many groups it has."""
        try:
            rows, count = _read(self._table, path, self._data_type, number)
        except Exception as error:
            raise self._damaged(path, error) from error
        if since is not None:
            rows = rows.filter(pl.col("known_at") >= since)
        if self._data_type.definition.is_state:
            return _in_order([rows]), count
        return rows.select("key", "payload"), count

    def file(self, path: str, since: datetime | None = None) -> list[pl.DataFrame]:
        """Return the rows of a file known since then, of catalogue rows with their arrival."""
        found: list[pl.DataFrame] = []
        count = 1
        while len(found) < count:
            try:
                rows, count = _read(self._table, path, self._data_type, len(found))
            except Exception as error:
                raise self._damaged(path, error) from error
            found.append(rows if since is None else rows.filter(pl.col("known_at") >= since))
        return found

    def ordered(self, paths: Iterable[str], since: datetime | None) -> pl.DataFrame:
        """Return all catalogue rows of some files, known since then, in their order of arrival.

        A merged file need not have its rows in that order, so it is not the files' that counts.
        """
        return _in_order([rows for path in paths for rows in self.file(path, since)])

    def moments(self, path: str) -> pl.DataFrame:
        """Return how many `rows` of a file became known when (`known_at`)."""
        try:
            with table_filesystem(self._table).open_input_file(path) as source:
                return _moments(pq.ParquetFile(source))
        except Exception as error:
            raise self._damaged(path, error) from error

    def _damaged(self, path: str, error: Exception) -> DamagedError:
        spec = RAW_TABLES[self._data_type]
        return DamagedError(damaged_file(spec, self._tenant_id, path, error))


def _moments(file: pq.ParquetFile) -> pl.DataFrame:
    """Return what the statistics say, or the column where a row group is of several moments."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    bounds = [_known_at(group).statistics for group in groups]
    if all(one is not None and one.has_min_max and one.min == one.max for one in bounds):
        found = pl.DataFrame(
            {"known_at": [one.min for one in bounds], "rows": [group.num_rows for group in groups]}
        )
    else:
        rows = pl.DataFrame(file.read(columns=["known_at"]))
        found = rows.group_by("known_at").agg(rows=pl.len())
    return found.cast({"known_at": pl.Datetime("us", "UTC"), "rows": pl.Int64})


def _known_at(group: pq.RowGroupMetaData) -> pq.ColumnChunkMetaData:
    columns = (group.column(number) for number in range(group.num_columns))
    return next(column for column in columns if column.path_in_schema == "known_at")


def _in_order(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return rows in the order in which they arrived; of an item's states the one in force."""
    rows = pl.concat(frames).sort(_ARRIVAL, maintain_order=True).drop(_ARRIVAL)
    return newest_states(rows)


def _read(
    table: DeltaTable, path: str, data_type: DataType, number: int
) -> tuple[pl.DataFrame, int]:
    """Return the fingerprints of a row group, and how many groups the file has."""
    with table_filesystem(table).open_input_file(path) as source:
        file = pq.ParquetFile(source)
        ordering = {"batch_id", "source_ref"} if data_type.definition.is_state else frozenset()
        left_out = _NOT_READ - ordering
        names = [name for name in file.schema_arrow.names if name not in left_out]
        rows = pl.concat(
            _fingerprints(data_type, pl.DataFrame(batch))
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=names)
        )
        return rows, file.num_row_groups


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
