"""Training sets that are too old are taken back, with their copies; the current one never."""

from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse.contracts.retention import RetentionPolicy, TrainingTiers
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.working_folder import working_folder
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.publish import list_snapshots, pinned_versions, publish
from lakehouse.training.snapshot_expiry import expire_snapshots
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables

LATER = NOON + timedelta(days=800)


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """Two snapshots of one tenant, the first exported."""
    settings = LakeSettings(home=tmp_path)
    for seed, when in ((1, NOON), (2, NOON + timedelta(days=1))):
        write_training_tables(settings, {"acme": examples(3, seed=seed)})
        made = publish(settings, "acme", gate=None, now=when)
        if seed == 1:
            kind = ExportFormat.PARQUET
            export_snapshot(
                Lake(settings), made, kind, default_destination(Lake(settings), made, kind)
            )
    return settings


def copies(lake: LakeSettings) -> int:
    return len(list((lake.home_dir / "exports" / "acme").iterdir()))


def test_the_old_one_goes_with_its_copy_and_pins_nothing_the_current_one_stays(
    lake: LakeSettings,
) -> None:
    first, current = list_snapshots(Lake(lake), "acme")
    (lake.home_dir / f"exports/acme/.{first.snapshot_id}-parquet.0f0f0f0f").mkdir()  # killed
    assert expire_snapshots(Lake(lake), {}, NOON + timedelta(days=729)) == []
    due = expire_snapshots(Lake(lake), {}, LATER, dry_run=True)
    assert (copies(lake), len(list_snapshots(Lake(lake), "acme"))) == (2, 2)
    assert expire_snapshots(Lake(lake), {}, LATER) == due
    assert [(found.snapshot_id, found.copies) for found in due] == [(first.snapshot_id, 2)]
    assert list_snapshots(Lake(lake), "acme") == [current]
    assert copies(lake) == 0
    pinned = pinned_versions(Lake(lake))["training/training_data"]
    assert pinned == {current.training_data.version}
    assert expire_snapshots(Lake(lake), {}, LATER) == []


def test_one_that_is_being_exported_stays_until_that_has_ended(lake: LakeSettings) -> None:
    first, _ = list_snapshots(Lake(lake), "acme")
    exports = lake.home_dir / "exports" / "acme"
    made = exports / f"{first.snapshot_id}-huggingface"
    with working_folder(made) as folder:
        (folder / "part").write_text("a row")
        assert expire_snapshots(Lake(lake), {}, LATER) == []
        assert (folder / "part").read_text() == "a row"
        assert first in list_snapshots(Lake(lake), "acme"), "it pins what is read"
    (exports / f".{made.name}.lock").touch()  # where folders cannot be locked
    assert len(expire_snapshots(Lake(lake), {}, LATER)) == 1
    assert not made.exists()


def test_a_tenant_s_own_policy_counts_and_others_are_left_alone(lake: LakeSettings) -> None:
    own = RetentionPolicy(
        training_data=TrainingTiers(hot_days=1, warm_days=2, cold_days=3, delete_days=4)
    )
    soon = NOON + timedelta(days=10)
    assert expire_snapshots(Lake(lake), {"acme": own}, soon, tenant_id="globex") == []
    assert len(expire_snapshots(Lake(lake), {"acme": own}, soon)) == 1
