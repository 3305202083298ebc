"""Declared event types: what may be said, what it comes to, and what the validator makes of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakehouse.contracts.event_types import (
    DEFAULTS,
    NAME_PATTERN,
    EventType,
    Meaning,
    by_strength,
    named,
)
from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.source_mapping import SKIP
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.control.tenants import settings_document
from lakehouse.training.tenant_settings import _row
from tests.support.validating import validated

NAMES = st.from_regex(NAME_PATTERN.strip("^$"), fullmatch=True).filter(lambda name: name != SKIP)
POSITIVE = {"meaning": "positive"}


def tenant(**settings: Any) -> TenantSettings:
    return TenantSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param({}, "at least 1 item", id="none at all"),
        pytest.param({f"t{n}": POSITIVE for n in range(51)}, "at most 50 items", id="too many"),
        pytest.param({"Play": POSITIVE}, "lower-case letters, digits and '_'", id="upper case"),
        pytest.param({"a-b": POSITIVE}, "lower-case letters", id="a hyphen"),
        pytest.param({"1st": POSITIVE}, "a letter first", id="a digit first"),
        pytest.param({"p" * 41: POSITIVE}, "1 to 40", id="too long"),
        pytest.param({"play\n": POSITIVE}, "lower-case letters", id="a line break"),
        pytest.param({"skip": POSITIVE}, "leaves out rows", id="the word of mappings"),
        pytest.param({"play": {}}, "event_types.play: say its meaning", id="no meaning"),
        pytest.param({"play": {"meaning": "good"}}, "event_types.play.meaning", id="no such"),
        pytest.param({"view": {"weight": 0}}, "event_types.view.weight", id="no weight"),
        pytest.param({"view": {"weight": float("inf")}}, "finite", id="endless weight"),
        pytest.param({"view": {"strength": -1}}, "event_types.view.strength", id="no strength"),
        pytest.param({"view": {"value": {"scale": 0}}}, "value.scale", id="no scale"),
        pytest.param(
            {"view": {"value": {"scale": 1, "column": "price"}}}, "value.column", id="no column"
        ),
        pytest.param(
            {"refund": {"meaning": "neutral", "undoes": "purchase"}, "view": {}},
            "event_types.refund.undoes: no declared type is called so; there are refund, view",
            id="undoes what there is not",
        ),
        pytest.param({"like": {"undoes": "like"}}, "cannot undo itself", id="itself"),
        pytest.param({"like": {"undoes": "view"}, "view": {}}, "is neutral", id="a neutral one"),
        pytest.param(
            {"like": {}, "dislike": {"undoes": "like"}, "redo": {**POSITIVE, "undoes": "dislike"}},
            "cannot be undone",
            id="an undoing one",
        ),
        pytest.param({"play": {**POSITIVE, "weight": True}}, "play.weight", id="a boolean"),
        pytest.param({"play": {**POSITIVE, "weight": 1e-320}}, "play.weight", id="next to none"),
        pytest.param({"view": {"weight": 2}, "like": {}}, "event_types.view.weight", id="neutral"),
        pytest.param(
            {"view": {"value": {"scale": 2}}, "like": {}}, "event_types.view.value", id="no use"
        ),
        pytest.param({"view": {}, "dislike": {}}, "none is positive", id="nothing positive"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong_and_where(wanted: Any, said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        tenant(event_types=wanted)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["positive_types", "negative_types"])
def test_meanings_stand_in_one_place(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name}: it cannot .*: leave out {name}, .*click"):
        tenant(event_types={"view": {}}, **{name: ["click"]})


MAPPED = [
    pytest.param({"values": {"interaction_type": {"buy": "bought"}}}, "values", id="a value"),
    pytest.param({"constants": {"interaction_type": "bought"}}, "constants", id="a constant"),
    pytest.param(
        {"data_types": {"interactions": {"values": {"interaction_type": {"buy": "bought"}}}}},
        "values",
        id="in a section",
    ),
]


@pytest.mark.parametrize(("source", "place"), MAPPED)
def test_a_source_maps_to_types_that_there_are(source: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError, match=rf"sources.shop.{place}.interaction_type: .*play"):
        tenant(event_types={"play": POSITIVE}, sources={"shop": source})
    tenant(event_types={"bought": POSITIVE}, sources={"shop": source})


def test_a_source_leaves_rows_out_and_a_constant_is_mapped_as_well() -> None:
    tenant(
        event_types={"play": POSITIVE},
        sources={
            "shop": {
                "constants": {"interaction_type": "p"},
                "values": {"interaction_type": {"p": "play", "x": "skip"}},
            }
        },
    )


@pytest.mark.parametrize("days", [0, -1, 1e9, 1e-320, True])
def test_a_half_life_is_some_days(days: float) -> None:
    with pytest.raises(ValidationError, match="half_life_days"):
        tenant(half_life_days=days)


def test_without_a_declaration_the_contracts_types_count() -> None:
    assert tenant().interaction_types == ("view", "click", "like", "purchase", "dislike")
    row = _row("acme", tenant())
    assert (row["event_types"], row["positive_types"], row["half_life_days"]) == (None, None, None)


def test_the_contracts_names_keep_their_meaning_and_order() -> None:
    """The five declared without a word more are what they are undeclared."""
    assert DEFAULTS.keys() == {*InteractionType}
    row = _row("acme", tenant(event_types={kind.value: {} for kind in InteractionType}))
    assert row["positive_types"] == ["click", "like", "purchase"]
    assert row["negative_types"] == ["dislike"]
    types: Any = row["event_types"]
    assert [one["name"] for one in types] == ["dislike", "view", "click", "like", "purchase"]
    assert {one["weight"] for one in types} == {1.0}


def test_a_declaration_reaches_the_models_in_the_order_of_its_strength() -> None:
    own = tenant(
        half_life_days=30,
        event_types={
            "save": {**POSITIVE, "strength": 9, "weight": 3},
            "play": {**POSITIVE, "value": {"scale": 0.8}},
            "purchase": {},
            "opened": {"meaning": "neutral"},
            "unsave": {"meaning": "negative", "undoes": "save"},
        },
    )
    assert _row("acme", own) == {
        "tenant_id": "acme",
        "positive_types": ["play", "purchase", "save"],
        "negative_types": ["unsave"],
        "seed": None,
        "negatives_per_positive": None,
        "half_life_days": 30,
        "negatives": None,
        "clickstream": None,
        "examples": None,
        "traffic": None,
        "event_types": [
            {"name": "opened", "weight": 1.0, "value_scale": None, "undoes": None},
            {"name": "play", "weight": 1.0, "value_scale": 0.8, "undoes": None},
            {"name": "unsave", "weight": 1.0, "value_scale": None, "undoes": "save"},
            {"name": "purchase", "weight": 1.0, "value_scale": None, "undoes": None},
            {"name": "save", "weight": 3.0, "value_scale": None, "undoes": None},
        ],
    }


def declarations(meanings: st.SearchStrategy[Meaning]) -> st.SearchStrategy[EventType]:
    return meanings.flatmap(
        lambda meaning: st.builds(
            EventType,
            meaning=st.just(meaning),
            strength=st.none() | st.integers(0, 1_000),
            weight=st.just(1.0) if meaning is Meaning.NEUTRAL else st.floats(1e-3, 1e6),
        )
    )


@settings(deadline=None)
@given(
    st.dictionaries(NAMES, declarations(st.sampled_from(Meaning)), max_size=6).flatmap(
        lambda others: st.dictionaries(
            NAMES, declarations(st.just(Meaning.POSITIVE)), min_size=1, max_size=2
        ).map(lambda positive: others | positive)
    )
)
def test_settings_are_stored_and_read_as_declared(types: dict[str, EventType]) -> None:
    own = tenant(event_types=types)
    assert TenantSettings.model_validate(settings_document(own)) == own
    assert {name for name, _ in by_strength(types)} == {*own.interaction_types}
    meant = [name for meaning in Meaning for name in named(types, meaning)]
    assert sorted(meant) == sorted(types)


COLUMNS = ["user_id", "item_id", "interaction_type", "timestamp"]


def rows_of(*words: str) -> list[dict[str, str | None]]:
    return [dict(zip(COLUMNS, ["u", "i", word, "1767225600000"], strict=True)) for word in words]


def test_a_declared_type_is_taken_and_another_refused_with_the_names_of_those() -> None:
    own = tenant(event_types={"play": POSITIVE, "view": {}})
    rows = rows_of("play", " view ", "click", "Play")
    found = validated(DataType.INTERACTIONS, rows, COLUMNS, tenant=own)
    assert found.accepted["interaction_type"].to_list() == ["play", "view"]
    assert found.reasons.select("row", "code", "message").rows() == [
        (row, "unknown_interaction_type", "interaction_type is none of play, view")
        for row in (2, 3)
    ]


def test_a_mapping_reads_words_as_declared_types_and_leaves_rows_out() -> None:
    own = tenant(event_types={"play": POSITIVE, "skipped": {"meaning": "negative"}})
    words = {"listen": "play", "skip": "skipped", "cart": "skip"}
    mapping = SourceMapping(values={"interaction_type": words})
    rows = rows_of("listen", "skip", "cart", "play")
    found = validated(DataType.INTERACTIONS, rows, COLUMNS, mapping, tenant=own)
    assert found.accepted["interaction_type"].to_list() == ["play", "skipped", "play"]
    assert found.skipped is not None
    assert found.skipped.to_list() == [2]
    assert found.reasons.is_empty()
