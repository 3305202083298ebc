"""One long-lived local Spark that many processes share: Connect by default, Thrift beside it.

Each process that opens a session of its own pays for a JVM (about 15 s and 2 GB). A run of the
models as many tasks goes through one server instead, as it would through a cluster's.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NoReturn

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
    port = port or free_port()
    environment = _environment(settings)
    ensure_tables(Lake(settings))
    server = start_server(
        NAMES[kind],
        folder,
        _command(kind, "127.0.0.1", port, environment),
        addresses=_addresses(kind, port),
        is_ready=lambda: is_listening(port),
        environment=environment,
        keep_open=(hold_scratch(Lake(settings)),),
    )
    try:
        _register_tables(kind, port, settings)
    except Exception:
        stop_server(NAMES[kind], folder)
        raise
    return server


def become_spark(settings: LakeSettings, kind: Kind, host: str, port: int) -> NoReturn:
    """Replace this process by a Spark server on the lake; raises `EtaError` before that.

    It has no authentication of its own: `host` must be reachable for those alone who may do all.
    """
    environment = _environment(settings)
    ensure_tables(Lake(settings))
    command = _command(kind, host, port, environment)
    os.set_inheritable(hold_scratch(Lake(settings)), True)
    os.execve(command[0], command, environment)  # noqa: S606  # a list of our own making


def _environment(settings: LakeSettings) -> dict[str, str]:
    environment = dict(os.environ)
    prepare_environment(settings, environment, is_server=True)
    environment["PYSPARK_PYTHON"] = sys.executable
    return environment


def _command(kind: Kind, host: str, port: int, environment: Mapping[str, str]) -> list[str]:
    options = {
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
