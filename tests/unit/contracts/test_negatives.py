"""How a tenant says that its negatives are drawn, and what the models read of it."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.training.tenant_settings import _row


def told(negatives: dict[str, Any]) -> object:
    row = _row("acme", TenantSettings.model_validate({"negatives": negatives}))["negatives"]
    return None if row is None else json.loads(str(row))


@pytest.mark.parametrize(
    ("negatives", "expected"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"popularity_exponent": 1}, None, id="no share that would use it"),
        pytest.param({"shares": {"uniform": 1}}, None, id="uniformly"),
        pytest.param(
            {"shares": {"uniform": 0.5, "popularity": 0.3, "category": 0.2}},
            {"popularity": 3000, "category": 2000, "exponent": 0.75, "period_days": 1},
            id="three ways",
        ),
        pytest.param(
            {"shares": {"popularity": 1}, "popularity_exponent": 0.5, "popularity_days": 30},
            {"popularity": 10_000, "category": 0, "exponent": 0.5, "period_days": 30},
            id="one way",
        ),
    ],
)
def test_the_models_read_shares_in_ten_thousandths(
    negatives: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    assert told(negatives) == expected


@pytest.mark.parametrize(
    ("negatives", "reason"),
    [
        pytest.param({"shares": {"popularity": 0.5}}, "make 1 together, not 0.5", id="too little"),
        pytest.param({"shares": {"popularity": 1, "uniform": 1}}, "not 2", id="too much"),
        pytest.param({"shares": {"shown": 1}}, "shown", id="no such way"),
        pytest.param({"shares": {"uniform": float("nan")}}, "finite", id="no number"),
        pytest.param({"popularity_exponent": 1.5}, "less than or equal to 1", id="too steep"),
        pytest.param({"popularity_days": 0}, "greater than or equal to 1", id="no day"),
    ],
)
def test_what_cannot_be_meant_is_refused(negatives: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TenantSettings.model_validate({"negatives": negatives})
