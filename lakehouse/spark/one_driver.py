"""This process writes a lake in a bucket through one Spark driver, or not at all.

The first command of a process that writes takes the lake's lease for the driver that it is about
to write through (`driver_lease`), before its first statement. What the lease says is looked at
again before each statement.
"""

from __future__ import annotations

import atexit
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.spark.driver_lease import Writer

NAME: Final = "spark.eta.driver"
"""The setting by which a driver that `eta` starts says who it is."""
APPLICATION: Final = "spark.app.id"


@dataclass(frozen=True, slots=True)
class Driver:
    """A Spark driver: its name, which no other has, and where it is asked."""

    name: str
    address: str


class LeaseLost(EtaError):
    """This process may not write any more."""

    def __init__(self) -> None:
        super().__init__(
            "this process did not renew its lease of the lake in time, or somebody released it: "
            "another Spark driver may write the lake now",
            remedy="look whether the bucket can be reached and who writes (`eta spark driver`), "
            "then run the command again",
        )


_writers: Final[dict[str, Writer]] = {}
"""By lake: this process's part in its lease."""


def write_through(settings: LakeSettings, target: str) -> None:
    """Take the lease of the lake for the driver of a target, until this process ends; idempotent.

    Does nothing where several Sparks may commit. Raises `AnotherDriver` while another driver may
    write, `EtaError` when no server answers.
    """
    lake = Lake(settings)
    if not lake.needs_one_spark or target == "dev":
        return
    driver = _thrift_driver(settings) if target == "thrift" else _connect_driver(settings)
    writer = _writers.get(lake.location())
    if writer is not None and writer.driver.name == driver.name:
        writer.check()
        return
    from lakehouse.spark.driver_lease import DriverLease, Writer

    if writer is not None:  # the server was started again
        writer.end(is_idle=True)
    _writers[lake.location()] = Writer(DriverLease(lake), driver)
    if writer is None:
        atexit.register(_end, lake.location(), is_asked=target == "connect")


def check_driver() -> None:
    """Raise `LeaseLost` unless this process may go on to write."""
    for writer in _writers.values():
        writer.check()


def driver_of(session: Any, remote: str) -> Driver:
    """Return the driver of a Connect server, by the name that `eta` or its cluster gave it."""
    return Driver(session.conf.get(NAME, None) or session.conf.get(APPLICATION), remote)


def new_name() -> str:
    """Return a name for a driver that is about to be started, for the setting `NAME`."""
    return f"eta-{socket.gethostname()}-{token_hex(4)}"


def _connect_driver(settings: LakeSettings) -> Driver:
    """Ask the server that dbt is about to use, in the session that dbt will find."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    remote = os.environ.get("SPARK_REMOTE", settings.spark_remote)
    try:
        return driver_of(SparkSession.builder.getOrCreate(), remote)
    except (PySparkException, OSError) as error:
        raise EtaError(
            f"no Spark Connect server answers at {remote} ({type(error).__name__})",
            remedy="start one with `eta dev spark up`, or set ETA_SPARK_REMOTE to the cluster's",
        ) from error


def _thrift_driver(settings: LakeSettings) -> Driver:
    """Ask the Thrift Server; one that asks for more than a user's name is known by its address."""
    from pyhive import hive  # type: ignore[import-untyped]

    address = f"thrift://{settings.thrift_host}:{settings.thrift_port}"
    try:
        connection = hive.connect(settings.thrift_host, settings.thrift_port, username="eta")
        with closing(connection), closing(connection.cursor()) as cursor:
            for setting in (NAME, APPLICATION):
                cursor.execute(f"set {setting}")
                value = cursor.fetchone()[1]
                if value != "<undefined>":
                    return Driver(value, address)
    except Exception:  # noqa: BLE001 - how it is logged in to is the profile's matter
        return Driver(address, address)
    return Driver(address, address)


def _end(place: str, *, is_asked: bool) -> None:
    """Give the lease back if nothing of this process goes on in the driver; else it runs out."""
    writer = _writers.pop(place, None)
    if writer is not None:
        writer.end(is_idle=is_asked and _has_nothing_running())


def _has_nothing_running() -> bool:
    """End what this process's session runs in its server; False when that does not answer."""
    from pyspark.sql import SparkSession

    try:
        session = SparkSession.builder.getOrCreate()
        session.client.set_retry_policies([])  # it would try for minutes
        session.interruptAll()
        session.conf.get(APPLICATION)
    except Exception:  # noqa: BLE001 - the process ends; what the server does is not known
        return False
    return True
