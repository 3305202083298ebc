"""What `docs/models.md` says of readers and deletion vectors, tried on those that are installed."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from tests.support.deletion_vectors import hide_rows


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 100 rows, the first ten of them marked as gone."""
    folder = tmp_path / "table"
    write_deltalake(folder, pa.table({"id": list(range(100))}))
    assert hide_rows(folder, 10) == 10
    return folder


def queried(folder: Path, query: str) -> int:
    found = QueryBuilder().register("t", DeltaTable(folder)).execute(query).read_all()
    return pa.table(found).num_rows


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda t: pl.read_delta(str(t)).height, id="polars, read"),
        pytest.param(lambda t: pl.scan_delta(str(t)).collect().height, id="polars, scan"),
        pytest.param(lambda t: queried(t, "select * from t"), id="QueryBuilder"),
    ],
)
def test_these_leave_marked_rows_out(table: Path, read: Callable[[Path], int]) -> None:
    assert read(table) == 90


def test_a_filter_finds_no_marked_row(table: Path) -> None:
    assert pl.scan_delta(str(table)).filter(pl.col("id") < 10).collect().height == 0
    assert queried(table, "select id from t where id < 10") == 0


@pytest.mark.parametrize("read", ["to_pyarrow_dataset", "to_pyarrow_table", "to_pandas"])
def test_these_refuse_the_table(table: Path, read: str) -> None:
    with pytest.raises(Exception, match="deletionVectors"):
        getattr(DeltaTable(table), read)()


def test_these_count_what_is_gone(table: Path) -> None:
    assert DeltaTable(table).count() == 100
    counted = duckdb.sql(f"select count(*) from read_parquet('{table}/*.parquet')").fetchall()
    assert counted == [(100,)]
