"""Every setting of a tenant refuses what it cannot mean, in words of the settings."""

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from lakehouse.contracts.settings_model import SettingsModel
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.settings_file import read_settings
from lakehouse.errors import EtaError

KEYS = {"event_types": "play", "sources": "shop", "data_types": "interactions"}
"""A key that may stand in a setting that has entries by name."""
WORDS_OF_PYTHON = ("instance of", "frozenset", "literal[", "constrained", "[key]", "Value error")


def models_in(annotation: Any) -> Iterator[type[SettingsModel]]:
    if isinstance(annotation, type) and issubclass(annotation, SettingsModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def places(model: type[SettingsModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting by its place, those in entries by name under a name that may stand there."""
    for name, field in model.model_fields.items():
        here = (*above, name)
        yield here
        is_by_name = "dict[" in str(field.annotation)
        inside = (*here, KEYS.get(name, "any")) if is_by_name else here
        if is_by_name:
            yield inside
        for one in models_in(field.annotation):
            yield from places(one, inside)


def document(place: tuple[str, ...], value: Any) -> Any:
    for name in reversed(place):
        value = {name: value}
    return value


PLACES = sorted({*places(TenantSettings)})


def refusal(tmp_path: Path, settings: Any) -> str | None:
    path = tmp_path / "settings.yml"
    path.write_text(yaml.safe_dump(settings))
    try:
        read_settings(path)
    except EtaError as error:
        return error.message
    return None


def test_the_places_are_all_there() -> None:
    assert {".".join(place) for place in PLACES} >= {
        "seed",
        "event_types.play",
        "event_types.play.value.scale",
        "sources.shop.data_types.interactions.timestamps.any.unit",
        "quality.age_hours.fail",
        "retention.raw_interactions.hot_days",
    }


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_no_setting_takes_a_boolean(tmp_path: Path, place: tuple[str, ...]) -> None:
    told = refusal(tmp_path, document(place, True))
    assert told is not None
    assert ".".join(place).removesuffix(".any") in told


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_no_message_names_what_is_inside_the_program(
    tmp_path: Path, place: tuple[str, ...]
) -> None:
    classes = {one.__name__ for one in all_models(SettingsModel)}
    for value in (None, "hush", "", 1e-320, 10**30, -1, [], ["hush"], {"hush": 1}, True):
        told = refusal(tmp_path, document(place, value)) or ""
        assert not [word for word in (*WORDS_OF_PYTHON, *classes) if word in told], told


def all_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from all_models(one)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"event_types": {"view": None}}, "event_types.view: it is empty", id="empty"),
        pytest.param(
            {"event_types": {"view": {"value": "rating"}}},
            "event_types.view.value: it is one value, but has entries of its own (column, scale)",
            id="one word",
        ),
        pytest.param({"positive_types": "click"}, "positive_types: it is a list", id="no list"),
        pytest.param({"seed": 2**63}, "seed", id="a seed beyond what a table can hold"),
        pytest.param({"quotas": {"burst_seconds": 1e-300}}, "quotas.burst_seconds", id="no burst"),
        pytest.param(
            {"sources": {"shop": {"header": "second"}}},
            "sources.shop.header: it is first, none, or how many lines",
            id="one of words and numbers",
        ),
        pytest.param(
            {"sources": {"shop": {"constants": {"interaction_type": "bought"}}}},
            "sources.shop.constants.interaction_type: the constant is no type of this tenant",
            id="a mapping to none of the five",
        ),
    ],
)
def test_a_refusal_says_where_and_what(tmp_path: Path, settings: Any, told: str) -> None:
    message = refusal(tmp_path, settings)
    assert message is not None
    assert told in message


NEVER: list[tuple[str, str]] = [
    ("positive_types: []", "none is positive"),
    ("negatives: {shares: {uniform: 0.99996, popularity: 0.00004}}", "shares.popularity"),
    ("negatives_per_positive: 0\nnegatives: {shares: {category: 1}}", "no negatives are drawn"),
    (
        "traffic: {leave_out: [rate, uniformity], interval_variation: 0}",
        "nobody is flagged for uniformity",
    ),
    (
        "clickstream: {preset: ga4, impressions: {click_window_minutes: 1.0e-9}}",
        "less than a microsecond",
    ),
    (
        "clickstream: {events: {a: {type: view}}, "
        "impressions: {events: {recommendation_shown: null}}}",
        "no event says what was shown",
    ),
    ("clickstream: {events: {a: {type: skip}}}", "an interaction or an impression"),
    ("clickstream: {events: {a: {type: view, time_unit: ms}}}", "events.a.time_unit"),
    (
        "clickstream: {preset: ga4, impressions: {events: {a: {time_unit: s}}}}",
        "impressions.events.a.time_unit",
    ),
]


@pytest.mark.parametrize(("said", "told"), NEVER)
def test_what_could_never_do_anything_is_refused(tmp_path: Path, said: str, told: str) -> None:
    found = refusal(tmp_path, yaml.safe_load(said))
    assert found is not None
    assert told in found


@pytest.mark.parametrize(("said", "_"), NEVER)
def test_what_was_stored_of_it_is_still_read(said: str, _: str) -> None:
    assert TenantSettings.model_validate(yaml.safe_load(said))


@pytest.mark.parametrize(
    "said",
    [
        "negatives_per_positive: 0\nclickstream: {preset: ga4, impressions: {}}",
        "negatives: {shares: {uniform: 0.3333333, popularity: 0.3333333, category: 0.3333334}}",
        "traffic: {leave_out: [rate], interval_variation: 0}",
        "clickstream: {preset: ga4, impressions: {events: {a: {time: at, time_unit: s}}}}",
    ],
)
def test_what_does_something_is_taken_also_as_it_is_shown(tmp_path: Path, said: str) -> None:
    assert refusal(tmp_path, yaml.safe_load(said)) is None
    shown = TenantSettings.model_validate(yaml.safe_load(said)).model_dump(mode="json")
    assert refusal(tmp_path, shown) is None


@pytest.mark.parametrize("moment", [2025, 2025.0, "2025", " 1.7e9 ", "1735689600"])
@pytest.mark.parametrize(
    "place", ["time_range.start", "evaluation.train_until", "evaluation.validation_until"]
)
def test_a_year_is_no_moment(tmp_path: Path, place: str, moment: Any) -> None:
    """Numbers would be seconds since 1970, and 2025 half an hour after its first midnight."""
    told = refusal(tmp_path, document(tuple(place.split(".")), moment))
    assert told is not None
    assert place in told
