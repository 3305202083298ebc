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
