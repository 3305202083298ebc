"""A store that nothing was written for: a lake on `gs://` by its settings alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS, SERVICE_TABLES
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError
from lakehouse.spark.runtime import prepare_environment
from lakehouse.storage.damage import DamagedError
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import log_files
from lakehouse.storage.s3 import bucket_prefix
from lakehouse.storage.schemas import find_tables
from lakehouse.storage.stores import table_filesystem
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.tenant_settings import publish_tenant_settings
from tests.support.gcs import lake_on_gcs

WRITERS = 2


@pytest.fixture
def lake(gcs: str, tmp_path: Path) -> Lake:
    return Lake(lake_on_gcs(gcs, tmp_path, tmp_path.name))


def test_tables_are_made_once_found_and_written(lake: Lake, tmp_path: Path) -> None:
    ensure_tables(lake)
    made = lake.table(OPS_TENANT_SETTINGS).metadata().id
    ensure_tables(lake)
    assert made == lake.table(OPS_TENANT_SETTINGS).metadata().id
    assert len(find_tables(lake)["raw"]) == 5
    publish_tenant_settings(lake, {"acme": TenantSettings()}, datetime.now(UTC))
    table = lake.table(OPS_TENANT_SETTINGS)
    assert table.to_pyarrow_table()["tenant_id"].to_pylist() == ["acme"]
    (name,) = table.get_add_actions()["path"].to_pylist()
    assert table_filesystem(table).get_file_info(name).size
    assert log_files(lake, OPS_TENANT_SETTINGS.path)[0] == 2
    assert lake.raw_bytes() == 0
    first = [path for path in lake.files() if path.endswith(f"/_delta_log/{0:020}.json")]
    assert len(first) == len(SERVICE_TABLES)
    assert not list(tmp_path.rglob("*.json")), "nothing of the lake is on this machine"


def test_of_writers_at_once_none_overwrites_another(lake: Lake) -> None:
    location, rows = lake.location("ops/raced"), pa.table({"n": [1]})
    write_deltalake(location, rows, storage_options=lake.options)

    def append(_: int) -> bool:
        try:
            write_deltalake(lake.table("ops.raced"), rows, mode="append")
        except CommitFailedError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        done = sum(pool.map(append, range(4 * WRITERS)))
    assert lake.table("ops.raced").count() == 1 + done
    assert done


def test_small_files_are_replaced_listed_and_deleted(lake: Lake) -> None:
    folder = lake.folder("training_sets/acme")
    folder.write("current.json", b"one")
    folder.write("current.json", b"two")
    assert folder.read("current.json") == b"two"
    assert folder.read("other.json") is None
    assert lake.folder("training_sets").folders() == ["acme"]
    assert lake.filesystem("training_sets").open_input_file("acme/current.json").read() == b"two"
    folder.delete("current.json")
    assert folder.names("") == []


def test_what_this_store_lacks_is_said(lake: Lake, gcs: str, tmp_path: Path) -> None:
    settings = lake_on_gcs(gcs, tmp_path, tmp_path.name)
    for is_server in (False, True):
        with pytest.raises(EtaError, match="cannot start a Spark that reads Google") as refused:
            prepare_environment(settings, {}, is_server=is_server)
        assert "DBT_TARGET=connect" in refused.value.remedy
    own = {"SPARK_CONF_DIR": str(tmp_path / "with a connector")}
    prepare_environment(settings, own)
    assert own == {"SPARK_CONF_DIR": str(tmp_path / "with a connector")}
    with pytest.raises(EtaError, match="is not on S3"):
        bucket_prefix(lake)
    assert (lake.disk(), lake.sync_root, lake.has_tiers) == (None, None, False)
    with pytest.raises(DamagedError, match=r"ops\.tenant_settings"):
        lake.intact(OPS_TENANT_SETTINGS)
