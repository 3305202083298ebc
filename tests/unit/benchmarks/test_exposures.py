"""The benchmark of shown negatives: its measure, its logs, and what it trains on."""

import json

import numpy as np
import polars as pl
import pytest

from benchmarks.evaluation.factorisation import Hyperparameters
from benchmarks.exposures.generated import EVEN, PROMOTING, Size, make_log
from benchmarks.exposures.log import ndjson
from benchmarks.exposures.ranking import auc, bootstrap, learn, make_test, rank_correlation

SMALL = Size(users=20, items=30, lists=6, later=2, shown=5)


def brute_force(scores: list[float], clicked: list[bool], weights: list[int]) -> float:
    pairs = [
        (weights[i] * weights[j], (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
        for i, is_clicked in enumerate(clicked)
        for j, other in enumerate(clicked)
        if is_clicked and not other
    ]
    return sum(n * won for n, won in pairs) / sum(n for n, _ in pairs)


def test_the_auc_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(7)
    scores = random.integers(0, 6, 40).astype(float)
    clicked, weights = random.random(40) < 0.4, random.integers(0, 4, 40)
    plain = brute_force(list(scores), list(clicked), [1] * 40)
    assert auc(scores, clicked) == pytest.approx(plain)
    weighted = brute_force(list(scores), list(clicked), list(weights))
    assert auc(scores, clicked, weights.astype(float)) == pytest.approx(weighted)


def test_the_rank_correlation_is_spearmans() -> None:
    truth = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    assert rank_correlation(truth**3, truth) == pytest.approx(1)
    assert rank_correlation(-truth, truth) == pytest.approx(-1)
    swapped = np.array([[2.0, 1.0, 4.0, 3.0]], np.float32)
    assert rank_correlation(swapped, truth) == pytest.approx(0.6)


def test_a_policy_shows_by_weight_or_evenly_and_never_an_item_twice_in_a_list() -> None:
    size = Size(users=100, items=30, lists=20, later=5, shown=5)
    spread = {}
    for policy in (PROMOTING, EVEN):
        shown = make_log(1, policy, size).impressions
        assert shown.select("list_id", "item_id").is_unique().all()
        counts = shown["item_id"].value_counts()["count"]
        spread[policy] = counts.max() / counts.min()  # type: ignore[operator]
        assert shown["position"].min() == 1
        assert shown["position"].max() == size.shown
    assert spread[PROMOTING] > 3 * spread[EVEN]


def test_only_the_earlier_part_is_told_each_list_with_its_clicks_after_it() -> None:
    log = make_log(1, EVEN, SMALL)
    sent = [json.loads(line) for line in ndjson(log).splitlines()]
    lists = [one for one in sent if one["event_name"] == "recommendation_shown"]
    clicks = [one for one in sent if one["event_name"] == "Product Clicked"]
    assert (len(lists), len(lists) + len(clicks)) == (SMALL.users * 4, len(sent))
    assert len(clicks) == log.earlier["clicked_at"].is_not_null().sum()
    until = log.later_from.timestamp() * 1000
    assert all(one["timestamp"] < until for one in sent)
    shown_at = {one["session_id"]: one["timestamp"] for one in lists}
    items = {
        one["session_id"]: {item["item_id"] for item in one["properties"]["items"]} for one in lists
    }
    for click in clicks:
        assert click["timestamp"] > shown_at[click["session_id"]]
        assert click["properties"]["product_id"] in items[click["session_id"]]
    assert len({one["event_id"] for one in sent}) == len(sent)


def test_a_model_learns_of_its_kind_of_negatives_alone() -> None:
    test = make_test(make_log(1, EVEN, SMALL))
    rows = pl.DataFrame(
        {
            "user_id": ["u0", "u0", "u0"],
            "item_id": ["i1", "i2", "i3"],
            "label": [1.0, 0.0, 0.0],
            "negative_type": [None, "shown", "sampled"],
        }
    )
    how = Hyperparameters(factors=2, epochs=30, has_user_biases=True)
    for kind, least in (("shown", 2), ("uniform", 3)):
        scores = learn(rows, kind, test, how, seed=1)
        assert scores[0, 1] > scores[0, 4] > scores[0, least]
        assert scores[5, 4] == 0, "nothing is known of either"


def test_bootstraps_of_a_better_model_lie_above_zero() -> None:
    log = make_log(1, EVEN, Size(users=60, items=30, lists=12, later=6))
    test = make_test(log)
    assert log.attraction is not None
    noise = np.random.default_rng(1).normal(size=log.attraction.shape).astype(np.float32)
    drawn = bootstrap(test, [log.attraction], [noise], samples=50, seed=1)
    assert drawn.min() > 0
    assert np.all(bootstrap(test, [noise], [noise], samples=5, seed=1) == 0)
