"""What Spark needs to read and write S3: S3A and the modules of the AWS SDK that it uses.

Hadoop asks for the SDK's bundle of everything (686 MB); these 36 jars are 13 MB. Libraries that
Spark brings itself (Netty, SLF4J, HttpClient) are left out: two versions of one do not go together.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lakehouse.settings import LakeSettings
from lakehouse.spark.bundles import fetch_bundle

HADOOP_VERSION: Final = "3.5.0"
"""That of the Hadoop client in pyspark."""
SDK_VERSION: Final = "2.35.4"
"""The one that this Hadoop was built with."""

ACCELERATOR_VERSION: Final = "1.3.1"
"""Of a reader that S3A names in its constants and that nothing here uses."""

_OF_SPARK: Final = ("io.netty", "org.slf4j", "commons-logging", "commons-codec")
_HTTP: Final = "org.apache.httpcomponents"
_WANTED: Final = f"""\
<ivy-module version="2.0">
  <info organisation="eta" module="s3a"/>
  <dependencies>
    <dependency org="org.apache.hadoop" name="hadoop-aws" rev="{HADOOP_VERSION}"
                transitive="false" conf="default->master"/>
    <dependency org="software.amazon.s3.analyticsaccelerator" name="analyticsaccelerator-s3"
                rev="{ACCELERATOR_VERSION}" transitive="false" conf="default->master"/>
    <dependency org="software.amazon.awssdk" name="s3-transfer-manager" rev="{SDK_VERSION}"
                conf="default->compile(*),runtime(*),master(*)"/>
    <dependency org="software.amazon.awssdk" name="sts" rev="{SDK_VERSION}"
                conf="default->compile(*),runtime(*),master(*)"/>
{"".join(f'    <exclude org="{name}"/>' for name in (*_OF_SPARK, _HTTP))}
  </dependencies>
</ivy-module>
"""


def s3_jars(settings: LakeSettings) -> list[Path]:
    """Return the jars, fetched on first use; raises `EtaError` when they cannot be had."""

    def arguments(scratch: Path) -> Sequence[str]:
        (scratch / "ivy.xml").write_text(_WANTED, encoding="utf-8")
        return (
            *("-ivy", f"{scratch}/ivy.xml", "-cache", f"{scratch}/cache"),
            *("-retrieve", f"{scratch}/files/[artifact]-[revision](-[classifier]).[ext]"),
        )

    return sorted(fetch_bundle(f"s3a-{HADOOP_VERSION}", "s3a.lock", settings, arguments).iterdir())
