"""The data sets of the benchmark of dominating users and items."""

import pytest

from benchmarks.bot import compared, interactions


@pytest.mark.parametrize("dominating", ["user", "item"])
def test_two_thirds_of_the_rows_are_of_one(dominating: str) -> None:
    rows = interactions(3_000, dominating)
    (largest,) = rows[f"{dominating}_id"].value_counts(sort=True).head(1)["count"]
    even = interactions(3_000, "nothing")
    assert (rows.height, even.height) == (3_000, 3_000)
    assert largest >= 2_000
    assert even[f"{dominating}_id"].value_counts(sort=True)["count"][0] < 100
    assert rows.schema == even.schema


def test_ratios_leave_out_what_took_no_time() -> None:
    even = {"seconds": 10.0, "by_model": {"a": 2.0, "b": 0.1}}
    dominated = {"seconds": 15.0, "by_model": {"a": 6.0, "b": 0.4}}
    found = compared(even, dominated)
    assert (found["ratio"], found["ratio_by_model"]) == (1.5, {"a": 3.0})
