"""A local Spark session that knows every table of the lake, those of people's own schemas too.

A local lake has no metastore: its Delta tables are the only state, and a session's in-memory
catalogue is filled from the folders that hold them. Nothing can then disagree with the tables,
and no database lock stands between two terminals.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.runtime import prepare_environment
from lakehouse.spark.scratch import hold_scratch
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import find_tables
from lakehouse.storage.tables import ensure_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def open_local_session(settings: LakeSettings) -> "SparkSession":
    """Start, or return, this process's Spark session on a local lake, its tables registered.

    The service's tables are created empty where they are missing. Raises `EtaError` when Java or
    the Delta jars cannot be had, or when the lake is on an object store.
    """
    lake = Lake(settings)
    prepare_environment(settings, os.environ)
    ensure_tables(lake)
    hold_scratch(lake)
    from pyspark.sql import SparkSession

    # it writes every failed statement's JVM stack to stderr; the exception says the same
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    session = SparkSession.builder.appName("eta").getOrCreate()
    register_tables(session, lake)
    return session


@contextmanager
def opened_session(settings: LakeSettings) -> "Iterator[SparkSession]":
    """The session of the chosen target: the Connect server's, else this process's own.

    A target `thrift` has no session of its own to offer; a local one reads the lake beside it.
    """
    if settings.spark_target != "connect":
        yield open_local_session(settings)
        return
    session = open_remote_session(Lake(settings), settings.spark_remote)
    try:
        yield session
    finally:
        session.stop()


def open_remote_session(lake: Lake, remote: str) -> "SparkSession":
    """Open a session on a Spark Connect server; the tables of the lake are known to it.

    The caller stops it. Raises `EtaError` when nothing answers at `remote`.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.session import SparkSession

    try:
        session = SparkSession.builder.remote(remote).create()
        register_tables(session, lake)
    except (PySparkException, OSError) as error:
        raise EtaError(
            f"no Spark Connect server answers at {remote} ({type(error).__name__})",
            remedy="start one with `eta dev spark up`, or set ETA_SPARK_REMOTE to the cluster's",
        ) from error
    return session


def register_tables(session: "SparkSession", lake: Lake) -> None:
    """Make every Delta table of the lake known as `schema.table`; idempotent."""
    for schema, tables in find_tables(lake).items():
        session.sql(_schema_statement(lake, schema))
        known = {row.tableName for row in session.sql(f"show tables in `{schema}`").collect()}
        for table in tables:
            if table not in known:
                session.sql(_table_statement(lake, schema, table))


def register_statements(lake: Lake) -> list[str]:
    """Return what `register_tables` runs on a server that knows nothing; each may be repeated."""
    return [
        statement
        for schema, tables in find_tables(lake).items()
        for statement in (
            _schema_statement(lake, schema),
            *(_table_statement(lake, schema, table) for table in tables),
        )
    ]


def _schema_statement(lake: Lake, schema: str) -> str:
    return f"create schema if not exists `{schema}` location '{lake.uri(schema)}'"


def _table_statement(lake: Lake, schema: str, table: str) -> str:
    location = lake.uri(f"{schema}/{table}")
    return f"create table if not exists `{schema}`.`{table}` using delta location '{location}'"
