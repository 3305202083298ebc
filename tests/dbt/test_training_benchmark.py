"""The benchmark's yardstick on a small log: DuckDB, given the models' SQL, finds the same."""

from pathlib import Path

import pytest

from benchmarks.training.correctness import figures
from benchmarks.training.duck import Peer
from benchmarks.training.generator import MIXED, Log
from benchmarks.training.models import compiled
from benchmarks.training.pairs import EXAMPLES, SELECTED
from benchmarks.training.raw import store, store_catalogue
from tests.support.lake import SessionLake

pytestmark = pytest.mark.nightly

TENANT = "benchmark"


def test_duckdb_computes_the_same_features_and_as_many_negatives(
    lake: SessionLake, tmp_path: Path
) -> None:
    log = Log(10_000, types=tuple(MIXED.items()), rated_share=0.3)
    store(lake.settings, TENANT, log.pieces())
    store_catalogue(lake.settings, TENANT, log.catalogue())
    lake.dbt("run", "--select", *(f"+{name}" for name in SELECTED))
    models = compiled(lake.settings, SELECTED, TENANT)
    assert {"user_features", "item_features", "recent_interactions", EXAMPLES} <= models.keys()

    peer = Peer(lake.settings, tmp_path)
    for name, model in models.items():
        peer.run(model)
        ours, theirs = peer.row_counts(model, TENANT)
        assert ours == theirs > 0, name
        if name != EXAMPLES:
            assert peer.differing_rows(model, TENANT) == 0, name

    found = figures(peer.connection, TENANT)
    assert found["expected_draws"] == found["sampled_negatives"]
    assert found["collisions_with_known_items"] == 0
    assert found["items_from_the_future"] == 0
    assert found["repeated_within_a_positive"] == 0
    peer.connection.execute(
        f"create or replace view features.user_features as select * replace (total_interactions + "
        f"(user_id like '%7')::int as total_interactions) from ({_rows_of(peer)})"
    )
    assert peer.differing_rows(models["user_features"], TENANT) > 0


def _rows_of(peer: Peer) -> str:
    row = peer.connection.execute(
        "select sql from duckdb_views() where view_name = 'user_features'"
    ).fetchone()
    assert row is not None
    return str(row[0]).rstrip(";").partition(" AS ")[2]
