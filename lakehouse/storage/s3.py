"""The lake's object store as each of its clients wants it told: one set of options for all three.

`ETA_STORAGE_OPTIONS` has the names of delta-rs (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …, in any
case). What it leaves out, each client finds in its own way: the usual `AWS_…` variables, profiles,
the machine's role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lakehouse.storage.lake import Lake

ATTEMPTS: Final = 8
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30

_ENDPOINT: Final = ("aws_endpoint_url", "aws_endpoint", "endpoint_url", "endpoint")
_REGION: Final = ("aws_region", "region", "aws_default_region")
_KEY: Final = ("aws_access_key_id", "access_key_id")
_SECRET: Final = ("aws_secret_access_key", "secret_access_key")
_TOKEN: Final = ("aws_session_token", "session_token", "aws_token")
_STYLE: Final = ("aws_virtual_hosted_style_request", "virtual_hosted_style_request")


@dataclass(frozen=True, slots=True)
class BucketPrefix:
    """A bucket and the lake's prefix in it, without slashes at its ends."""

    bucket: str
    prefix: str


def bucket_prefix(lake: Lake) -> BucketPrefix:
    """Return where the lake is; raises `EtaError` when that is not S3."""
    found = urlsplit(lake.location())
    if not lake.has_tiers or not found.netloc:
        raise EtaError(
            f"the lake {lake.location()} is not on S3",
            remedy="set ETA_LAKE_URI to s3://BUCKET/PREFIX (docs/s3.md)",
        )
    return BucketPrefix(found.netloc, found.path.strip("/"))


def s3_client(lake: Lake) -> S3Client:
    """Return a client for what delta-rs does not do, with the same address and credentials."""
    import boto3
    from botocore.config import Config

    options = _Options(lake.options)
    endpoint = options.find(_ENDPOINT)
    style: Literal["auto", "path", "virtual"] = "auto"
    if endpoint is not None:
        style = "virtual" if options.find(_STYLE) == "true" else "path"
    config = Config(
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        s3={"addressing_style": style},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=options.find(_REGION),
        aws_access_key_id=options.find(_KEY),
        aws_secret_access_key=options.find(_SECRET),
        aws_session_token=options.find(_TOKEN),
        config=config,
    )


def s3a_settings(configured: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that let Spark read and write through S3A, by name."""
    options = _Options(configured)
    s3a = "spark.hadoop.fs.s3a."
    found: dict[str, Any] = {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        f"{s3a}path.style.access": str(options.find(_STYLE) != "true").lower(),
        f"{s3a}endpoint": options.find(_ENDPOINT),
        f"{s3a}endpoint.region": options.find(_REGION),
        f"{s3a}access.key": options.find(_KEY),
        f"{s3a}secret.key": options.find(_SECRET),
        f"{s3a}session.token": options.find(_TOKEN),
        f"{s3a}attempts.maximum": str(ATTEMPTS),
        # the default wants one more library, for prefetching
        f"{s3a}input.stream.type": "classic",
    }
    endpoint = found[f"{s3a}endpoint"]
    if endpoint is None:
        del found[f"{s3a}path.style.access"]
    elif endpoint.startswith("http://"):
        found[f"{s3a}connection.ssl.enabled"] = "false"
    return {name: value for name, value in found.items() if value is not None}


class _Options:
    """Options of delta-rs by any of their names."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in options.items()}

    def find(self, names: tuple[str, ...]) -> str | None:
        return next((self._values[name] for name in names if name in self._values), None)
