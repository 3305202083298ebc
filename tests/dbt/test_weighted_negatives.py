"""Negatives drawn by popularity and by category, against brute force over all items."""

import json
import math
from collections import Counter, defaultdict

import polars as pl
import pytest

from tests.support import reference
from tests.support.lake import NOON, SessionLake, interaction
from tests.support.weighted import (
    ALPHAS,
    MIXED,
    USERS,
    category_at,
    popularity,
    sampling,
    weight,
)

AFTER_SETTINGS = (
    *("stg_tenant_settings", "weighted_negatives", "training_data"),
    *("training_users", "training_contents"),
)
PINNED_HASH = "PINNED"
"""Of `pinned`, all of whose shares are uniform, computed by a release without shares."""


def drawn(lake: SessionLake, tenant_id: str) -> pl.DataFrame:
    return lake.table("training.sampled_negatives", tenant_id)


def chi_square(counts: Counter[str], expected: dict[str, float]) -> float:
    """Of counts whose sum is that of the expected ones."""
    assert counts.keys() <= expected.keys()
    assert counts.total() == round(sum(expected.values()))
    return sum((counts[name] - wanted) ** 2 / wanted for name, wanted in expected.items())


@pytest.mark.parametrize("name", ALPHAS)
def test_items_are_drawn_in_proportion_to_a_power_of_their_popularity(
    lake: SessionLake, built: dict, name: str
) -> None:
    rows = drawn(lake, name)
    assert rows["negative_strategy"].unique().to_list() == ["popularity"]
    # i8 was never touched: of power 0 it is as likely as the others, of any other it is not drawn
    names = {f"i{number}": number for number in (range(1, 9) if not ALPHAS[name] else range(1, 8))}
    weights = {
        one: weight(0 if one == "i8" else number, ALPHAS[name]) for one, number in names.items()
    }
    total = sum(weights.values())
    of_users = rows.filter(pl.col("positive_item_id") == "i0", pl.col("user_id") != "another")
    expected = {one: USERS * value / total for one, value in weights.items()}
    found = chi_square(Counter(of_users["item_id"].to_list()), expected)
    assert found < (24.3 if ALPHAS[name] == 0 else 22.5), found  # p = 0.001 at 7 and 6 degrees
    for row in of_users.iter_rows(named=True):
        assert row["sampling_probability"] == pytest.approx(weights[row["item_id"]] / total)
        assert row["drawn_popularity"] == (0 if row["item_id"] == "i8" else names[row["item_id"]])


def test_every_item_of_the_category_is_as_likely_as_the_next(
    lake: SessionLake, built: dict
) -> None:
    """By noon i1, i2 and i3 are of the category of i0; i4 only later."""
    rows = drawn(lake, "shelf").filter(pl.col("positive_item_id") == "i0")
    assert rows["negative_strategy"].unique().to_list() == ["category"]
    assert rows["sampling_probability"].unique().to_list() == [1 / 3]
    expected = dict.fromkeys(("i1", "i2", "i3"), USERS / 3)
    assert chi_square(Counter(rows["item_id"].to_list()), expected) < 13.8  # p = 0.001 at 2


def test_what_a_category_does_not_have_is_drawn_uniformly_and_says_so(
    lake: SessionLake, built: dict
) -> None:
    """Three of the category and one of all are wanted; the catalogue of `shelves` has three."""
    rows = drawn(lake, "shelves").filter(pl.col("positive_item_id") == "i0")
    kinds = Counter(rows["negative_strategy"].to_list())
    assert kinds == {"category": 3 * USERS, "uniform": USERS}
    of_category = rows.filter(pl.col("negative_strategy") == "category")
    assert set(of_category["item_id"]) == {"i1", "i2", "i3"}
    assert of_category["sampling_probability"].unique().to_list() == [1.0]
    rest = rows.filter(pl.col("negative_strategy") == "uniform")
    expected = dict.fromkeys(("i4", "i5", "i6", "i7"), USERS / 4)
    assert chi_square(Counter(rest["item_id"].to_list()), expected) < 16.3  # p = 0.001 at 3
    assert rest["sampling_probability"].unique().to_list() == [0.25]
    assert rest["drawn_popularity"].is_null().all()


