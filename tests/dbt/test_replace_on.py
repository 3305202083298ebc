"""What dbt's cursor is taught: a write in one commit, settings of one thread, what logs say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dbt.adapters.spark import session as sessions
from dbt_common.exceptions import DbtRuntimeError
from pyspark.sql import SparkSession

from lakehouse.spark.log_answers import answer
from lakehouse.spark.replace_on import teach_dbt_sessions
from lakehouse.storage.lake import Lake
from tests.support.lake import SessionLake


def run(statement: str) -> Any:
    cursor = sessions.Connection().cursor()
    cursor.execute(statement)
    return cursor.fetchall()


@pytest.fixture
def table(lake: SessionLake) -> Iterator[str]:
    """Rows of two groups in a table with deletion vectors."""
    teach_dbt_sessions()
    run(
        "create or replace table features.replaced using delta tblproperties "
        "('delta.enableDeletionVectors' = 'true', 'delta.enableChangeDataFeed' = 'true') "
        "as select id, id % 2 as part from range(10)"
    )
    yield "features.replaced"
    run("drop table features.replaced")


def test_rows_that_match_leave_and_new_ones_come_in_one_commit(table: str) -> None:
    [before] = run(f"describe history {table} limit 1")
    [counts] = run(
        f"/* dbt */\ninsert into {table} as held replace on (held.part = fresh.part)\n"
        "select cast(id + 100 as bigint) as id, 1L as part from range(3)"
    )
    assert counts.asDict() == {
        "num_affected_rows": 8,
        "num_inserted_rows": 3,
        "num_deleted_rows": 5,
    }
    [after] = run(f"describe history {table} limit 1")
    assert after.version == before.version + 1
    assert [row.id for row in run(f"select id from {table} order by id")] == [
        *(0, 2, 4, 6, 8),
        *(100, 101, 102),
    ]


def test_a_statement_that_fails_says_why_and_changes_nothing(table: str) -> None:
    with pytest.raises(DbtRuntimeError, match="no_such_column"):
        run(
            f"insert into {table} as held replace on (held.part = fresh.part)\n"
            "select no_such_column as id, 1L as part from range(3)"
        )
    assert len(run(f"select * from {table}")) == 10


def test_what_a_thread_sets_is_its_own(table: str) -> None:
    name = "spark.sql.shuffle.partitions"
    spark = SparkSession.active()
    usual = spark.conf.get(name)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(run, f"set {name} = 77").result()
        assert one.submit(run, f"set {name}").result()[0].value == "77"
        assert other.submit(run, f"set {name}").result()[0].value == usual
        assert len(other.submit(run, f"select * from {table}").result()) == 10
    assert spark.conf.get(name) == usual


def test_what_a_log_says_is_answered_as_spark_does(table: str, lake: SessionLake) -> None:
    run(f"insert into {table} as held replace on (held.id = fresh.id)\nselect 1L as id, 1L as part")
    run(f"insert into {table} replace where id in (2, 4) select 2L as id, 0L as part")
    run(f"delete from {table} where id = 3")
    run(f"alter table {table} set tblproperties ('eta.read.raw.items' = '7@2026-01-01')")
    run(f"optimize {table}")
    history, properties = f"describe history {table} limit 4", f"show tblproperties {table}"
    by_spark, shown = run(history), run(properties)
    teach_dbt_sessions(Lake(lake.settings))
    by_log = run("/* dbt */\n" + history)
    assert len(by_log) == 4
    for ours, sparks in zip(by_log, by_spark, strict=True):
        for name in ("version", "timestamp", "operation", "operationMetrics"):
            assert ours[name] == sparks[name], name
        assert ours.operationParameters == sparks.operationParameters
    known = {row.key: row.value for row in run(properties)}
    assert known.items() <= {row.key: row.value for row in shown}.items()
    assert known["eta.read.raw.items"] == "7@2026-01-01"


def test_what_is_no_table_of_the_lake_is_left_to_spark(lake: SessionLake) -> None:
    lake_of_logs = Lake(lake.settings)
    assert answer(lake_of_logs, "show tblproperties features.no_such_table") is None
    assert answer(lake_of_logs, "describe history features.no_such_table limit 1") is None
    assert answer(lake_of_logs, "select 1") is None
    assert answer(None, "show tblproperties raw.items") is None
    teach_dbt_sessions(lake_of_logs)
    with pytest.raises(DbtRuntimeError, match="no_such_table"):
        run("describe history features.no_such_table limit 1")
