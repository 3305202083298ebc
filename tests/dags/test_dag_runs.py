"""Runs of the DAG: killed, resumed, with a tenant held back, with nothing new, run again."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

from tests.conftest import PROJECT_DIR
from tests.support.lake import SessionLake, interaction
from tests.support.orchestration import LATER, SMALL, Orchestra, moments, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

KILLS = 2
LAST = "2026-05-02T12:00:00+00:00"


@pytest.fixture(scope="module")
def resumed(orchestra: Orchestra) -> dict[str, Any]:
    """A run of two tenants, one with bad rows, killed at random moments and resumed."""
    orchestra.store_tenants("acme", "globex")
    orchestra.store_bad_rows("globex")
    for seconds in moments(KILLS, seed=7, first=5, last=40):
        assert orchestra.kill_dag(SMALL, "small_training", seconds)
    result: dict[str, Any] = orchestra.run_dag(SMALL, "small_training")
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {
        task["task"] + (f"[{task['index']}]" if task["index"] else ""): task["state"]
        for task in result["tasks"]
    }


def test_the_tenant_with_bad_rows_is_held_back_and_the_other_published(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    found = states(resumed)
    assert found.pop("quality_gate.held_back[globex]") == "failed"
    assert found.pop("nothing_new") == "skipped"
    assert set(found.values()) == {"success"}
    assert resumed["state"] == "failed"  # so that somebody looks
    assert set(orchestra.hashes()) == {"acme"}
    assert [name for name, _ in resumed["assets"]] == ["training_set.acme"]
    log = (orchestra.home / "small_training.log").read_text(errors="replace")
    assert "globex did not pass raw_event_time_is_in_range on raw.interactions" in log
    assert "To repeat it in a checkout: ETA_RUN_ID=small_training/" in log


def test_with_nothing_new_nothing_is_written_and_freshness_is_checked(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    files, before = SessionLake(orchestra.settings).data_files(), orchestra.snapshots()
    result = orchestra.run_dag(SMALL, "small_training", when=LATER)
    found = states(result)
    assert {found[name] for name in found if name.startswith(("staging", "training"))} == {
        "skipped"
    }
    assert (found["nothing_new"], found["freshness"], found["end"]) == ("success",) * 3
    assert result["assets"] == []
    assert SessionLake(orchestra.settings).data_files() == files
    assert orchestra.snapshots() == before


def test_a_resumed_run_is_what_a_full_refresh_makes(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    before = orchestra.built_hashes()
    assert set(before) == {"acme", "globex"}
    dbt = Path(orchestra.environment["ETA_ENVIRONMENT"]) / "bin" / "dbt"
    command = [
        str(dbt),
        "build",
        "--full-refresh",
        "--target",
        "connect",
        "--exclude",
        "test_type:unit",
    ]
    command += ["--select", "path:dbt_project/models/staging", "+training_contents"]
    again = subprocess.run(
        command, cwd=PROJECT_DIR, env=orchestra.environment, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stdout[-2000:]
    assert orchestra.built_hashes() == before
    assert orchestra.hashes()["acme"] == before["acme"]


def test_rows_that_fail_a_dbt_test_hold_back_their_tenant_alone(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    """Planted where no run replaces rows that are there."""
    orchestra.store_tenants("acme", "globex", "initech")  # rows of the first two are known
    lake = SessionLake(orchestra.settings)
    lake.store("acme", [interaction(f"later{n}", f"u{n}", "i15") for n in range(5)])
    folder = f"{orchestra.settings.lake}/staging/stg_items"
    mine = [("tenant_id", "=", "acme")]
    write_deltalake(folder, DeltaTable(folder).to_pyarrow_table(filters=mine), mode="append")
    published = orchestra.hashes()["acme"]
    result = orchestra.run_dag(SMALL, "small_training", when=LAST)
    found = states(result)
    assert found.pop("quality_gate.held_back[acme]") == "failed"
    assert found["staging.stg_items"] == found["training.training_data"] == "success"
    assert {name for name in found if found[name] == "failed"} <= {"quality_gate.held_back[globex]"}
    assert "training_set.initech" in [name for name, _ in result["assets"]]
    assert orchestra.hashes()["acme"] == published
    log = (orchestra.home / "small_training.log").read_text(errors="replace")
    assert "acme did not pass primary_key_stg_items_" in log
