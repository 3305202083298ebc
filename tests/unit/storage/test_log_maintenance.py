"""A busy table's log gets short; nothing that a model or a reader still needs goes."""

import os
import shutil
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.contracts.tables import OPS_DATA_QUALITY, RAW_INTERACTIONS
from lakehouse.settings import LakeSettings
from lakehouse.storage.data_quality import read_marker
from lakehouse.storage.lake import Lake
from lakehouse.storage.log_maintenance import drop_read_log
from lakehouse.storage.staging import commit_files
from lakehouse.storage.tables import ensure_tables

COMMITS = 240


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a lake with many commits, to be copied."""
    found = LakeSettings(home=tmp_path_factory.mktemp("busy"))
    ensure_tables(Lake(found))
    for version in range(COMMITS):
        commit_files(Lake(found).table(RAW_INTERACTIONS), RAW_INTERACTIONS, (), {"feed": version})
    return Path(found.home_dir)


@pytest.fixture
def lake(busy: Path, tmp_path: Path) -> LakeSettings:
    """A lake whose log entries are all of this moment."""
    shutil.copytree(busy, tmp_path, copy_function=shutil.copy, dirs_exist_ok=True)
    return LakeSettings(home=tmp_path)


def log_of(lake: LakeSettings) -> Path:
    return Path(lake.lake) / RAW_INTERACTIONS.path / "_delta_log"


def versions(lake: LakeSettings) -> list[int]:
    return sorted(int(path.stem) for path in log_of(lake).glob("*.json"))


def test_old_entries_go_and_the_table_is_as_before(lake: LakeSettings) -> None:
    handle = Lake(lake).table(RAW_INTERACTIONS)
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=0) == 99

    assert versions(lake) == list(range(99, COMMITS + 1))
    assert Lake(lake).table(RAW_INTERACTIONS).transaction_version("feed") == COMMITS - 1
    commit_files(handle, RAW_INTERACTIONS, (), {"feed": COMMITS})
    handle.update_incremental()
    assert handle.transaction_version("feed") == COMMITS
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=0) == 0


def test_young_entries_and_the_newest_stay(lake: LakeSettings) -> None:
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=COMMITS, kept_seconds=0) == 0
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=60) == 0
    hour_ago = time.time() - 3_600
    for path in log_of(lake).iterdir():
        os.utime(path, (hour_ago, hour_ago))
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=60) == 99


def test_what_a_model_has_not_read_stays(lake: LakeSettings) -> None:
    import pyarrow as pa

    write_deltalake(f"{lake.lake}/staging/model", pa.table({"a": [1]}))
    model = DeltaTable(f"{lake.lake}/staging/model")
    mark = {f"eta.watermark.{RAW_INTERACTIONS.full_name}": "98"}
    model.alter.set_table_properties(mark, raise_if_not_exists=False)
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=0) == 0
    mark = dict.fromkeys(mark, "150")
    model.alter.set_table_properties(mark, raise_if_not_exists=False)
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=0) > 0
    assert versions(lake)[0] == 99


def test_what_quality_has_not_measured_stays(lake: LakeSettings) -> None:
    marker = {read_marker(RAW_INTERACTIONS.full_name): 30}
    commit_files(Lake(lake).table(OPS_DATA_QUALITY), OPS_DATA_QUALITY, (), marker)
    Lake(lake).table(RAW_INTERACTIONS).create_checkpoint()
    assert drop_read_log(Lake(lake), RAW_INTERACTIONS, kept=50, kept_seconds=0) == 0
