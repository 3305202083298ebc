"""Which events of the clickstream are interactions: what may be said, and what it comes to."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts.clickstream import PRESETS, json_paths
from lakehouse.contracts.json_rows import pick
from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.tenants import settings_document
from lakehouse.training.tenant_settings import _row
from tests.support.clickstream import (
    GA4_EVENTS,
    MORE_GA4_EVENTS,
    MORE_SEGMENT_CALLS,
    SEGMENT_CALLS,
)

DECLARED = {"view": {}, "purchase": {}, "refund": {"meaning": "neutral", "undoes": "purchase"}}


def tenant(clickstream: Any, **settings: Any) -> TenantSettings:
    return TenantSettings.model_validate({"clickstream": clickstream, **settings})


def types_of(settings: TenantSettings) -> dict[str, str | None]:
    assert settings.clickstream is not None
    mapped = settings.clickstream.mapped(settings.interaction_types)
    return {name: one.type for name, one in mapped.items()}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param({}, "name a preset (segment, ga4), events or impressions", id="nothing"),
        pytest.param(
            {"events": {"recommendation_shown": {"type": "view"}}, "impressions": {}},
            "recommendation_shown cannot be both",
            id="an interaction and an impression",
        ),
        pytest.param(
            {"impressions": {"clicked_by": ["play"]}}, "no type 'play'", id="clicked by no type"
        ),
        pytest.param(
            {"preset": "ga4", "identity": {"ties": ["login", "untie"]}},
            "untie cannot be both",
            id="a tie and its end",
        ),
        pytest.param({"preset": "mixpanel"}, "'segment' or 'ga4'", id="another preset"),
        pytest.param({"events": {"Played": {}}}, "events.Played: say its type", id="no type"),
        pytest.param(
            {"events": {"Played": {"type": "play"}}},
            "no type 'play'; it has view, click, like, purchase, dislike",
            id="a type that is not declared",
        ),
        pytest.param(
            {"events": {"Played": {"type": "view", "user_id": "customer"}}},
            "the source mapping reads who did it",
            id="a user out of the properties",
        ),
        pytest.param(
            {"events": {"Played": {"type": "view", "item_id": "a['b']"}}},
            "names with dots between them",
            id="no path",
        ),
        pytest.param(
            {"events": {"Played": {"type": "view", "item_id": "a..b"}}}, "names with dots", id="gap"
        ),
        pytest.param(
            {"events": {"Played": {"type": "view", "time_unit": "days"}}}, "'iso'", id="unit"
        ),
    ],
)
def test_a_wrong_mapping_is_refused_with_what_to_do(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        tenant(wanted)
    assert said in str(refused.value)


def test_a_path_may_begin_as_jsonpath_does_and_have_blanks_around_its_alternatives() -> None:
    said = {"type": "view", "item_id": "$.product.id | sku", "key": ["$.order"]}
    told = json.loads(str(_row("acme", tenant({"events": {"Played": said}}))["clickstream"]))
    (event,) = told["events"]
    assert event["item_paths"] == ["$['product']['id']", "$['sku']"]
    assert event["key_paths"] == [["$['order']"]]


@pytest.mark.parametrize("preset", PRESETS)
def test_without_declared_types_a_preset_maps_to_the_five(preset: str) -> None:
    five = {kind.value for kind in InteractionType}
    assert set(types_of(tenant({"preset": preset})).values()) <= five
    assert set(types_of(tenant({"preset": preset}))) == set(PRESETS[preset])


def test_declared_types_go_first_and_one_that_is_missing_is_told_apart() -> None:
    assert types_of(tenant({"preset": "segment"}, event_types=DECLARED)) == {
        "Order Completed": "purchase",
        "Order Refunded": "refund",
        "Product Added": None,
        "Product Added to Wishlist": None,
        "Product Clicked": None,
        "Product Removed": "view",
        "Product Viewed": "view",
    }


def test_an_entry_changes_what_it_says_of_a_presets_event_also_when_stored() -> None:
    events = {
        "Order Completed": {"value": "price"},
        "Product Removed": {"type": "skip"},
        "Wished": {"type": "like", "item_id": "wish.id|sku"},
    }
    given = tenant({"preset": "segment", "events": events})
    stored = TenantSettings.model_validate(json.loads(json.dumps(settings_document(given))))
    assert stored == given
    assert stored.clickstream is not None
    mapped = stored.clickstream.mapped(stored.interaction_types)
    assert list(mapped) == [
        "Order Completed",
        "Order Refunded",
        "Product Added",
        "Product Added to Wishlist",
        "Product Clicked",
        "Product Viewed",
        "Wished",
    ]
    order = mapped["Order Completed"]
    assert (order.items, order.value, order.key) == ("products", "price", ("order_id",))


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"impressions": {}}, ["recommendation_shown"]),
        ({"preset": "ga4", "impressions": {}}, ["recommendation_shown", "view_item_list"]),
        (
            {
                "preset": "segment",
                "impressions": {"events": {"recommendation_shown": None, "Carousel Seen": {}}},
            },
            ["Carousel Seen", "Product List Viewed"],
        ),
        ({"preset": "segment"}, []),
    ],
)
def test_impressions_are_told_of_where_they_are_asked_for(
    said: dict[str, Any], names: list[str]
) -> None:
    told = json.loads(str(_row("acme", tenant(said))["clickstream"]))
    assert [one["event_name"] for one in told["events"] if one["is_impression"]] == names
    assert ("click_window_us" in told) == bool(names)


@pytest.mark.parametrize(
    ("settings", "types"),
    [
        ({}, ["click", "like", "purchase", "view"]),
        ({"negative_types": ["view"]}, ["click", "dislike", "like", "purchase"]),
        (
            {"event_types": DECLARED | {"skipped": {"meaning": "negative"}}},
            ["purchase", "view"],
        ),
    ],
)
def test_by_default_every_type_is_a_click_that_is_not_negative_and_takes_nothing_back(
    settings: dict[str, Any], types: list[str]
) -> None:
    told = json.loads(str(_row("acme", tenant({"impressions": {}}, **settings))["clickstream"]))
    assert (told["clicked_by"], told["click_window_us"]) == (types, 1_800_000_000)


@pytest.mark.parametrize(
    ("said", "told"),
    [({}, None), ({"negatives_per_positive": 0}, None), ({"negatives_per_positive": 3}, 3)],
)
def test_negatives_are_told_of_where_they_are_asked_for(
    said: dict[str, int], told: int | None
) -> None:
    row = _row("acme", tenant({"impressions": said}))
    assert json.loads(str(row["clickstream"])).get("shown_negatives") == told


def test_the_models_are_told_paths_and_those_without_a_mapping_nothing() -> None:
    assert json_paths("a.b|c d") == ["$['a']['b']", "$['c d']"]
    (order,) = [
        one
        for one in json.loads(str(_row("acme", tenant({"preset": "segment"}))["clickstream"]))[
            "events"
        ]
        if one["event_name"] == "Order Completed"
    ]
    assert order["item_lists"] == ["$['products']"]
    assert order["item_paths"] == ["$['product_id']", "$['sku']"]
    assert order["key_paths"] == [["$['order_id']"]]
    assert order["value_paths"] is None
    assert _row("acme", TenantSettings())["clickstream"] is None


@pytest.mark.parametrize(
    ("clickstream", "identity"),
    [
        pytest.param({"preset": "segment"}, None, id="nobody asked for it"),
        pytest.param(
            {"preset": "segment", "identity": {}},
            {"tie_events": None, "untie_events": ["Signed Out", "untie"]},
            id="as the preset has it",
        ),
        pytest.param(
            {"preset": "ga4", "identity": {}},
            {"tie_events": None, "untie_events": ["untie"]},
            id="a preset without a word for it",
        ),
        pytest.param(
            {"preset": "segment", "identity": {"ties": ["identify"], "unties": ["Reset"]}},
            {"tie_events": ["identify"], "untie_events": ["Reset"]},
            id="names of the tenant",
        ),
        pytest.param(
            {"preset": "segment", "identity": {"unties": []}},
            {"tie_events": None, "untie_events": []},
            id="for good",
        ),
    ],
)
def test_what_ties_an_anonymous_id_reaches_the_models_where_it_is_asked_for(
    clickstream: Any, identity: Any
) -> None:
    settings = tenant(clickstream)
    told = json.loads(_row("acme", settings)["clickstream"])  # type: ignore[arg-type]
    assert told.get("identity") == identity
    assert TenantSettings.model_validate(settings_document(settings)) == settings


@pytest.mark.parametrize(
    ("preset", "calls"),
    [
        ("segment", {**SEGMENT_CALLS, **MORE_SEGMENT_CALLS}),
        ("ga4", {**GA4_EVENTS, **MORE_GA4_EVENTS}),
    ],
)
def test_a_preset_finds_the_items_and_keys_of_the_published_examples(
    preset: str, calls: dict[str, dict[str, Any]]
) -> None:
    mapped = tenant({"preset": preset}).clickstream.mapped(TenantSettings().interaction_types)  # type: ignore[union-attr]
    assert set(mapped) == set(calls), "every event of the preset has its example"
    for name, properties in calls.items():
        one = mapped[name]
        entries = pick(properties, one.items) if one.items else [properties]
        assert entries
        assert all(pick(entry, one.item_id) for entry in entries), name
        assert all(pick(properties, key) for key in one.key), name
