"""Features, their histories and the point-in-time join against a row-by-row computation."""

import json
from typing import Any

import pytest

from tests.support import reference_features as reference
from tests.support import reference_traffic
from tests.support.lake import SessionLake
from tests.support.tenants import ATTRIBUTES, NUMBERS, ZONE

TENANT = "modelled"
NAMES_OF_ROWS = ("user_hash", "user_id", "item_id")
OF_EXAMPLES_ALONE = (
    *("item_category", "item_price", "item_age_days", "item_texts", "item_numbers"),
    *("user_texts", "user_numbers"),
)
TEXTS = {said if isinstance(said, str) else json.dumps(said): texts for said, texts in ATTRIBUTES}
"""Attributes as they were sent → the texts that are chosen of them."""


def near(row: dict[str, Any], names: Any) -> dict[str, Any]:
    """The named columns, floats to six digits: a mean of decimals has as many."""
    return {
        name: round(row[name], 6) if isinstance(row[name], float) else row[name] for name in names
    }


def held(lake: SessionLake, table: str, *key: str) -> dict[Any, dict[str, Any]]:
    rows = lake.table(table, TENANT).to_dicts()
    found = {tuple(row[name] for name in key): row for row in rows}
    assert len(found) == len(rows) > 0
    return found


def compare(found: dict[Any, dict], expected: dict[Any, dict]) -> None:
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        assert near(found[key], wanted) == near(wanted, wanted), key


@pytest.fixture(scope="module")
def user_history(built: dict) -> dict:
    return reference.user_history(built["staged"], built["items"])


@pytest.fixture(scope="module")
def item_history(built: dict) -> dict:
    return reference.item_history(built["staged"])


def test_a_users_history_counts_what_had_happened_by_each_time(
    lake: SessionLake, user_history: dict
) -> None:
    found = held(lake, "features.user_feature_history", "user_id", "as_of")
    compare(found, user_history)
    assert len({row["unique_categories"] for row in user_history.values()}) > 2
    assert any(row["interactions_1d"] < row["interactions_7d"] for row in user_history.values())
    assert any(row["last_session_interactions"] for row in user_history.values())


def test_a_users_pace_is_that_of_the_times_up_to_each(lake: SessionLake, built: dict) -> None:
    found = held(lake, "features.user_feature_history", "user_id", "as_of")
    expected = reference_traffic.moments(built["staged"])
    compare(found, expected)
    assert any(row["interval_variation"] for row in expected.values())
    assert max(row["interactions_1h"] for row in expected.values()) > 2
    agents = sum(bool(row["agent_count"]) for row in expected.values())
    assert 0 < agents < len(expected) / 2
    (counted,) = lake.table("ops.join_rates", TENANT).to_dicts()
    flagged = reference_traffic.flagged_counts(built["staged"], {})
    assert {column: counted[column] for column in flagged} == flagged
    assert flagged["agent_count"] == flagged["flagged_count"] >= agents
    assert flagged["rate_count"] == flagged["uniformity_count"] == 0


def test_an_items_history_counts_what_had_happened_by_each_hours_end(
    lake: SessionLake, item_history: dict
) -> None:
    compare(held(lake, "features.item_feature_history", "item_id", "as_of"), item_history)
    assert any(row["conversion_rate"] for row in item_history.values())


def test_current_features_are_the_newest_of_the_history(
    lake: SessionLake, user_history: dict, item_history: dict
) -> None:
    users, items = {}, {}
    for key, state in sorted(user_history.items(), key=lambda entry: entry[0][1]):
        users[key[:1]] = {**state, "last_interaction": key[1]}
    for key, state in sorted(item_history.items(), key=lambda entry: entry[0][1]):
        items[key[:1]] = {**state, "as_of": key[1]}
    compare(held(lake, "features.user_features", "user_id"), users)
    compare(held(lake, "features.item_features", "item_id"), items)


def test_an_interaction_has_the_category_and_price_of_its_own_time(
    lake: SessionLake, built: dict
) -> None:
    found = held(lake, "features.enriched_interactions", "event_id")
    known = {row["item_id"] for row in built["items"]}
    for row in built["staged"]:
        version = reference.version_before(built["items"], row["item_id"], row["event_time"])
        joined = found[row["event_id"],]
        assert joined["category"] == (version["category"] if version else None)
        assert joined["price"] == (version["price"] if version else None)
        assert joined["is_joined"] == (row["item_id"] in known)
    assert {row["is_joined"] for row in found.values()} == {True, False}
    assert len({row["price"] for row in found.values()}) > 10
    (rates,) = lake.table("ops.join_rates", TENANT).to_dicts()
    assert rates["joined_count"] == sum(row["is_joined"] for row in found.values())
    assert rates["interaction_count"] == len(found)


