"""Merging files beside the models: their change feeds show nothing of it."""

from typing import Any

import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.storage.derived_maintenance import clean_derived
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import Day, merge_small_files
from tests.support.lake import NOON, SessionLake, interaction

pytestmark = pytest.mark.spark


def test_merged_files_are_no_change_to_readers_of_the_feed(lake: SessionLake) -> None:
    for n in range(4):
        lake.store("merging", [interaction(f"m{n}", f"u{n}")], known_at=NOON)
    stored = Lake(lake.settings).table(RAW_INTERACTIONS).version()
    day = Day("merging", NOON.date().isoformat())
    merged = merge_small_files(Lake(lake.settings), RAW_INTERACTIONS, day, above=1)
    assert merged is not None
    assert (merged.files_before, merged.files_after) == (4, 1)
    lake.store("merging", [interaction("m4", "u4")], known_at=NOON)
    newest = Lake(lake.settings).table(RAW_INTERACTIONS).version()
    assert newest == stored + 2

    spark = SparkSession.getActiveSession()
    assert spark is not None
    feed = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", stored - 3)
        .option("endingVersion", newest)
        .load(Lake(lake.settings).location(RAW_INTERACTIONS))
        .where("tenant_id = 'merging'")
    )
    changes = sorted((row.event_id, row._change_type) for row in feed.collect())
    assert changes == [(f"m{n}", "insert") for n in range(5)]


def test_a_table_of_spark_keeps_what_is_live_young_or_pinned(
    lake: SessionLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With deletion vectors and a change feed, as the models' tables are."""
    spark = SparkSession.getActiveSession()
    assert spark is not None
    location = f"{lake.settings.lake}/features/cleaned"
    spark.sql(
        f"create table features.cleaned using delta partitioned by (tenant_id) "
        f"location '{location}' tblproperties ("
        "'delta.enableDeletionVectors' = 'true', 'delta.enableChangeDataFeed' = 'true') "
        "as select id, 'acme' as tenant_id from range(100)"
    )
    spark.sql("delete from features.cleaned where id < 10")  # a deletion vector
    spark.sql("update features.cleaned set id = id + 1000 where id < 50")  # change data
    spark.sql("insert overwrite features.cleaned select id, 'acme' from range(7)")
    assert DeltaTable(location).version() == 3

    def rows(version: int) -> int:
        table = DeltaTable(location, version=version)
        found = QueryBuilder().register("t", table).execute("select id from t")
        return int(found.read_all().num_rows)  # a count alone would come from the log

    def clean(pinned: dict[str, set[int]], kept_hours: int = 0) -> int:
        return dict(clean_derived(Lake(lake.settings), pinned, kept_hours))["features.cleaned"]

    real = DeltaTable.vacuum
    monkeypatch.setattr(
        DeltaTable,
        "vacuum",
        lambda self, **given: real(self, enforce_retention_duration=False, **given),
    )
    only_mine: Any = lambda _: [("features.cleaned", DeltaTable(location))]  # noqa: E731
    monkeypatch.setattr("lakehouse.storage.derived_maintenance.model_tables", only_mine)
    assert clean({}, kept_hours=24) == 0
    assert clean({"features/cleaned": {1}}) > 0
    assert (rows(1), rows(3)) == (90, 7)
    assert clean({}) > 0
    assert rows(3) == 7
    assert spark.sql("select count(*) as n from features.cleaned").collect()[0].n == 7
    with pytest.raises(Exception, match=r"(?i)not found|no such file"):
        rows(1)
    assert DeltaTable(location).version() == 3
    spark.sql("drop table features.cleaned")
