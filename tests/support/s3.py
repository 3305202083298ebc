"""A local S3 for tests, and lakes on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.dev.s3 import BUCKET, start_s3, stop_s3, storage_options
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; a lake of each has a prefix of its own."""
    settings = LakeSettings(home=tmp_path_factory.mktemp("s3"))
    yield start_s3(settings)
    stop_s3(settings)


def lake_on_s3(s3: Server, home: Path, name: str) -> LakeSettings:
    """Settings of a lake on the server, with a local home of its own."""
    return LakeSettings(
        home=home, lake_uri=f"s3://{BUCKET}/{name}", storage_options=storage_options(s3)
    )
