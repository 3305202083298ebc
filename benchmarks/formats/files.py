"""The same rows as files of every format, written a part at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import fastavro
import openpyxl
import polars as pl
import pyarrow.parquet as pq

PART: Final = 100_000
START: Final = datetime(2026, 1, 1)
NAMES: Final = ("user_id", "item_id", "interaction_type", "timestamp", "rating")


def write_csv(path: Path, rows: int) -> None:
    """Write rows as CSV, times in ISO 8601."""
    with path.open("wb") as file:
        for at, part in enumerate(_parts(rows)):
            timed = part.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S"))
            timed.write_csv(file, include_header=not at)


def write_parquet(path: Path, rows: int) -> None:
    """Write rows as Parquet, in row groups of a million."""
    writer: pq.ParquetWriter | None = None
    for part in _parts(rows, 1_000_000):
        table = part.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def write_workbook(path: Path, rows: int) -> None:
    """Write rows as a sheet."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("events")
    sheet.append(NAMES)
    for part in _parts(rows):
        for row in part.iter_rows():
            sheet.append(row)
    book.save(path)


def write_avro(path: Path, rows: int) -> None:
    """Write rows as an Avro file."""
    moment = {"type": "long", "logicalType": "timestamp-micros"}
    kinds: tuple[Any, ...] = ("string", "string", "string", moment, "double")
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [{"name": name, "type": kind} for name, kind in zip(NAMES, kinds, strict=True)],
    }
    records = (
        row | {"timestamp": row["timestamp"].replace(tzinfo=UTC)}
        for part in _parts(rows)
        for row in part.iter_rows(named=True)
    )
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records, codec="deflate")


def _parts(rows: int, size: int = PART) -> Iterator[pl.DataFrame]:
    for first in range(0, rows, size):
        number = pl.int_range(first, min(rows, first + size), eager=True).alias("n").to_frame()
        yield number.select(
            pl.format("u{}", pl.col("n") * 7_919 % 200_003).alias("user_id"),
            pl.format("i{}", pl.col("n") * 104_729 % 5_003).alias("item_id"),
            pl.lit("view").alias("interaction_type"),
            (pl.lit(START) + pl.duration(seconds=pl.col("n") % 10_000_000)).alias("timestamp"),
            (pl.col("n") % 50 / 10).alias("rating"),
        )
