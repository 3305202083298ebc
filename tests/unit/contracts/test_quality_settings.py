"""The thresholds of a tenant: defaults, two bounds in order, and no name that does nothing."""

import pytest
from pydantic import ValidationError

from lakehouse.contracts.quality import Least, Most, QualitySettings
from lakehouse.contracts.tenant import TenantSettings


def test_settings_from_before_there_were_thresholds_have_the_defaults() -> None:
    assert TenantSettings.model_validate({}).quality == QualitySettings()
    assert QualitySettings().future_share == Most(warn=0, fail=0.01)


def test_a_limit_that_is_given_replaces_both_bounds() -> None:
    own = TenantSettings.model_validate({"quality": {"catalogued_share": {"fail": 0.9}}})
    assert own.quality.catalogued_share == Least(warn=None, fail=0.9)
    assert own.quality.future_share == QualitySettings().future_share


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        pytest.param({"type_drift": {"warn": 0.5, "fail": 0.2}}, "above fail", id="most"),
        pytest.param({"catalogued_share": {"warn": 0.1, "fail": 0.2}}, "below fail", id="least"),
        pytest.param({"rating_scale": {"least": 5, "most": 5}}, "least must lie", id="scale"),
        pytest.param({"tipe_drift": {"warn": 0.5}}, "Extra inputs", id="misspelt"),
        pytest.param({"type_drift": {"wran": 0.5}}, "Extra inputs", id="misspelt bound"),
        pytest.param({"type_drift": {"warn": float("nan")}}, "finite", id="not a number"),
        pytest.param({"history_periods": 1}, "greater than or equal to 2", id="no history"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(given: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        QualitySettings.model_validate(given)
