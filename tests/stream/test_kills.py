"""Consumers killed with -9 while clicks flow: a small version of `benchmarks.stream_chaos`."""

from pathlib import Path

from benchmarks.stream_chaos import made_clicks, replay, run
from lakehouse.dev.servers import Server

CLICKS = 12_000
KILLS = 3


def test_kills_lose_nothing_and_a_topic_read_again_changes_nothing(
    broker: Server, tmp_path: Path
) -> None:
    where = {"bootstrap": broker.addresses["bootstrap_servers"], "prefix": "kills-"}
    clicks = made_clicks(CLICKS)

    found = run(tmp_path, clicks, kills=KILLS, rate=800.0, **where)

    assert (found.lost, found.stored_twice, found.differing) == (0, 0, 0)
    assert (found.ledger_received, found.ledger_wrong, found.ledger_unfinished) == (CLICKS, 0, 0)
    rows, is_unchanged = replay(tmp_path, CLICKS, **where)
    assert is_unchanged
    assert rows > CLICKS, "the small windows do not know the clicks any more"