def test_each_draw_has_the_probability_of_its_strategy(lake: SessionLake, built: dict) -> None:
    """Shares 1 uniform, 2 by popularity, 1 by category, on random rows and a random catalogue."""
    rows, items = built["mixed"]["staged"], built["mixed"]["items"]
    alpha = MIXED.negative_sampling.popularity_alpha
    moments = reference.positives(rows)
    eligible = reference.eligible_items(rows, items)
    found = defaultdict(list)
    for row in drawn(lake, "mixed").sort("draw_index").iter_rows(named=True):
        found[row["user_id"], row["positive_item_id"]].append(row)
    assert found.keys() == {pair for pair, names in eligible.items() if names}
    kinds: Counter[str] = Counter()
    fallbacks = 0
    for pair, draws in found.items():
        moment = moments[pair][0]
        names = [row["item_id"] for row in draws]
        assert len(names) == len(set(names)) == min(4, len(eligible[pair]))
        assert set(names) <= eligible[pair]
        strategies = [row["negative_strategy"] for row in draws]
        assert strategies == sorted(strategies, key=["category", "popularity", "uniform"].index)
        category = category_at(items, pair[1], moment)
        shelf = {one for one in eligible[pair] if category_at(items, one, moment) == category}
        shelf = shelf if category is not None else set()
        counts = {one: popularity(rows, one, moment) for one in eligible[pair]}
        weights = {one: weight(count, alpha) for one, count in counts.items()}
        count = Counter(strategies)
        kinds += count
        assert count["category"] <= min(1, len(shelf))
        possible = sum(weights[one] > 0 for one in eligible[pair])
        assert count["popularity"] <= min(2, possible)
        fallbacks += count["category"] < min(1, len(shelf))
        left = dict(weights)
        free = len(eligible[pair]) - count["category"] - count["popularity"]
        for row in draws:
            name = row["item_id"]
            if row["negative_strategy"] == "category":
                assert name in shelf
                wanted = count["category"] / len(shelf)
            elif row["negative_strategy"] == "popularity":
                wanted = left[name] / sum(left.values())
            else:
                wanted = count["uniform"] / free
            assert row["sampling_probability"] == pytest.approx(wanted, rel=1e-12)
            assert row["logq"] == pytest.approx(math.log(wanted))
            assert row["eligible_count"] == len(eligible[pair])
            if row["negative_strategy"] != "uniform":
                assert row["drawn_popularity"] == counts[name]
                del left[name]
    assert min(kinds.values()) > 50, kinds
    assert kinds["uniform"] > len(found), "days without a popularity fall back"
    assert fallbacks < len(found) / 50


def test_examples_carry_how_they_were_drawn(lake: SessionLake, built: dict) -> None:
    key = ["user_id", "anchor_item_id", "draw_index"]
    columns = [*key, "item_id", "negative_strategy", "sampling_probability", "logq"]
    examples, data = (
        lake.table(f"training.{name}", "mixed").select(columns).sort(key)
        for name in ("training_examples", "training_data")
    )
    assert examples.equals(data)
    of_others = data.filter(pl.col("negative_strategy").is_null())
    assert of_others["logq"].is_null().all()
    assert set(of_others["draw_index"]) == {0}


def test_a_tenant_without_shares_has_the_rows_of_before(lake: SessionLake, built: dict) -> None:
    (row,) = lake.table("training.training_contents", "pinned").to_dicts()
    assert row["content_hash"] == PINNED_HASH
    assert lake.table("training.weighted_negatives", "pinned").height == 0
    assert set(drawn(lake, "pinned")["negative_strategy"]) == {"uniform"}


def test_a_changed_share_recomputes_its_tenant_alone(lake: SessionLake, built: dict) -> None:
    others = ("mixed", "plain")
    before = {name: lake.table("training.training_data", name) for name in others}
    lake.set_tenant("followed", sampling(1.0, uniform=1))
    lake.set_tenant("rooted", sampling(1.0, popularity=1))
    lake.dbt("run", "--select", *AFTER_SETTINGS)
    assert lake.table("training.weighted_negatives", "followed").height == 0
    assert set(drawn(lake, "followed")["negative_strategy"]) == {"uniform"}
    of_i7 = drawn(lake, "rooted").filter(
        pl.col("positive_item_id") == "i0", pl.col("item_id") == "i7"
    )
    assert of_i7["sampling_probability"].unique().to_list() == [pytest.approx(7 / 28)]
    for name, rows in before.items():
        assert lake.table("training.training_data", name).equals(rows)


def test_a_tenant_without_shares_is_not_looked_at(lake: SessionLake, built: dict) -> None:
    lake.store("plain", [interaction("one more", "u", "i1", event_time=NOON)])
    outcome = lake.dbt(
        *("run", "--select", "stg_interactions", "weighted_negatives"),
        *("--vars", json.dumps({"rewrite_rows": 0, "rewrite_share": 2})),
    )
    (model,) = [r for r in outcome.result if r.node.name == "weighted_negatives"]
    assert model.adapter_response["code"] == "UNCHANGED"
