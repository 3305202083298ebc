"""Acknowledged rows outlast a power cut; with syncing off every loss is reported."""

import random
from pathlib import Path

import pytest

from tests.support.power_cuts import power_cuts


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