def test_an_example_sees_its_user_and_item_as_they_were_strictly_before(
    lake: SessionLake, user_history: dict, item_history: dict
) -> None:
    examples = lake.table("training.training_examples", TENANT).to_dicts()
    assert len(examples) == lake.table("training.training_data", TENANT).height
    seen = set()
    for example in examples:
        for prefix, entity, history in (
            ("user_", example["user_id"], user_history),
            ("item_", example["item_id"], item_history),
        ):
            state = reference.newest_before(history, entity, example["event_time"])
            names = [
                name.removeprefix(prefix)
                for name in example
                if name.startswith(prefix) and name not in (*NAMES_OF_ROWS, *OF_EXAMPLES_ALONE)
            ]
            found = {name: example[prefix + name] for name in names}
            wanted = dict.fromkeys(names) if state is None else state
            assert near(found, names) == near(wanted, names)
            seen.add((prefix, state is None))
    assert seen == {("user_", True), ("user_", False), ("item_", True), ("item_", False)}


def test_a_users_history_ends_before_the_event(lake: SessionLake, built: dict) -> None:
    found = held(lake, "training.user_histories", "user_id", "event_time")
    labelled = {
        (row["user_id"], row["event_time"])
        for table in ("positives", "explicit_negatives")
        for row in lake.table(f"training.{table}", TENANT).to_dicts()
    }
    assert found.keys() == labelled
    for (user, moment), row in found.items():
        earlier = reference.interactions_before(built["staged"], user, moment)
        names = ("item_ids", "interaction_types", "event_times")
        assert list(zip(*(row[name] for name in names), strict=True)) == earlier
    assert {len(row["item_ids"]) for row in found.values()} >= {0, 1}


def numbers(texts: dict[str, str]) -> dict[str, float]:
    return {name: NUMBERS[text] for name, text in texts.items() if text in NUMBERS}


def test_an_example_has_the_context_of_its_event_and_a_negative_its_positives(
    lake: SessionLake, built: dict
) -> None:
    events = {row["event_id"]: row for row in built["staged"]}
    labelled = {
        (row["user_id"], row["anchor_item_id"]): events[row["event_id"]]
        for row in lake.table("training.training_data", TENANT).to_dicts()
        if row["draw_index"] == 0
    }
    contexts = {
        pair: reference.context(event, built["staged"], ZONE) for pair, event in labelled.items()
    }
    seen = set()
    for example in lake.table("training.training_examples", TENANT).to_dicts():
        wanted = contexts[example["user_id"], example["anchor_item_id"]]
        found = {name: example[f"context_{name}"] for name in wanted}
        assert found == wanted
        seen.add((example["negative_type"], wanted["session_position"]))
    assert {kind for kind, _ in seen} == {None, "explicit", "sampled"}
    assert {None, 1, 2} < {position for _, position in seen}
    other = [event for event in labelled.values() if event["event_time"].hour >= 19]
    assert other, "another day in the tenant's zone"


def test_an_example_has_its_items_catalogue_and_attributes_strictly_before_the_event(
    lake: SessionLake, built: dict
) -> None:
    seen: dict[str, set] = {"ages": set(), "texts": set(), "kinds": set()}
    for example in lake.table("training.training_examples", TENANT).to_dicts():
        wanted = reference.catalogue_state(
            built["items"], built["staged"], example["item_id"], example["event_time"]
        )
        for name in ("category", "price", "age_days"):
            assert example[f"item_{name}"] == wanted[name], (name, example)
        texts = TEXTS.get(wanted["attributes"], {}) if wanted["is_listed"] else None
        assert example["item_texts"] == texts
        assert example["item_numbers"] == (None if texts is None else numbers(texts))
        seen["ages"].add(wanted["age_days"])
        seen["texts"].add(wanted["attributes"])
        seen["kinds"].add((example["negative_type"], texts is None))
    assert {None, 0, 1} < seen["ages"]
    assert len(seen["texts"]) > 10, "hostile attributes reach examples"
    assert {("sampled", False), (None, True), (None, False)} < seen["kinds"]


def test_an_example_has_its_users_attributes_strictly_before_the_event(
    lake: SessionLake, built: dict
) -> None:
    seen = set()
    for example in lake.table("training.training_examples", TENANT).to_dicts():
        is_known, said = reference.profile_before(
            built["users"], example["user_id"], example["event_time"]
        )
        chosen = json.loads(said or "{}")
        texts = {name: str(value) for name, value in chosen.items()} if is_known else None
        assert example["user_texts"] == texts
        wanted = {n: v for n, v in chosen.items() if isinstance(v, int)} if is_known else None
        assert example["user_numbers"] == wanted
        seen.add(said if is_known else "unknown")
    assert seen >= {"unknown", None, '{"age": 41, "plan": "plus"}', '{"age": "old"}'}


def test_a_tenant_without_settings_has_hours_of_utc_and_no_attributes(
    lake: SessionLake, built: dict
) -> None:
    rows = lake.table("training.training_examples", "hashed").to_dicts()
    assert {row["context_hour"] == row["event_time"].hour for row in rows} == {True}
    assert {row["context_weekday"] == row["event_time"].isoweekday() for row in rows} == {True}
    for name in ("item_texts", "item_numbers", "user_texts", "user_numbers"):
        assert {row[name] for row in rows} == {None}
    assert len({row["item_category"] for row in rows}) > 1
