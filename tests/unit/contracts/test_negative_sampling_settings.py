"""Shares of the strategies: they add up, and all uniform is what it was without them."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.tenant_settings import publish_tenant_settings

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def given(k: int | None = None, alpha: float = 0.75, **shares: int) -> TenantSettings:
    return TenantSettings.model_validate(
        {
            "negatives_per_positive": k,
            "negative_sampling": {"shares": shares or None, "popularity_alpha": alpha},
        }
    )


def published(lake: Lake) -> list[tuple]:
    rows = lake.table(OPS_TENANT_SETTINGS).to_pyarrow_table().sort_by("version").to_pylist()
    return [(row["negatives_per_positive"], row["negatives"]) for row in rows]


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(LakeSettings(home=tmp_path_factory.mktemp("eta")))
    ensure_tables(lake)
    return lake


def test_settings_from_before_there_were_shares_draw_uniformly() -> None:
    assert TenantSettings.model_validate({}).negative_sampling.shares is None


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        pytest.param({"shares": {"popularity": 2}}, "add up to 2, .* is 4", id="too few"),
        pytest.param({"shares": {"uniform": 5}}, "add up to 5, .* is 4", id="too many"),
        pytest.param({"shares": {"uniform": -1, "popularity": 5}}, "greater than", id="negative"),
        pytest.param({"shares": {"popular": 4}}, "Extra inputs", id="misspelt"),
        pytest.param({"popularity_alpha": 1.5}, "less than or equal", id="above 1"),
        pytest.param({"popularity_alpha": -0.1}, "greater than", id="below 0"),
        pytest.param({"popularity_alpha": float("nan")}, "equal", id="not a number"),
    ],
)
def test_shares_that_make_no_sense_are_refused(settings: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        TenantSettings.model_validate({"negative_sampling": settings})


def test_shares_add_up_to_the_tenants_own_number() -> None:
    assert given(3, popularity=3).negative_sampling.shares is not None
    with pytest.raises(ValidationError, match=r"add up to 4, .* is 3"):
        given(3, popularity=4)


def test_the_models_hear_of_shares_and_of_the_number_they_are_of(lake: Lake) -> None:
    publish_tenant_settings(lake, {"acme": given(None, 0.5, uniform=2, popularity=2)}, NOW)
    assert published(lake) == [(4, '{"popularity": 2, "popularity_alpha": 0.5}')]


def test_all_uniform_is_no_news_for_the_models(lake: Lake) -> None:
    assert publish_tenant_settings(lake, {"acme": given()}, NOW) == 1
    assert publish_tenant_settings(lake, {"acme": given(None, 0.5, uniform=4)}, NOW) == 0
    assert published(lake) == [(None, None)]


def test_a_power_that_nothing_is_drawn_by_is_no_news_either(lake: Lake) -> None:
    assert publish_tenant_settings(lake, {"acme": given(None, 0.5, category=4)}, NOW) == 1
    assert publish_tenant_settings(lake, {"acme": given(None, 0.9, category=4)}, NOW) == 0
