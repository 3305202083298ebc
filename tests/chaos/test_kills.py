"""The service is killed in the middle of uploads (`python -m benchmarks.chaos`: 200 times)."""

from pathlib import Path

from tests.conftest import DATA_DIR
from tests.support.chaos import chaos

KILLS = 5


def test_kills_lose_nothing_and_the_ledger_adds_up_each_time(tmp_path: Path) -> None:
    clicks = DATA_DIR / "news_clicks.parquet"
    damage = chaos(tmp_path, KILLS, clicks if clicks.is_file() else None, seed=1)

    assert damage.kills == KILLS
    assert damage.rows_sent >= 2_000
    assert damage.event_batches >= 1
    assert (damage.rows_lost, damage.rows_twice_downstream) == (0, 0)
    assert damage.unclean_ledgers == []
