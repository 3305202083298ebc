"""Two processes of the service on one bucket, one control database: nothing is lost or twice."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.dev.s3 import storage_options
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.s3 import lake_on_s3
from tests.support.service import RunningService

HEADER = "user_id,item_id,interaction_type,timestamp\n"
FILES = 8


def rows(number: int) -> str:
    """A file of two good rows and a wrong one."""
    good = (f"u{number},i{n},click,{1735732800000 + n}\n" for n in range(2))
    return HEADER + "".join(good) + f"u{number},i9,stare,1735732800000\n"


@pytest.fixture
def lake(s3: Server, tmp_path: Path) -> LakeSettings:
    return lake_on_s3(s3, tmp_path, "service")


@pytest.fixture
def services(s3: Server, lake: LakeSettings, tmp_path: Path) -> Iterator[list[RunningService]]:
    environment = {
        "ETA_LAKE_URI": lake.lake,
        "ETA_STORAGE_OPTIONS": json.dumps(storage_options(s3)),
    }
    first = RunningService(tmp_path, environment)
    second = RunningService(tmp_path, environment, keys=first.keys)
    first.add_tenant("acme")
    first.start()
    second.start()
    yield [first, second]
    first.stop()
    second.stop()


def test_both_take_in_files_at_once_and_the_ledger_adds_up(
    services: list[RunningService], lake: LakeSettings
) -> None:
    def upload(number: int) -> int:
        service = services[number % 2]
        return service.upload("acme", rows(number), on_error="quarantine").status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(upload, range(FILES))) == {200}
    again = services[1].upload("acme", rows(0), on_error="quarantine")
    assert again.json()["rows_accepted"] == 0, again.text
    stored = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table()
    assert sorted(set(stored["user_id"].to_pylist())) == [f"u{n}" for n in range(FILES)]
    assert stored.num_rows == 2 * FILES
    assert Lake(lake).table(RAW_QUARANTINE).to_pyarrow_table().num_rows == FILES + 1
    check = check_ledger(Lake(lake))
    assert (check.batches, check.received, check.wrong) == (FILES + 1, 3 * FILES + 3, ())
    assert not list(Path(lake.home_dir).rglob("*.parquet"))
