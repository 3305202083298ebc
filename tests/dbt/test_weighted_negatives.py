"""Negatives drawn by popularity and by category, against brute force over all items."""

import json
import math
from collections import Counter, defaultdict

import polars as pl
import pytest

from lakehouse.training.content_hash import ContentHash
from tests.support import reference
from tests.support.lake import NOON, SessionLake, interaction
from tests.support.weighted import (
    ALPHAS,
    MIXED,
    USERS,
    categories_by,
    category_at,
    hour_of,
    popularity,
    sampling,
    step,
    weight,
)

AFTER_SETTINGS = ("stg_tenant_settings", "sampling_weights", "training_data")


def drawn(lake: SessionLake, tenant_id: str) -> pl.DataFrame:
    return lake.table("training.sampled_negatives", tenant_id)


def of_clicks(lake: SessionLake, tenant_id: str) -> pl.DataFrame:
    """The draws for the users that each clicked i0."""
    return drawn(lake, tenant_id).filter(pl.col("positive_item_id") == "i0")


def chi_square(counts: Counter[str], expected: dict[str, float]) -> float:
    """Of counts whose sum is that of the expected ones."""
    assert counts.keys() <= expected.keys()
    assert counts.total() == round(sum(expected.values()))
    return sum((counts[name] - wanted) ** 2 / wanted for name, wanted in expected.items())


@pytest.mark.parametrize("name", ALPHAS)
def test_items_are_drawn_in_proportion_to_a_power_of_their_popularity(
    lake: SessionLake, built: dict, name: str
) -> None:
    """By noon i1 to i7 were seen as often as their number says, and i8 never."""
    rows = of_clicks(lake, name)
    assert rows["negative_strategy"].unique().to_list() == ["popularity"]
    steps = {f"i{number}": step(1 + number % 8) for number in range(1, 9)}
    weights = {one: weight(count, ALPHAS[name]) for one, count in steps.items()}
    total = sum(weights.values())
    expected = {one: USERS * value / total for one, value in weights.items()}
    found = chi_square(Counter(rows["item_id"].to_list()), expected)
    assert found < 24.3, found  # p = 0.001 at 7 degrees
    for row in rows.iter_rows(named=True):
        proposed = weights[row["item_id"]] / (total + weight(2, ALPHAS[name]))  # i0, the own one, too
        assert row["sampling_probability"] == pytest.approx(proposed)
        assert row["drawn_popularity"] == steps[row["item_id"]]


def test_what_a_category_does_not_have_is_drawn_uniformly_and_says_so(
    lake: SessionLake, built: dict
) -> None:
    """Three of the category and one of all are wanted; i1, i2 and i3 are of that of i0."""
    rows = of_clicks(lake, "shelves")
    kinds = Counter(rows["negative_strategy"].to_list())
    assert kinds.total() == 4 * USERS
    assert 2.98 * USERS < kinds["category"] <= 3 * USERS
    of_category = rows.filter(pl.col("negative_strategy") == "category")
    assert set(of_category["item_id"]) == {"i1", "i2", "i3"}
    assert of_category["sampling_probability"].unique().to_list() == [1 / 4]  # of i0 to i3
    first = Counter(rows.filter(pl.col("draw_index") == 1)["item_id"].to_list())
    assert chi_square(first, dict.fromkeys(("i1", "i2", "i3"), USERS / 3)) < 13.8  # p = 0.001 at 2
    complete = of_category.group_by("user_id").len().filter(pl.col("len") == 3)
    rest = rows.filter(pl.col("negative_strategy") == "uniform")
    assert rest["sampling_probability"].unique().to_list() == [1 / 8]
    rest = rest.join(complete, on="user_id", how="semi")
    expected = dict.fromkeys(("i4", "i5", "i6", "i7"), complete.height / 4)
    assert chi_square(Counter(rest["item_id"].to_list()), expected) < 16.3  # p = 0.001 at 3


