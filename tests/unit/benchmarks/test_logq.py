"""The benchmark of the log-Q correction: its arithmetic, and the effect on a small log."""

import numpy as np
import polars as pl
import pytest

from benchmarks.logq import Rows, Size, compare, log_q, loss_and_slope, make_log

SMALL = Size(users=60, items=40, dimensions=4, rows_per_user=60, batch=64, epochs=8)


def rows_of(log: pl.DataFrame) -> Rows:
    before = log.select(pl.int_range(pl.len()).over("item")).to_series()
    return Rows(log["user"].to_numpy(), log["item"].to_numpy(), before.to_numpy())


def test_a_log_holds_what_its_truth_makes_likely() -> None:
    truth, log = make_log(SMALL, np.random.default_rng(1))
    assert log.height == 60 * 60
    assert log["event_time"].is_sorted()
    chances = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    counts = np.bincount(log["item"].to_numpy(), minlength=40)
    assert np.corrcoef(counts, chances.sum(axis=0))[0, 1] > 0.98


def test_q_is_a_share_of_the_set_or_of_what_was_before() -> None:
    rows = Rows(np.array([0, 1, 0, 1]), np.array([2, 2, 0, 2]), np.array([0, 1, 0, 7]))
    found = {name: list(np.exp(one)) for name, one in log_q(rows, item_count=3).items()}
    assert found["none"] == [1, 1, 1, 1]
    assert found["of the set"] == pytest.approx([3 / 4, 3 / 4, 1 / 4, 3 / 4])
    assert found["as of the row"] == pytest.approx([1 / 3, 2 / 4, 1 / 5, 8 / 6])


def test_the_slope_is_that_of_the_loss_and_the_same_item_is_no_negative() -> None:
    random = np.random.default_rng(3)
    logits, items = random.normal(size=(4, 4)), np.array([5, 6, 5, 7])
    loss, slope = loss_and_slope(logits, items)
    by_hand = [
        -np.log(np.exp(logits[r, r]) / sum(np.exp(logits[r, c]) for c in columns))
        for r, columns in enumerate([(0, 1, 3), (0, 1, 2, 3), (1, 2, 3), (0, 1, 2, 3)])
    ]
    assert loss == pytest.approx(np.mean(by_hand))
    assert slope[0, 2] == slope[2, 0] == 0
    step = 1e-6
    for place in np.ndindex(4, 4):
        moved = logits.copy()
        moved[place] += step
        numeric = (loss_and_slope(moved, items)[0] - loss) / step
        assert slope[place] == pytest.approx(numeric, abs=1e-5)


def test_a_corrected_model_is_nearer_to_the_truth() -> None:
    truth, log = make_log(SMALL, np.random.default_rng([1, 0]))
    found = compare(truth, rows_of(log), SMALL, seed=1)
    for corrected in ("as of the row", "of the set"):
        assert found[corrected] > found["none"] + 0.05, found
