"""What the Connect server of a cluster has to be configured with for this lake.

One function makes it, for `eta spark config` as for `eta dev spark up --cluster`: what is printed
is what is tested. Nothing in it names a folder that driver and executors have in common: the jars
are sent to the executors by the driver, and the lake is in a bucket (or in a folder that every
machine sees, which is then the matter of who runs the cluster).
"""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.java import find_java_home, find_spark_home
from lakehouse.spark.runtime import (
    buffer_settings,
    lake_configuration,
    scratch_options,
    shuffle_partitions,
    spark_jars,
)
from lakehouse.spark.scratch import scratch_dir
from lakehouse.storage.lake import Lake

Format = Literal["conf", "arguments", "json"]

CREDENTIALS: Final = frozenset(
    f"spark.hadoop.fs.s3a.{name}" for name in ("access.key", "secret.key", "session.token")
)
"""Settings that are printed only when they are asked for."""

_DIRECTORIES: Final = ("SPARK_EXECUTOR_DIRS", "SPARK_LOCAL_DIRS", "LOCAL_DIRS")
"""The variables by which standalone workers, Kubernetes and YARN name an executor's own folder."""

_RULES: Final = """\
# The Spark Connect server of the lake {lake}
# One Spark writes a lake in a bucket: Spark's commits there are safe within one driver. Commands
# that write through another one are refused as long as this one may write (`eta spark driver`).
# The server asks nobody who they are: only eta's machines may reach its port.
# Make this again when the lake has grown tenfold (spark.sql.shuffle.partitions).
"""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the server may use of a cluster; None leaves it to Spark and the cluster.

    `master` as Spark spells it (`spark://host:7077`, `yarn`), `cores` of all executors together,
    `executor_memory` of each as Spark writes it (`4g`).
    """

    master: str | None = None
    cores: int | None = None
    executor_cores: int | None = None
    executor_memory: str | None = None


def cluster_jars(settings: LakeSettings) -> list[Path]:
    """Return the jars on this machine, fetched on first use."""
    java_home = find_java_home(settings.cache_dir, dict(os.environ))
    return spark_jars(settings, java_home, find_spark_home())


def cluster_configuration(
    settings: LakeSettings, jars: list[Path], resources: Resources = Resources()
) -> dict[str, str]:
    """Return the settings of a cluster's Connect server, by name, credentials of S3 included.

    Raises `EtaError` for an object store that `eta` has no jars for.
    """
    lake = Lake(settings)
    partitions = settings.shuffle_partitions or _partitions(lake, resources.cores or 1)
    asked = {
        "spark.master": resources.master,
        "spark.cores.max": resources.cores,
        "spark.executor.cores": resources.executor_cores,
        "spark.executor.memory": resources.executor_memory,
    }
    java_options = [*scratch_options(lake), settings.java_options or "-XX:+UseParallelGC"]
    return {
        **{name: str(value) for name, value in asked.items() if value is not None},
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": " ".join(java_options),
        "spark.executor.extraJavaOptions": "-XX:+UseParallelGC",
        # the driver sends them to the executors
        "spark.jars": ",".join(map(str, jars)),
        # Shuffles and spills hold rows of people, on disks that no erasure searches: their key is
        # gone with the application.
        "spark.io.encryption.enabled": "true",
        # a task may lose several executors before its run is given up
        "spark.task.maxFailures": "8",
        "spark.ui.enabled": "false",
        **lake_configuration(settings, partitions),
        **lake.spark_settings(),
        **buffer_settings(lake, _own_folder(lake)),
    }


def _partitions(lake: Lake, cores: int) -> int:
    from deltalake.exceptions import DeltaError

    try:
        return shuffle_partitions(lake.raw_bytes(), cores)
    except (DeltaError, OSError) as error:
        raise EtaError(
            f"the lake {lake.location()}, whose size decides on the partitions, cannot be read "
            f"({type(error).__name__})",
            remedy="check ETA_LAKE_URI and ETA_STORAGE_OPTIONS, or set ETA_SHUFFLE_PARTITIONS",
        ) from error


def _own_folder(lake: Lake) -> str:
    """The folder of whoever reads this, in Hadoop's words: an executor's own, else the driver's."""
    folder = str(scratch_dir(lake))
    for variable in reversed(_DIRECTORIES):
        folder = f"${{env.{variable}:-{folder}}}"
    return folder


def _tells(name: str, value: str) -> bool:
    """Whether a setting tells a secret: a credential, or an address with one in it."""
    return name in CREDENTIALS or "@" in urlsplit(value).netloc


def rendered(
    settings: LakeSettings,
    configuration: Mapping[str, str],
    form: Format,
    *,
    with_secrets: bool = False,
) -> str:
    """Return the configuration as `spark-defaults.conf`, arguments of spark-submit, or JSON.

    Credentials are left out unless they are asked for; the first form says where they belong.
    """
    hidden = (
        [] if with_secrets else sorted(filter(lambda n: _tells(n, configuration[n]), configuration))
    )
    shown = {name: value for name, value in configuration.items() if name not in hidden}
    if form == "json":
        return json.dumps(shown, indent=2)
    if form == "arguments":
        return " \\\n".join(f"--conf {shlex.quote(f'{n}={v}')}" for n, v in shown.items())
    head = _RULES.format(lake=Lake(settings).location())
    lines = [f"{name} {value}" for name, value in shown.items()]
    lines += [f"# {name} is not shown: eta spark config --secrets" for name in hidden]
    return head + "\n".join(lines)
