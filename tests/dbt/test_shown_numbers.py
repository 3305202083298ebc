"""After a run by changes, which leaves deletion vectors, every shown number is Spark's count."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.cli.summary import print_overview
from lakehouse.storage.lake import Lake
from lakehouse.storage.overview import OVERVIEW_TABLES, overview
from lakehouse.training.lake_state import rows_written, table_versions
from tests.support.deletion_vectors import count_marked
from tests.support.lake import SessionLake
from tests.support.tenants import COUNTED, random_rows

WATCHED = [path for path in OVERVIEW_TABLES if not path.startswith("raw/")]


def spark_counts(lake: SessionLake, path: str) -> Counter[str]:
    session = SparkSession.builder.getOrCreate()
    rows = session.read.format("delta").load(f"{lake.settings.lake}/{path}")
    return Counter(
        {r["tenant_id"]: r["count"] for r in rows.groupBy("tenant_id").count().collect()}
    )


@pytest.fixture(scope="module")
def before(lake: SessionLake, built: dict) -> dict[str, int]:
    """The versions of the tables, as a large lake has them, before a run for one tenant."""
    session = SparkSession.builder.getOrCreate()
    for path in WATCHED:
        session.sql(
            f"alter table {path.replace('/', '.')} "
            "set tblproperties ('delta.enableDeletionVectors' = 'true')"
        )
    versions = table_versions(Lake(lake.settings))
    lake.store(COUNTED, random_rows(62, count=40), known_at=datetime.now(UTC))
    lake.dbt("run", "--vars", json.dumps({"tenant_id": COUNTED}))
    return versions


def test_every_number_shown_is_what_spark_counts(lake: SessionLake, before: dict[str, int]) -> None:
    shown = {table.location: table.rows for table in overview(Lake(lake.settings))}
    for path in OVERVIEW_TABLES:
        location = f"{lake.settings.lake}/{path}"
        assert shown[location] == spark_counts(lake, path), path
    assert count_marked(lake), "the run left no deletion vector: the test would show nothing"


def test_the_table_at_the_end_of_a_run_prints_them(
    lake: SessionLake, before: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    print_overview(lake.settings, [COUNTED])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {line[0]: line[1] for line in lines if len(line) > 1 and "." in line[0]}
    for path in WATCHED:
        assert found[path.replace("/", ".")] == f"{spark_counts(lake, path)[COUNTED]:,}"


def test_what_the_run_wrote_balances(lake: SessionLake, before: dict[str, int]) -> None:
    written = rows_written(Lake(lake.settings), before)
    session = SparkSession.builder.getOrCreate()
    for name in (path.replace("/", ".") for path in WATCHED):
        found = written[name]
        location = str(Path(lake.settings.lake, name.replace(".", "/")))
        reader = session.read.format("delta").option("versionAsOf", before[name])
        old = reader.load(location).count()
        assert old + found["inserted"] - found["deleted"] == found["rows"], name
        assert found["rows"] == spark_counts(lake, name.replace(".", "/")).total()
