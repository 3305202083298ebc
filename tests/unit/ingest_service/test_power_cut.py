"""Acknowledged rows outlast a power cut; with syncing off every loss is reported."""

import errno
import random
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.settings import LakeSettings
from lakehouse.storage import durable
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.power_cut import copy_of_home, disk_of
from tests.support.power_cuts import power_cuts
from tests.unit.ingest_service.test_events_on_delta import sender


@pytest.mark.parametrize(
    "chance", [pytest.param(None, id="nothing else"), pytest.param(1, id="some of it, by chance")]
)
def test_no_acknowledged_row_is_lost(tmp_path: Path, chance: int | None) -> None:
    found = power_cuts(
        tmp_path, 3, sync=True, chance=None if chance is None else random.Random(chance)
    )
    assert found.cuts == 3
    assert (found.lost, found.false_alarms) == (0, 0), found.failures


@pytest.mark.parametrize(
    "chance", [pytest.param(None, id="nothing else"), pytest.param(2, id="some of it, by chance")]
)
def test_without_syncing_every_loss_is_reported(tmp_path: Path, chance: int | None) -> None:
    found = power_cuts(
        tmp_path, 3, sync=False, chance=None if chance is None else random.Random(chance)
    )
    assert found.cuts_with_loss > 0, "the cut cost nothing, so it proves nothing"
    assert found.not_reported == 0


def test_a_sync_that_failed_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    sender(DeltaSink(Lake(lake)))("before")
    with disk_of(Path(lake.lake), monkeypatch) as disk:
        real, calls, failing = durable._sync, count(1), 0

        def sync(path: Path, flags: int) -> None:
            if next(calls) == failing:
                raise OSError(errno.EIO, "the disk does not answer")
            real(path, flags)

        monkeypatch.setattr(durable, "_sync", sync)
        send, stored = sender(DeltaSink(Lake(lake))), {"before"}
        for failing in range(1, 12):
            calls = count(1)
            with suppress(StorageError):
                send(f"e{failing}")
            calls = count(100)
            send(f"e{failing}")  # stored, or known already from the commit that was not synced
            stored.add(f"e{failing}")
            copy_of_home(disk, tmp_path / "home", tmp_path / "copy", None)
            copy = LakeSettings(home=tmp_path / "copy")
            rows = Lake(copy).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["event_id"])
            assert stored <= {*rows["event_id"].to_pylist()}, f"sync {failing}"
