"""What a tenant may say of its training examples, and what the models read of it."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts import source_mapping
from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.training.tenant_settings import _row


def tenant(**examples: Any) -> TenantSettings:
    return TenantSettings.model_validate({"examples": examples})


def told(settings: TenantSettings) -> Any:
    text = _row("acme", settings)["examples"]
    assert text is None or isinstance(text, str)
    return None if text is None else json.loads(text)


def test_who_says_nothing_is_who_has_no_settings() -> None:
    assert told(TenantSettings()) is None
    assert told(tenant(time_zone="UTC", item_attributes={}, user_attributes={})) is None


def test_attributes_reach_the_models_in_the_order_of_their_names() -> None:
    paths = {"price": "$.offer.price|price", "brand": "brand"}
    assert told(tenant(time_zone="Europe/Berlin", item_attributes=paths)) == {
        "time_zone": "Europe/Berlin",
        "item": [
            {"name": "brand", "paths": ["$['brand']"]},
            {"name": "price", "paths": ["$['offer']['price']", "$['price']"]},
        ],
    }
    assert told(tenant(user_attributes={"plan": "$.plan"})) == {
        "user": [{"name": "plan", "paths": ["$['plan']"]}]
    }


@pytest.mark.parametrize(
    "path", ["", "$", "$.", "$..brand", "tags[0]", "tags.*", "a.", "it's", "a?b", "x" * 501]
)
def test_a_wrong_path_is_refused_with_a_sentence_that_names_it(path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        tenant(item_attributes={"brand": path})
    (problem,) = problems(refused.value, "settings")
    assert problem.startswith("examples.item_attributes.brand: ")
    assert f"{path!r} is no path" in problem or "500 characters" in problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"time_zone": "Mars/Olympus"}, "IANA name", id="zone"),
        pytest.param({"time_zone": "localtime"}, "IANA name", id="the machine's zone"),
        pytest.param({"time_zone": "Factory"}, "IANA name", id="no place"),
        pytest.param({"time_zone": None}, "string", id="no zone"),
        pytest.param({"item_attributes": {"Brand": "brand"}}, "lower-case", id="name"),
        pytest.param({"item_attributes": {"a'b": "brand"}}, "lower-case", id="quote"),
        pytest.param({"user_attributes": {f"a{n}": "a" for n in range(21)}}, "20", id="many"),
        pytest.param({"attributes": {"brand": "brand"}}, "Extra inputs", id="unknown"),
    ],
)
def test_other_wrong_settings_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        tenant(**given)


def test_the_machine_s_zones_are_listed_once_not_for_each_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = []

    def list_zones() -> set[str]:
        listed.append(1)
        return {"Europe/Berlin", "UTC"}

    monkeypatch.setattr(source_mapping, "available_timezones", list_zones)
    source_mapping._zones.cache_clear()
    for _ in range(3):
        TenantSettings.model_validate({"examples": {"time_zone": "Europe/Berlin"}})
    source_mapping._zones.cache_clear()
    assert listed == [1]