def test_each_draw_has_the_probability_of_its_strategy(lake: SessionLake, built: dict) -> None:
    """Shares 1 uniform, 2 by popularity, 1 by category, on random rows and a random catalogue."""
    rows, items = built["mixed"]["staged"], built["mixed"]["items"]
    alpha = MIXED.negative_sampling.popularity_alpha
    moments = reference.positives(rows)
    eligible = reference.eligible_items(rows, items)
    available = reference.availability(rows, items)
    found = defaultdict(list)
    for row in drawn(lake, "mixed").sort("draw_index").iter_rows(named=True):
        found[row["user_id"], row["positive_item_id"]].append(row)
    assert found.keys() == {pair for pair, names in eligible.items() if names}
    kinds: Counter[str] = Counter()
    for pair, draws in found.items():
        moment = moments[pair][0]
        names = [row["item_id"] for row in draws]
        assert len(names) == len(set(names)) == min(4, len(eligible[pair]))
        assert set(names) <= eligible[pair]
        assert [row["draw_index"] for row in draws] == list(range(1, len(draws) + 1))
        strategies = [row["negative_strategy"] for row in draws]
        assert strategies == sorted(strategies)
        category = category_at(items, pair[1], moment)
        offered = [one for one, hour in available.items() if hour <= hour_of(moment)]
        shelf = {
            one
            for one in offered
            if category in categories_by(items, one, moment, available[one])
        }
        shelf = shelf if category is not None else set()
        counts = {one: popularity(rows, one, moment) for one in offered}
        weights = {one: weight(count, alpha) for one, count in counts.items()}
        kinds += Counter(strategies)
        assert strategies.count("category") <= min(1, len(shelf))
        for row in draws:
            name = row["item_id"]
            if row["negative_strategy"] == "category":
                assert name in shelf
                wanted = 1 / len(shelf)
            elif row["negative_strategy"] == "popularity":
                wanted = weights[name] / sum(weights.values())
            else:
                wanted = 1 / len(offered)
            assert row["sampling_probability"] == pytest.approx(wanted, rel=1e-12)
            assert row["logq"] == pytest.approx(math.log(wanted))
            assert row["eligible_count"] is None
            assert row["drawn_popularity"] == counts[name]
    assert min(kinds.values()) > 50, kinds


def test_examples_carry_how_they_were_drawn(lake: SessionLake, built: dict) -> None:
    key = ["user_id", "anchor_item_id", "draw_index"]
    columns = [*key, "item_id", "negative_strategy", "sampling_probability", "logq"]
    examples, data = (
        lake.table(f"training.{name}", "mixed").select([*columns, "drawn_popularity"]).sort(key)
        for name in ("training_examples", "training_data")
    )
    assert examples.equals(data)
    of_others = data.filter(pl.col("negative_strategy").is_null())
    assert of_others["logq"].is_null().all()
    assert set(of_others["draw_index"]) == {0}


def test_the_content_hash_knows_how_each_row_was_drawn(lake: SessionLake, built: dict) -> None:
    (row,) = lake.table("training.training_contents", "mixed").to_dicts()
    rows = lake.table("training.training_data", "mixed").with_columns(tenant_id=pl.lit("mixed"))
    counted, otherwise = ContentHash(), ContentHash()
    counted.update(rows)
    assert counted.hexdigest() == row["content_hash"]
    otherwise.update(rows.with_columns(negative_strategy=pl.lit("uniform")))
    assert otherwise.hexdigest() != row["content_hash"]


def test_tenants_without_shares_have_no_weights_and_no_strategy_but_uniform(
    lake: SessionLake, built: dict
) -> None:
    assert lake.table("training.sampling_weights", "plain").height == 0
    rows = drawn(lake, "plain")
    assert set(rows["negative_strategy"]) == {"uniform"}
    assert rows["drawn_popularity"].is_null().all()


def test_a_changed_share_recomputes_its_tenant_alone(lake: SessionLake, built: dict) -> None:
    others = ("mixed", "plain")
    before = {name: lake.table("training.training_data", name) for name in others}
    lake.set_tenant("flat", sampling(1.0, uniform=1))
    lake.set_tenant("damped", sampling(1.0, popularity=1))
    lake.dbt("run", "--select", *AFTER_SETTINGS)
    assert lake.table("training.sampling_weights", "flat").height == 0
    assert set(drawn(lake, "flat")["negative_strategy"]) == {"uniform"}
    of_i7 = of_clicks(lake, "damped").filter(pl.col("item_id") == "i7")
    steps = 2 + sum(step(1 + number % 8) for number in range(1, 9))
    assert of_i7["sampling_probability"].unique().to_list() == [pytest.approx(8 / steps)]
    for name, rows in before.items():
        assert lake.table("training.training_data", name).equals(rows)


def test_a_tenant_without_shares_is_not_looked_at(lake: SessionLake, built: dict) -> None:
    lake.store("plain", [interaction("one more", "u", "i1", event_time=NOON)])
    outcome = lake.dbt(
        *("run", "--select", "stg_interactions", "enriched_interactions", "item_hours"),
        *("item_availability", "sampling_weights", "training_data"),
        *("--vars", json.dumps({"rewrite_rows": 0, "rewrite_share": 2})),
    )
    models = {run.node.name: run for run in outcome.result}
    assert models["sampling_weights"].adapter_response["code"] == "UNCHANGED"
    assert models["training_data"].adapter_response["code"] != "UNCHANGED"
    assert "sampling_weights" not in models["training_data"].node.compiled_code
