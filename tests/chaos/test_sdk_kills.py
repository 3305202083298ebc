"""A client sends through a service that is killed (`benchmarks.chaos --sdk`: 20 times)."""

from pathlib import Path

from tests.support.sdk_kills import sdk_kills


def test_every_tracked_event_is_stored_once(tmp_path: Path) -> None:
    damage = sdk_kills(tmp_path, kills=2, seed=1)
    assert damage.tracked > 100
    assert (damage.lost, damage.twice, damage.rejected) == (0, 0, 0)
    assert not damage.ledger.wrong
    assert damage.ledger.unfinished == 0
