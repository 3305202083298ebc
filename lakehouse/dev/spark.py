"""One long-lived local Spark that many processes share: Connect by default, Thrift beside it.

Each process that opens a session of its own pays for a JVM (about 15 s and 2 GB). A run of the
models as many tasks goes through one server instead, as it would through a cluster's.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NoReturn

from lakehouse.control.owner import Owner, this_process
from lakehouse.dev.servers import (
    Server,
    find_server,
    free_port,
    is_listening,
    start_server,
    stop_server,
)
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.one_driver import NAME, Driver, new_name
from lakehouse.spark.runtime import prepare_environment
from lakehouse.spark.scratch import hold_scratch
from lakehouse.spark.session import open_remote_session, register_statements
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

Kind = Literal["connect", "thrift"]

NAMES: Final[dict[Kind, str]] = {"connect": "spark", "thrift": "spark-thrift"}
DEFAULT_PORTS: Final[dict[Kind, int]] = {"connect": 15002, "thrift": 10000}

_CLASSES: Final[dict[Kind, str]] = {
    "connect": "org.apache.spark.sql.connect.service.SparkConnectServer",
    "thrift": "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
}
_PORT_SETTINGS: Final[dict[Kind, str]] = {
    "connect": "spark.connect.grpc.binding.port",
    "thrift": "spark.hadoop.hive.server2.thrift.port",
}
_ADDRESS_SETTINGS: Final[dict[Kind, str]] = {
    "connect": "spark.connect.grpc.binding.address",
    "thrift": "spark.hadoop.hive.server2.thrift.bind.host",
}


def start_spark(settings: LakeSettings, kind: Kind = "connect", port: int | None = None) -> Server:
    """Start a Spark server on the lake and make every table of the lake known to it.

    Listens on 127.0.0.1, on `port` or on a free one. One that runs already is returned. Raises
    `EtaError` when Java or the jars cannot be had, the port is taken, or the server does not
    answer. A lake on S3 must have no other Spark, on no machine.
    """
    folder = settings.dev_dir / NAMES[kind]
    if (running := find_server(NAMES[kind], folder)) is not None:
        return running
    if port is not None and is_listening(port):
        raise EtaError(
            f"port {port} of 127.0.0.1 is taken",
            remedy="name another one with --port, or --port 0 for any that is free",
        )
    refuse_another_driver(settings)
    return start_driver(settings, kind, port or free_port(), _environment(settings))


def start_driver(
    settings: LakeSettings, kind: Kind, port: int, environment: Mapping[str, str]
) -> Server:
    """Start the server with this environment, tell it of the lake's tables, and the lake of it."""
    folder, lake = settings.dev_dir / NAMES[kind], Lake(settings)
    ensure_tables(lake)
    driver = Driver(new_name(), ", ".join(_addresses(kind, port).values()))
    server = start_server(
        NAMES[kind],
        folder,
        _command(kind, "127.0.0.1", port, environment, driver.name),
        addresses=_addresses(kind, port),
        is_ready=lambda: is_listening(port),
        environment=environment,
        keep_open=(hold_scratch(lake),),
    )
    try:
        _register_tables(kind, port, settings)
        _keep_lease(lake, driver, replace(this_process(), pid=server.pid, started=server.started))
    except Exception:
        stop_server(NAMES[kind], folder)
        raise
    return server


def refuse_another_driver(settings: LakeSettings) -> None:
    """Raise `AnotherDriver` when the lake is in a bucket and another Spark may write it."""
    if Lake(settings).needs_one_spark:
        from lakehouse.spark.driver_lease import DriverLease

        DriverLease(Lake(settings)).refuse_another()


def _keep_lease(lake: Lake, driver: Driver, process: Owner) -> None:
    if lake.needs_one_spark:
        from lakehouse.spark.driver_lease import DriverLease

        DriverLease(lake).keep(driver, process)


def become_spark(settings: LakeSettings, kind: Kind, host: str, port: int) -> NoReturn:
    """Replace this process by a Spark server on the lake; raises `EtaError` before that.

    It has no authentication of its own: `host` must be reachable for those alone who may do all.
    """
    refuse_another_driver(settings)
    environment = _environment(settings)
    ensure_tables(Lake(settings))
    driver = Driver(new_name(), f"{host}:{port}")
    command = _command(kind, host, port, environment, driver.name)
    _keep_lease(Lake(settings), driver, this_process())  # the same process is Spark from here on
    os.set_inheritable(hold_scratch(Lake(settings)), True)
    os.execve(command[0], command, environment)  # noqa: S606  # a list of our own making


def _environment(settings: LakeSettings) -> dict[str, str]:
    environment = dict(os.environ)
    prepare_environment(settings, environment, is_server=True)
    environment["PYSPARK_PYTHON"] = sys.executable
    return environment


def _command(
    kind: Kind, host: str, port: int, environment: Mapping[str, str], driver: str
) -> list[str]:
    options = {
        NAME: driver,
        _PORT_SETTINGS[kind]: str(port),
        _ADDRESS_SETTINGS[kind]: host,
    }
    return [
        str(Path(environment["SPARK_HOME"]) / "bin" / "spark-submit"),
        *("--class", _CLASSES[kind]),
        *(part for name, value in options.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]


def _addresses(kind: Kind, port: int) -> dict[str, str]:
    if kind == "connect":
        return {"remote": f"sc://127.0.0.1:{port}"}
    return {"host": "127.0.0.1", "port": str(port)}


def _register_tables(kind: Kind, port: int, settings: LakeSettings) -> None:
    if kind == "connect":
        open_remote_session(Lake(settings), f"sc://127.0.0.1:{port}").stop()
        return
    from pyhive import hive  # type: ignore[import-untyped]

    connection = hive.connect("127.0.0.1", port, username="eta")
    try:
        cursor = connection.cursor()
        for statement in register_statements(Lake(settings)):
            cursor.execute(statement)
    finally:
        connection.close()
