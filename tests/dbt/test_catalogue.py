"""The local session's catalogue."""

from pyspark.sql import SparkSession

from tests.support.lake import Lake


def test_a_table_can_be_replaced_by_others_with_other_columns(lake: Lake) -> None:
    """What `dbt run --full-refresh` does after each change of columns: partition column last."""
    session = SparkSession.active()
    for columns in ("1 as a", "1 as a, 2 as b", "1 as a", "1 as a, 2 as c"):
        session.sql(
            "create or replace table ops.replaced using delta partitioned by (tenant_id) "
            f"as select {columns}, 't' as tenant_id"
        )
    assert session.table("ops.replaced").columns == ["a", "c", "tenant_id"]
    session.sql("drop table ops.replaced")
