"""The models on S3, through the one Spark server of the lake: the same content as on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from deltalake import QueryBuilder, write_deltalake

from lakehouse.contracts.tables import (
    OPS_TENANT_SETTINGS,
    RAW_INTERACTIONS,
    RAW_ITEMS,
)
from lakehouse.dev.s3 import storage_options
from lakehouse.dev.servers import Server, find_server, stop_server
from lakehouse.dev.spark import NAMES
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import clean_tables
from lakehouse.storage.tables import ensure_tables
from tests.conftest import PROJECT_DIR
from tests.support.lake import SessionLake
from tests.support.s3 import lake_on_s3

pytestmark = pytest.mark.nightly

TENANT = "hashed"


def content(settings: LakeSettings) -> dict[str, object]:
    """What the models say of the tenant's training set."""
    table = Lake(settings).table("training/training_contents")
    text = f"select content_hash, example_count, seed from rows where tenant_id = '{TENANT}'"
    found = QueryBuilder().register("rows", table).execute(text).read_all()
    return pl.DataFrame(found).row(0, named=True)


def run(program: str, *arguments: str, environment: dict[str, str]) -> None:
    """Run a command as a person would, beside this process's own Spark."""
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_content_hash_is_that_of_the_lake_on_disk(
    lake: SessionLake, built: dict, s3: Server, tmp_path: Path
) -> None:
    on_s3 = lake_on_s3(s3, tmp_path, "models")
    ensure_tables(Lake(on_s3))
    for spec in (RAW_INTERACTIONS, RAW_ITEMS, OPS_TENANT_SETTINGS):
        rows = (
            Lake(lake.settings).table(spec).to_pyarrow_table(filters=[("tenant_id", "=", TENANT)])
        )
        write_deltalake(Lake(on_s3).table(spec), rows, mode="append")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPARK")},
        "ETA_HOME": str(tmp_path),
        "ETA_LAKE_URI": on_s3.lake,
        "ETA_STORAGE_OPTIONS": json.dumps(storage_options(s3)),
        "DBT_TARGET": "connect",
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    try:
        run("eta", "dev", "spark", "up", "--port", "0", environment=environment)
        server = find_server(NAMES["connect"], on_s3.dev_dir / NAMES["connect"])
        assert server is not None
        environment["ETA_SPARK_REMOTE"] = server.addresses["remote"]
        run("dbt", "run", "--select", "+training_contents", environment=environment)
    finally:
        stop_server(NAMES["connect"], on_s3.dev_dir / NAMES["connect"])
    assert content(on_s3) == content(lake.settings)
    cleaned = {name for name, _, _ in clean_tables(Lake(on_s3), {})}
    assert {"raw.interactions", "training.training_data"} <= cleaned
    assert content(on_s3) == content(lake.settings)
