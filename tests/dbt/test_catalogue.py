"""The local session's catalogue."""

import pytest
from pyspark.sql import SparkSession

from tests.support.lake import SessionLake


def test_a_table_can_be_replaced_by_others_with_other_columns(lake: SessionLake) -> None:
    """What `dbt run --full-refresh` does after each change of columns: partition column last."""
    session = SparkSession.active()
    for columns in ("1 as a", "1 as a, 2 as b", "1 as a", "1 as a, 2 as c"):
        session.sql(
            "create or replace table ops.replaced using delta partitioned by (tenant_id) "
            f"as select {columns}, 't' as tenant_id"
        )
    assert session.table("ops.replaced").columns == ["a", "c", "tenant_id"]
    session.sql("drop table ops.replaced")


@pytest.mark.parametrize("is_feed_first", [True, False], ids=["feed first", "table first"])
def test_a_table_and_its_change_feed_are_two_relations_in_one_statement(
    lake: SessionLake, is_feed_first: bool
) -> None:
    """By name they would be one, whichever comes first, and a run would read wrong rows."""
    session = SparkSession.active()
    session.sql(
        "create or replace table ops.fed using delta "
        "tblproperties ('delta.enableChangeDataFeed' = 'true') as select id from range(7)"
    )
    session.sql("insert into ops.fed values (100), (101)")
    location = session.sql("describe detail ops.fed").collect()[0].location
    feed = f"(select count(id) from table_changes_by_path('{location}', 1, 1))"
    table = "(select count(id) from ops.fed)"
    counts = session.sql(
        f"select {feed} as feed, {table} as rows"
        if is_feed_first
        else f"select {table} as rows, {feed} as feed"
    ).collect()[0]
    assert (counts.feed, counts.rows) == (2, 9)
    session.sql("drop table ops.fed")
