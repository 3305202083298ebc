"""Make local Spark start anywhere: Java, jars and one configuration folder, found or made.

The configuration folder (`SPARK_CONF_DIR`) is written, not `profiles.yml`, because it holds what a
machine decides (paths, jars) and because Spark reads it however it is started: by dbt's session,
by the Connect server, by the Thrift Server, by a notebook.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.jars import DELTA_JARS, ensure_jars
from lakehouse.spark.java import find_java_home, find_spark_home
from lakehouse.spark.scratch import scratch_dir
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import DEFAULT
from lakehouse.storage.whole_files import write_whole

SMALL_LAKE_BYTES: Final = 4 * 1024 * 1024
"""Raw Parquet up to about 130,000 interactions."""

SMALL_SHUFFLE_PARTITIONS: Final = 2
MIN_SHUFFLE_PARTITIONS: Final = 4
RAW_BYTES_PER_SHUFFLE_PARTITION: Final = 4 * 1024 * 1024

# Errors only: dbt's session target sets its parameters before every statement and Spark
# would warn each time that some of them are static.
_LOG4J2: Final = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""


def prepare_environment(
    settings: LakeSettings, environment: MutableMapping[str, str], *, is_server: bool = False
) -> None:
    """Put `JAVA_HOME`, `SPARK_HOME` and `SPARK_CONF_DIR` into `environment` for a local Spark.

    Guarantees that a JVM started with `environment` finds Java, Delta and the lake. What the user
    exported stays (a `SPARK_CONF_DIR` of one's own replaces ours whole). Raises `EtaError` for a
    lake on S3 unless it `is_server`: Delta's commits there lock inside one JVM, so it has one
    Spark. So it does for a store that `eta` has no jars for.
    """
    lake = Lake(settings)
    if lake.needs_one_spark and not is_server:
        raise EtaError(
            "a local Spark session may not write a lake on an object store: "
            "two sessions on one bucket can lose commits",
            remedy="use the one Spark server of that lake (`eta dev spark up` starts one here): "
            "`dbt build --target connect` or DBT_TARGET=connect, ETA_SPARK_REMOTE its address",
        )
    folder = _configuration_dir(lake)
    if Path(environment.get("SPARK_CONF_DIR", folder)) != folder:
        return
    lake.spark_settings()  # refuses before anything is fetched
    lake.restrict()
    java_home = find_java_home(settings.cache_dir, dict(environment))
    spark_home = find_spark_home()
    jars = spark_jars(settings, java_home, spark_home)
    environment["JAVA_HOME"] = str(java_home)
    environment["SPARK_HOME"] = str(spark_home)
    environment["SPARK_CONF_DIR"] = str(write_configuration(settings, jars, is_server=is_server))


def spark_jars(settings: LakeSettings, java_home: Path, spark_home: Path) -> list[Path]:
    """Return the jars that a Spark of this lake needs, fetched on first use: Delta's, and S3A's."""
    jars = ensure_jars(DELTA_JARS, settings.cache_dir, java_home=java_home, spark_home=spark_home)
    if Lake(settings).spark_settings():
        from lakehouse.spark.s3_jars import s3_jars

        jars += s3_jars(settings)
    return jars


def spark_configuration(
    settings: LakeSettings, jars: list[Path], *, is_server: bool = False
) -> dict[str, str]:
    """Return the static Spark settings of a local Spark, by name; docs/adr says what each gains.

    A server outlives the size that the lake has when it starts: it is set up for one that is not
    small.
    """
    lake = Lake(settings)
    raw_bytes = lake.raw_bytes()
    is_small = raw_bytes <= SMALL_LAKE_BYTES and not is_server
    partitions = settings.shuffle_partitions or (
        SMALL_SHUFFLE_PARTITIONS if is_small else shuffle_partitions(raw_bytes)
    )
    return {
        "spark.master": f"local[{settings.spark_cores}]",
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        "spark.driver.extraJavaOptions": " ".join(
            [*scratch_options(lake), settings.java_options or _java_options(is_small)]
        ),
        "spark.local.dir": str(scratch_dir(lake)),
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        **lake_configuration(settings, partitions, is_small=is_small),
        **lake.spark_settings(),
        **buffer_settings(lake, str(scratch_dir(lake))),
    }


def shuffle_partitions(raw_bytes: int, cores: int = MIN_SHUFFLE_PARTITIONS) -> int:
    """Return the partitions of a shuffle that suit a lake that is not small: one per core at least.

    The content of a table does not depend on it.
    """
    return max(MIN_SHUFFLE_PARTITIONS, cores, raw_bytes // RAW_BYTES_PER_SHUFFLE_PARTITION)


def lake_configuration(
    settings: LakeSettings, partitions: int, *, is_small: bool = False
) -> dict[str, str]:
    """Return the settings that every Spark of the lake has, wherever it runs, by name."""
    lake = Lake(settings)
    return {
        # Hadoop sets the modes of what it creates itself, by a mask of its own
        "spark.hadoop.fs.permissions.umask-mode": settings.umask,
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # where the schema `default` is, of models and seeds that name none
        "spark.sql.warehouse.dir": lake.location(DEFAULT),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(partitions),
        # Planning again after every shuffle costs a small lake more than it can gain: a run by
        # changes took 125 processor seconds with it and 61 without.
        "spark.sql.adaptive.enabled": str(not is_small).lower(),
        # Code for single expressions takes longer to make than a small lake's rows to compute: a
        # run by changes took 75 processor seconds with it and 50 without.
        "spark.sql.codegen.factoryMode": "NO_CODEGEN" if is_small else "FALLBACK",
        # Spark shares its least number of partitions (the cores) out between the inputs of a union
        # and would run the sampling, a union of two equally partitioned inputs, as one task.
        "spark.sql.adaptive.coalescePartitions.minPartitionNum": str(2 * partitions),
        # Few users have more than the 50 interactions that are kept: to rank them before the
        # shuffle, too, only sorts twice. For the one newest row of a key it pays.
        "spark.sql.optimizer.windowGroupLimitThreshold": "10",
        # Without it a sliding window costs the square of its rows: features of a user with 200,000
        # interactions took over 17 minutes, and 39 s with it.
        "spark.sql.window.segmentTree.enabled": "true",
        # A task keeps a file open per tenant, up to so many, and need not sort its rows by tenant.
        "spark.sql.maxConcurrentOutputFileWriters": "16",
        # A small lake's tables have few files: their lists are one task's work.
        "spark.databricks.delta.snapshotPartitions": "1" if is_small else "2",
        # Each statement's plan is written down for the event log. The short form costs less.
        "spark.sql.ui.explainMode": "simple",
        # A table keeps the least and greatest value of a column in its log, where they outlive an
        # erased person's rows. Tables that need some say which (`delta.dataSkippingStatsColumns`).
        "spark.databricks.delta.properties.defaults.dataSkippingNumIndexedCols": "0",
        "spark.ui.showConsoleProgress": "false",
    }


def buffer_settings(lake: Lake, folder: str) -> dict[str, str]:
    """Return where S3A keeps the blocks of files that it uploads: below `folder`.

    They are rows of people. By default they lie in a folder of `/tmp`, which a Spark that was
    killed leaves behind and no erasure searches.
    """
    return {"spark.hadoop.fs.s3a.buffer.dir": f"{folder}/s3a"} if lake.spark_settings() else {}


def scratch_options(lake: Lake) -> list[str]:
    """Options that keep a JVM's temporary files in the scratch folder."""
    return [f'"-D{name}={scratch_dir(lake)}"' for name in ("java.io.tmpdir", "derby.system.home")]


def _java_options(is_small: bool) -> str:
    """Options by the size of the lake.

    A run on little data is over before the optimising compiler pays: with the first compiler alone
    the models and tests of the demo cost 74 s of processor time instead of 117 s (2 cores). Its
    default code cache of 48 MB would fill up and stop it. On 1.5 million rows it is the other way
    round: the negatives cost 52 s with the first compiler alone and 24 s with both.
    """
    parallel = "-XX:+UseParallelGC"
    if not is_small:
        return parallel
    return f"{parallel} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"


def write_configuration(
    settings: LakeSettings, jars: list[Path], *, is_server: bool = False
) -> Path:
    """Write `spark-defaults.conf` and `log4j2.properties` below the home; return their folder."""
    folder = _configuration_dir(Lake(settings))
    write_settings(folder, spark_configuration(settings, jars, is_server=is_server))
    return folder


def write_settings(folder: Path, configuration: Mapping[str, str]) -> None:
    """Write the two files of a `SPARK_CONF_DIR`, readable by their owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {value}\n" for name, value in configuration.items()]
    _write_if_changed(folder / "spark-defaults.conf", "".join(lines))
    _write_if_changed(folder / "log4j2.properties", _LOG4J2)


def _configuration_dir(lake: Lake) -> Path:
    return lake.home / "spark-conf"


def _write_if_changed(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    write_whole(path, text, mode=0o600)  # it may hold the credentials of the object store
