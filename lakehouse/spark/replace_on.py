"""`INSERT INTO … REPLACE ON` for Delta: rows that match leave, new ones come, in one commit.

Spark 4.2 parses the statement and Delta 4.4 refuses it (UNSUPPORTED_FEATURE.TABLE_OPERATION), but
writes the same through a DataFrame. dbt's sessions, local and on a Connect server, speak through
`dbt.adapters.spark.session.Cursor`, so that is where the statement becomes that write.

There, too, each of dbt's threads gets a local session of its own, with the tables in common: what a
model sets (`set spark.sql.shuffle.partitions = 4`) is then not the other threads' setting. What a
Delta log itself says is read there, too (`log_answers`).
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from lakehouse.spark.log_answers import Answer, answer, counts
from lakehouse.spark.one_driver import LeaseLost, check_driver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.storage.lake import Lake

NEW_ROWS: Final = "fresh"
"""The name by which the condition knows the rows of the query."""

_STATEMENT: Final = re.compile(
    r"\s*(?:/\*.*?\*/\s*)?"  # dbt's comment
    r"insert into (?P<table>\S+) as (?P<alias>\w+) replace on \((?P<condition>[^\n]+)\)\n"
    r"(?P<query>.*)",
    re.DOTALL,
)

_OF_TENANTS: Final = re.compile(
    r"\s*(?:/\*.*?\*/\s*)?insert into (?P<table>\S+) replace where ", re.DOTALL
)
"""Delta runs this one itself, and does not say how many rows it wrote."""


_known: dict[str, Lake] = {}
"""The lake whose logs this process may read itself, if it is one."""


def teach_dbt_sessions(lake: Lake | None = None) -> None:
    """Let the cursors of dbt's sessions run the statement; idempotent.

    It returns a row like Delta's other statements: `num_affected_rows`, `num_inserted_rows` and
    `num_deleted_rows`. `insert into T replace where …` does so too. Questions about the logs of
    the `lake` of local sessions are answered without Spark.
    """
    _known.clear()
    if lake is not None:
        _known["lake"] = lake
    from dbt.adapters.spark import session as sessions
    from dbt_common.exceptions import DbtRuntimeError
    from pyspark.errors import PySparkException

    if sessions.Cursor.__module__ == __name__:
        return

    class Cursor(sessions.Cursor):  # type: ignore[misc]  # dbt has no types
        """dbt's cursor, which knows one statement more."""

        def execute(self, sql: str, *parameters: Any) -> None:
            statement = sql % parameters if parameters else sql
            _check_driver()
            if answered := answer(_known.get("lake"), statement):
                self._df = answered
                return
            session = _session_of_thread()
            found = _STATEMENT.fullmatch(statement)
            try:
                self._df = (
                    _replace(session, **found.groupdict()) if found else session.sql(statement)
                )
                if replaced := _OF_TENANTS.match(statement):
                    self._df = _counted(session, replaced["table"])
            except PySparkException as error:
                raise DbtRuntimeError(str(error)) from error

    sessions.Cursor = Cursor


def _check_driver() -> None:
    """Refuse a statement of a process whose lease of the lake in a bucket has ended."""
    from dbt_common.exceptions import DbtRuntimeError

    try:
        check_driver()
    except LeaseLost as error:
        raise DbtRuntimeError(str(error)) from error


_threads = threading.local()


def _session_of_thread() -> SparkSession:
    """This thread's session; on a Connect server the process's, which the server keeps apart."""
    from pyspark.sql import SparkSession

    common = SparkSession.builder.getOrCreate()
    if "SPARK_REMOTE" in os.environ:
        return common
    if getattr(_threads, "common", None) is not common:  # another one was started since
        _threads.common, _threads.own = common, common.newSession()
    own: SparkSession = _threads.own
    return own


def _replace(session: SparkSession, table: str, alias: str, condition: str, query: str) -> Answer:
    (
        session.sql(query)
        .alias(NEW_ROWS)
        .write.format("delta")
        .mode("overwrite")
        .option("targetAlias", alias)
        .option("replaceOn", condition)
        .saveAsTable(table)
    )
    return _counted(session, table)


def _counted(session: SparkSession, table: str) -> Answer:
    """The rows that the newest commit wrote and, if Delta counted them, removed, as one row."""
    statement = f"describe history {table} limit 1"
    [commit] = (answer(_known.get("lake"), statement) or session.sql(statement)).collect()
    metrics = commit["operationMetrics"]
    # rows of files that were written again for others are output too
    inserted = int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))
    if "numDeletedRows" not in metrics:
        return counts(num_affected_rows=inserted, num_inserted_rows=inserted)
    deleted = int(metrics["numDeletedRows"])
    return counts(
        num_affected_rows=inserted + deleted, num_inserted_rows=inserted, num_deleted_rows=deleted
    )
