"""A local Spark session that knows every table of the lake.

A local lake has no metastore: its Delta tables are the only state, and a session's in-memory
catalogue is filled from the folders that hold them. Nothing can then disagree with the tables,
and no database lock stands between two terminals.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse.settings import LakeSettings
from lakehouse.spark.runtime import prepare_environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMAS: Final = ("raw", "ops", "staging", "features", "training", "evaluation", "serving")


def open_local_session(settings: LakeSettings) -> "SparkSession":
    """Start, or return, this process's Spark session on a local lake, its tables registered.

    The service's tables are created empty where they are missing. Raises `EtaError` when Java or
    the Delta jars cannot be had, or when the lake is on an object store.
    """
    from lakehouse.storage.tables import ensure_tables

    prepare_environment(settings, os.environ)
    ensure_tables(settings)
    from pyspark.sql import SparkSession

    # it writes every failed statement's JVM stack to stderr; the exception says the same
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    session = SparkSession.builder.appName("eta").getOrCreate()
    register_tables(session, settings.lake)
    return session


def register_tables(session: "SparkSession", lake: str) -> None:
    """Make every Delta table of a local `lake` known as `schema.table`; idempotent."""
    for schema in SCHEMAS:
        folder = Path(lake) / schema
        session.sql(f"create schema if not exists {schema} location '{folder.as_uri()}'")
        known = {row.tableName for row in session.sql(f"show tables in {schema}").collect()}
        for log in sorted(folder.glob("*/_delta_log")):
            table = log.parent
            if table.name not in known:
                session.sql(
                    f"create table if not exists {schema}.{table.name} "
                    f"using delta location '{table.as_uri()}'"
                )
