"""Every shown number of rows is what a reader gets: deletion vectors and missing statistics too."""

import json
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

import ingest_service
import lakehouse
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import OVERVIEW_TABLES, overview
from lakehouse.storage.row_counts import row_count, rows_by_tenant
from lakehouse.training.lake_state import rows_written
from tests.support.deletion_vectors import hide_rows

TENANTS = ("acme", "acme2", "globex")


def make(location: Path, batches: list[Counter[str]], *, mode: str = "append") -> None:
    for batch in batches:
        names = [name for name, rows in sorted(batch.items()) for _ in range(rows)]
        rows = pa.table(
            {
                "tenant_id": pa.array(names, pa.string()),
                "user_id": pa.array([f"u{n}" for n in range(len(names))], pa.string()),
            }
        )
        write_deltalake(location, rows, mode=mode, partition_by=["tenant_id"])


def read(location: Path) -> Counter[str]:
    """Count what a reader is given, row by row: not the engine's own count."""
    found = QueryBuilder().register("t", DeltaTable(location)).execute("select * from t")
    return Counter(pl.DataFrame(found.read_all())["tenant_id"].to_list())


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    return LakeSettings()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(TENANTS), st.integers(1, 9)), max_size=4),
    st.integers(0, 9),
    st.booleans(),
)
def test_counted_is_what_a_reader_gets(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[dict[str, int]],
    hidden: int,
    with_statistics: bool,
) -> None:
    location = tmp_path_factory.mktemp("rows") / "table"
    make(location, [Counter(), *map(Counter, batches)])
    hide_rows(location, hidden, with_statistics=with_statistics)
    expected = sum(
        (Counter({name: max(rows - hidden, 0) for name, rows in b.items()}) for b in batches),
        Counter(),
    )
    table = DeltaTable(location)
    assert +rows_by_tenant(table) == expected == read(location)
    assert row_count(table) == expected.total()


def test_the_overview_shows_no_hidden_row(lake: LakeSettings) -> None:
    for path in OVERVIEW_TABLES:
        location = Path(lake.lake, path)
        location.parent.mkdir(parents=True, exist_ok=True)
        make(location, [Counter(acme=7, acme2=2), Counter(acme=5, globex=3)])
        assert hide_rows(location, 3) == 3 + 2 + 3 + 3
    shown = {table.name: table.rows for table in overview(Lake(lake))}
    assert all(rows == {"acme": 6} for rows in shown.values())
    assert len(shown) == len(OVERVIEW_TABLES)


def test_rows_of_files_without_statistics_are_shown(lake: LakeSettings) -> None:
    location = Path(lake.lake, "features/user_features")
    location.parent.mkdir(parents=True)
    make(location, [Counter(acme=7, globex=2)])
    hide_rows(location, 1, with_statistics=False)
    (shown,) = overview(Lake(lake), ["features/user_features"])
    assert shown.rows == {"acme": 6, "globex": 1}


def test_what_a_run_wrote_balances_with_what_is_there(lake: LakeSettings) -> None:
    name, location = "features.user_features", Path(lake.lake, "features/user_features")
    location.parent.mkdir(parents=True)
    make(location, [Counter(acme=7, globex=2)])
    begin = {name: DeltaTable(location).version()}
    hide_rows(location, 2)  # no metrics say so
    make(location, [Counter(acme=4)])
    assert rows_written(Lake(lake), begin)[name] == {
        "inserted": 4, "updated": 0, "deleted": 4, "seconds": 0.0, "rows": 9
    }  # fmt: skip
    begin = {name: DeltaTable(location).version()}
    assert rows_written(Lake(lake), begin)[name]["rows"] == 9
    assert rows_written(Lake(lake), begin)[name]["inserted"] == 0


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        pytest.param(
            {"numOutputRows": "275", "numDeletedRows": "245"}, (275, 0, 245), id="users replaced"
        ),
        pytest.param(
            {
                "numOutputRows": "5",
                "numTargetRowsInserted": "0",
                "numTargetRowsUpdated": "2",
                "numTargetRowsDeleted": "245",
            },
            (0, 2, 245),
            id="merge",
        ),
        pytest.param({"numUpdatedRows": "4", "numCopiedRows": "0"}, (0, 4, 0), id="update"),
        pytest.param({"numDeletedRows": "9"}, (0, 0, 9), id="delete"),
    ],
)
def test_every_operation_says_what_it_did_in_words_of_its_own(
    metrics: dict[str, str], expected: tuple[int, int, int]
) -> None:
    from lakehouse.training.lake_state import _sum_of

    found = _sum_of([metrics])
    assert (found["inserted"], found["updated"], found["deleted"]) == expected


def test_a_table_that_was_replaced_whole_had_its_rows_deleted(lake: LakeSettings) -> None:
    name, location = "features.user_features", Path(lake.lake, "features/user_features")
    location.parent.mkdir(parents=True)
    make(location, [Counter(acme=7, globex=2)])
    begin = {name: DeltaTable(location).version()}
    make(location, [Counter(acme=6)], mode="overwrite")
    found = rows_written(Lake(lake), begin)[name]
    assert (found["inserted"], found["deleted"], found["rows"]) == (6, 9, 6)


_ALLOWED = {
    "lakehouse/storage/staging.py": "writes the statistics",
    "lakehouse/storage/row_counts.py": "says why they are not used",
    "ingest_service/dedupe/history.py": "bounds what it reads, shows nothing; raw has no vectors",
    "lakehouse/control/key_room.py": "counts rows of the control database",
    "lakehouse/control/webhook_messages.py": "counts rows of the control database",
}
_COUNTS_FILES = re.compile(
    r"num_records|numRecords|\.count\(\)|\bselect count\(\*\)|count\(\*\) as n\b"
)


def test_nothing_else_counts_the_rows_of_a_table() -> None:
    roots = [Path(package.__path__[0]) for package in (lakehouse, ingest_service)]
    found = {
        str(file.relative_to(root.parent))
        for root in roots
        for file in root.rglob("*.py")
        if _COUNTS_FILES.search(file.read_text())
    }
    assert found == set(_ALLOWED)


def test_the_vector_is_one_that_the_log_can_read(tmp_path: Path) -> None:
    make(tmp_path / "t", [Counter(acme=9)])
    hide_rows(tmp_path / "t", 4)
    (vector,) = pl.DataFrame(DeltaTable(tmp_path / "t").deletion_vectors().read_all()).to_dicts()
    assert vector["selection_vector"] == [False] * 4 + [True] * (
        len(vector["selection_vector"]) - 4
    )
    assert json.loads((tmp_path / "t/_delta_log" / f"{1:020}.json").read_text().splitlines()[0])
