"""`python -m lakehouse.spark.fetch`: fetch the jars that Spark needs, before it is first started.

For images and machines that reach no Maven repository later: those for Delta and those for S3 go
into `ETA_CACHE_DIR`, with the launcher of a Java that came as a package.
"""

import os
import sys

from lakehouse.settings import LakeSettings
from lakehouse.spark.jars import DELTA_JARS, ensure_jars
from lakehouse.spark.java import find_java_home, find_spark_home
from lakehouse.spark.s3_jars import s3_jars


def fetch(settings: LakeSettings) -> int:
    """Fetch what the cache lacks; return how many jars it has. Raises `EtaError`, see `jars`."""
    java_home = find_java_home(settings.cache_dir, dict(os.environ))
    jars = ensure_jars(
        DELTA_JARS, settings.cache_dir, java_home=java_home, spark_home=find_spark_home()
    )
    return len(jars) + len(s3_jars(settings))


if __name__ == "__main__":
    settings = LakeSettings()
    sys.stdout.write(f"{fetch(settings)} jars are in {settings.cache_dir}\n")
