"""The formula: each dimension by hand, and what the score promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.kinds import DataType
from lakehouse.quality.scoring import Shares, Sums, score, shares

CLICKS = DataType.INTERACTIONS
counts = st.integers(-1_000, 1_000_000)


@pytest.mark.parametrize(
    ("sums", "join_rate", "expected"),
    [
        pytest.param(Sums(100), None, Shares(100, 100, 100, 100), id="nothing wrong"),
        pytest.param(Sums(100, incomplete=3), None, Shares(97, 100, 100, 100), id="missing fields"),
        pytest.param(Sums(100, invalid=10), None, Shares(100, 90, 100, 100), id="invalid"),
        pytest.param(
            Sums(100, duplicate=5), None, Shares(100, 100, 95, 100), id="known on arrival"
        ),
        pytest.param(
            Sums(100, staging_duplicate=5), None, Shares(100, 100, 95, 100), id="known in staging"
        ),
        pytest.param(
            Sums(200, duplicate=105, retried=100),
            None,
            Shares(100, 100, 95, 100),
            id="a file sent twice is in no share",
        ),
        pytest.param(
            Sums(110, suppressed=10, invalid=10),
            None,
            Shares(100, 90, 100, 100),
            id="erased people",
        ),
        pytest.param(
            Sums(100, inconsistent=1, staging_conflict=1),
            0.5,
            Shares(100, 100, 100, 49),
            id="conflicts and items that no catalogue has",
        ),
        pytest.param(Sums(0), 1.0, Shares(), id="nothing came"),
        pytest.param(Sums(10, duplicate=10, retried=10), None, Shares(), id="only a retry came"),
        pytest.param(Sums(10, invalid=-4), None, Shares(100, 100, 100, 100), id="corrected rows"),
    ],
)
def test_dimensions_by_hand(sums: Sums, join_rate: float | None, expected: Shares) -> None:
    found = shares(sums, join_rate)
    for name in Shares.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_ten_percent_of_invalid_rows_cost_ten_points() -> None:
    assert score(CLICKS, 1.0, shares(Sums(1_000), None)) == pytest.approx(100)
    assert score(CLICKS, 1.0, shares(Sums(1_000, invalid=100), None)) == pytest.approx(90)


@pytest.mark.parametrize(
    ("data_type", "hours", "expected"),
    [
        (CLICKS, 0, 100),
        (CLICKS, 6, 100),
        (CLICKS, 12, 50),
        (CLICKS, 60, 10),
        (DataType.ITEMS, 168, 100),
        (DataType.ITEMS, 336, 50),
    ],
)
def test_freshness_counts_beyond_its_objective(
    data_type: DataType, hours: float, expected: float
) -> None:
    assert score(data_type, hours, Shares(100, 100, 100, 100)) == pytest.approx(expected)


def test_no_score_where_a_dimension_is_not_known() -> None:
    assert score(CLICKS, None, Shares(100, 100, 100, 100)) is None
    assert score(CLICKS, 1.0, Shares()) is None


@given(
    sums=st.builds(Sums, *[counts] * 9),
    join_rate=st.none() | st.floats(0, 1),
    hours=st.floats(0, 1e6),
)
def test_score_is_never_above_its_worst_dimension(
    sums: Sums, join_rate: float | None, hours: float
) -> None:
    found = shares(sums, join_rate)
    value = score(CLICKS, hours, found)
    if value is None:
        assert found == Shares()
        return
    percents = (found.completeness, found.validity, found.uniqueness, found.consistency)
    assert 0 <= value <= min(p for p in percents if p is not None) + 1e-9
    assert all(0 <= p <= 100 for p in percents if p is not None)
