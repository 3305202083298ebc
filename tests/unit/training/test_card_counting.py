"""Counts of a card: exact where they say so, bounded, free of order."""

import math
import random
from collections import Counter

import polars as pl
import pytest

from lakehouse.training.card import counting
from lakehouse.training.card.counting import Identifiers, NumberCounts, TextCounts
from lakehouse.training.card.distributions import number, quantiles
from lakehouse.training.card.drift import (
    decile_edges,
    feature_drift,
    rows_by_bin,
    stability_index,
)


def counted(kind: type[NumberCounts | TextCounts], values: list, pieces: int = 1):
    found = kind()
    for start in range(pieces):
        part = pl.DataFrame({"value": values[start::pieces]}, strict=False)
        found.update(part.group_by("value").agg(positives=pl.lit(0, pl.Int64), rows=pl.len()))
    return found


def test_numbers_are_counted_to_three_digits_in_any_order() -> None:
    values = [0, 1, 1, 999, 1_000, 12_345, 12_349, -0.00123456, 25e20]
    one = counted(NumberCounts, [float(value) for value in values])
    many = counted(NumberCounts, [float(value) for value in reversed(values)], pieces=4)
    assert one.counts.equals(many.counts)
    held = dict(one.counts.select("value", "rows").iter_rows())
    assert held == {-0.00123: 1, 0: 1, 1: 2, 999: 1, 1_000: 1, 12_300: 2, 25e20: 1}


def test_what_is_no_number_is_counted_apart() -> None:
    found = counted(NumberCounts, [1.0, math.nan, math.inf, -math.inf, None, -0.0, 0.0])
    assert (found.rows, found.nulls, found.not_finite) == (7, 1, 3)
    assert found.counts.get_column("rows").to_list() == [2, 1]


def test_quantiles_are_within_half_a_percent() -> None:
    chosen = random.Random(3)
    values = sorted(chosen.lognormvariate(3, 2) for _ in range(20_000))
    found = quantiles(counted(NumberCounts, values, pieces=7))
    wanted = [values[max(math.ceil(share * 20_000) - 1, 0)] for share in (0, 0.1, 0.5, 0.9, 1)]
    assert found == pytest.approx(wanted, rel=0.005)


def test_few_texts_are_counted_exactly() -> None:
    found = counted(TextCounts, ["a", "b", "a", None], pieces=2)
    assert (found.rows, found.nulls, found.error) == (4, 1, 0)
    assert found.counts.select("value", "rows").rows() == [("a", 2), ("b", 1)]


def test_of_many_texts_no_count_is_short_by_more_than_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "MOST_TEXTS", 20)
    chosen = random.Random(4)
    values = [f"t{int(chosen.paretovariate(0.8))}" for _ in range(5_000)]
    true, found = Counter(values), counted(TextCounts, values, pieces=50)
    held = dict(found.counts.select("value", "rows").iter_rows())
    assert len(held) <= 20
    assert found.error > 0
    for text, rows in true.items():
        assert 0 <= rows - held.get(text, 0) <= found.error
    assert found.counts.item(0, "value") == true.most_common(1)[0][0]
    assert found.rows == 5_000


def test_identifiers_are_counted_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MERGED_AT", 10)
    before, after = Identifiers(), Identifiers()
    for piece in range(5):
        before.update(pl.Series([f"u{piece}", "u1", "u2"]))
        after.update(pl.Series([f"u{piece + 2}"]))
    assert (len(before), len(after)) == (5, 5)
    assert (after.without(before), before.without(after)) == (2, 2)
    assert after.are_in(["u6", "u0", "user"]) == [True, False, False]


def test_the_index_is_the_formula() -> None:
    shares = [(0.5, 0.25), (0.25, 0.25), (0.25, 0.5)]
    wanted = sum((q - p) * math.log(q / p) for p, q in shares)
    assert stability_index([50, 25, 25], [1, 1, 2]) == pytest.approx(wanted)
    assert stability_index([5, 5], [50, 50]) == 0
    assert stability_index([0, 0], [1, 1]) is None
    assert math.isfinite(stability_index([10, 0], [0, 10]) or math.inf)


def test_bins_are_the_earlier_sets_deciles() -> None:
    earlier = counted(NumberCounts, [float(value) for value in range(1, 101)])
    assert decile_edges(earlier) == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert rows_by_bin(earlier, decile_edges(earlier)) == [10] * 10
    later = counted(NumberCounts, [-5.0, 10.0, 10.5, 1_000.0])
    assert rows_by_bin(later, decile_edges(earlier)) == [2, 1, *[0] * 7, 1]


def test_drift_sees_a_shift_new_nulls_and_another_type() -> None:
    values = [float(value) for value in range(1_000)]
    earlier = counted(NumberCounts, values)
    assert feature_drift(earlier, counted(NumberCounts, values)) == 0
    assert (feature_drift(earlier, counted(NumberCounts, [v + 500 for v in values])) or 0) > 0.25
    with_nulls = counted(NumberCounts, [*values, *[None] * 1_000])
    assert (feature_drift(earlier, with_nulls) or 0) > 0.25
    assert feature_drift(earlier, counted(TextCounts, ["a"])) is None
    names = counted(TextCounts, ["a"] * 9 + ["b"])
    assert (feature_drift(names, counted(TextCounts, ["a"] * 5 + ["new"] * 5)) or 0) > 0.25


def test_a_feature_of_one_value_has_two_bins() -> None:
    same = counted(NumberCounts, [3.0] * 50)
    assert decile_edges(same) == [3]
    assert feature_drift(same, same) == 0
    assert decile_edges(counted(NumberCounts, [None])) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12_300.0, "12,300"), (0.0123, "0.0123"), (1e300, "1e+300"), (-2.5, "-2.5")],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    assert number(value) == text
