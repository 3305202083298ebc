"""The proof of the sampling: it passes what the models draw, and fails what they must not."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.card.sampling import SamplingProof, prove_sampling
from tests.support.cards import catalogue_of, drawn, published, users_of
from tests.support.lake import NOON

ITEMS = catalogue_of(60)


def proof(settings: LakeSettings, rows: list[dict[str, Any]], **how: Any) -> SamplingProof:
    manifest = published(settings, rows, available=ITEMS)
    found = prove_sampling(Lake(settings), manifest, **how)
    assert found is not None
    return found


def test_uniform_draws_pass(settings: LakeSettings) -> None:
    rows = drawn(ITEMS, users_of(ITEMS, 500))
    found = proof(settings, rows)
    assert found.draws == sum(row["negative_type"] == "sampled" for row in rows)
    assert (found.collisions, found.too_early, found.unknown_items, found.impossible) == (0,) * 4
    assert found.uniformity is not None
    assert found.uniformity.draws == found.draws
    assert abs(found.uniformity.ratio - 1) < 3 * found.uniformity.error


def test_the_expectation_is_the_one_of_a_count_row_by_row(settings: LakeSettings) -> None:
    """The ratio, computed over every positive and every item."""
    rows = drawn(ITEMS, users_of(ITEMS, 60))
    found = proof(settings, rows)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    sampled = frame.filter(pl.col("negative_type") == "sampled")
    expected, variance = dict.fromkeys(ITEMS, 0.0), dict.fromkeys(ITEMS, 0.0)
    known = {
        key[0]: set(part["item_id"])
        for key, part in frame.filter(pl.col("label") == 1)
        .partition_by("user_id", as_dict=True)
        .items()
    }
    for row in sampled.filter(pl.col("draw_index") == 1).to_dicts():
        hour = row["event_time"].replace(minute=0, second=0, microsecond=0)
        for item, at in ITEMS.items():
            if at <= hour and item not in known[row["user_id"]]:
                chance = row["sampling_probability"]
                expected[item] += chance
                variance[item] += chance * (1 - chance)
    counts = dict(sampled["item_id"].value_counts().iter_rows())
    squares = [
        (counts.get(item, 0) - expected[item]) ** 2 / variance[item]
        for item in ITEMS
        if variance[item] > 0
    ]
    assert found.uniformity is not None
    assert found.uniformity.items == len(squares)
    assert found.uniformity.ratio == pytest.approx(sum(squares) / len(squares), rel=1e-9)


def test_draws_by_popularity_do_not_pass(settings: LakeSettings) -> None:
    rows = drawn(ITEMS, users_of(ITEMS, 500), weight=lambda name: 1 + int(name[2:]) % 3)
    found = proof(settings, rows).uniformity
    assert found is not None
    assert found.ratio - 1 > 4 * found.error


def test_users_with_views_are_left_out_of_the_comparison(settings: LakeSettings) -> None:
    """Every second user has viewed items that no pinned table names: they must not look biased."""
    found = proof(settings, drawn(ITEMS, users_of(ITEMS, 500, viewed=12)))
    assert found.impossible == 0
    assert found.uniformity is not None
    assert 0.4 < found.uniformity.draws / found.draws < 0.6
    assert abs(found.uniformity.ratio - 1) < 3 * found.uniformity.error


def test_where_everybody_has_views_it_is_not_computed(settings: LakeSettings) -> None:
    users = {name: items for name, items in users_of(ITEMS, 40, viewed=9).items() if len(items) > 6}
    assert proof(settings, drawn(ITEMS, users)).uniformity is None


def test_planted_faults_are_counted(settings: LakeSettings) -> None:
    rows = drawn(ITEMS, users_of(ITEMS, 30))
    sampled = [row for row in rows if row["negative_type"] == "sampled"]
    own = next(row for row in rows if row["label"] == 1 and row["user_id"] == sampled[0]["user_id"])
    sampled[0]["item_id"] = own["item_id"]
    early = min(sampled[1:], key=lambda row: row["event_time"])
    early["item_id"] = "it59"
    sampled[-1]["item_id"] = "never heard of"
    impossible = next(row for row in sampled[40:] if row["sampling_probability"] < 1)
    impossible["sampling_probability"] = 4 / 1_000
    found = proof(settings, rows)
    assert early["event_time"] < ITEMS["it59"]
    assert (found.collisions, found.unknown_items, found.impossible) == (1, 1, 1)
    assert found.too_early >= 1


def test_a_disliked_item_is_a_collision(settings: LakeSettings) -> None:
    rows = drawn(ITEMS, users_of(ITEMS, 10))
    drawn_item = next(row for row in rows if row["negative_type"] == "sampled")
    disliked = {**drawn_item, "anchor_item_id": drawn_item["item_id"], "draw_index": 0}
    disliked |= {"negative_type": "explicit", "sampling_probability": None}
    disliked |= {"interaction_type": "dislike", "event_time": NOON + timedelta(days=90)}
    assert proof(settings, [*rows, disliked]).collisions >= 1


def test_of_a_large_set_some_users_are_looked_at(settings: LakeSettings) -> None:
    rows = drawn(ITEMS, users_of(ITEMS, 200))
    found = proof(settings, rows, most_rows=len(rows) // 4)
    assert found.one_in == 5 or found.one_in == 4
    assert 0 < found.draws < len(rows) / 2
    assert found.uniformity is not None
    assert abs(found.uniformity.ratio - 1) < 4 * found.uniformity.error


def test_a_set_without_negatives_has_nothing_to_prove(settings: LakeSettings) -> None:
    rows = [row for row in drawn(ITEMS, users_of(ITEMS, 3)) if row["label"] == 1]
    manifest = published(settings, rows, available=ITEMS)
    assert prove_sampling(Lake(settings), manifest) is None


def test_a_catalogue_with_no_choice_is_not_judged(settings: LakeSettings) -> None:
    few = dict.fromkeys(("it0", "it1", "it2"), NOON)
    rows = drawn(few, {"us1": [("it0", NOON + timedelta(hours=1))]})
    manifest = published(settings, rows, available=few)
    found = prove_sampling(Lake(settings), manifest)
    assert found is not None
    assert (found.draws, found.uniformity, found.impossible) == (2, None, 0)
