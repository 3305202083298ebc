"""Erasures that are killed go on where they were."""

import random
from pathlib import Path

from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import ErasableLake
from tests.support.erasure_kills import kill_erasure


def test_an_erasure_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "dbt_project.yml").touch()
    lake = ErasableLake(tmp_path / "home", project)
    rng = random.Random(7)
    killed = [kill_erasure(lake, rng, 0.5) for _ in range(3)]
    assert any(one.was_alive for one in killed)
    assert not check_ledger(Lake(lake.settings)).wrong
    lake.close()
