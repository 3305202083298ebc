"""Merging files beside the models: their change feeds show nothing of it."""

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.storage.care import Day, merge_small_files
from lakehouse.storage.tables import open_table, table_location
from tests.support.lake import NOON, Lake, interaction

pytestmark = pytest.mark.spark


def test_merged_files_are_no_change_to_readers_of_the_feed(lake: Lake) -> None:
    for n in range(4):
        lake.store("merging", [interaction(f"m{n}", f"u{n}")], known_at=NOON)
    stored = open_table(lake.settings, RAW_INTERACTIONS).version()
    day = Day("merging", NOON.date().isoformat())
    merged = merge_small_files(lake.settings, RAW_INTERACTIONS, day, above=1)
    assert merged is not None
    assert (merged.files_before, merged.files_after) == (4, 1)
    lake.store("merging", [interaction("m4", "u4")], known_at=NOON)
    newest = open_table(lake.settings, RAW_INTERACTIONS).version()
    assert newest == stored + 2

    spark = SparkSession.getActiveSession()
    assert spark is not None
    feed = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", stored - 3)
        .option("endingVersion", newest)
        .load(table_location(lake.settings, RAW_INTERACTIONS))
        .where("tenant_id = 'merging'")
    )
    changes = sorted((row.event_id, row._change_type) for row in feed.collect())
    assert changes == [(f"m{n}", "insert") for n in range(5)]
