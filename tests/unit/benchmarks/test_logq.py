"""The benchmark of the log-Q correction: its measure, and the effect on a small log."""

import numpy as np
import pytest

from benchmarks.logq import Size, compare, make_log, rank_correlation

SMALL = Size(users=60, items=40, dimensions=4, rows_per_user=60, batch=64, epochs=8)


def test_the_rank_correlation_is_spearmans() -> None:
    truth = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert rank_correlation(truth**3, truth) == pytest.approx(1)
    assert rank_correlation(-truth, truth) == pytest.approx(-1)
    assert rank_correlation(np.array([[2.0, 1.0, 4.0, 3.0]]), truth) == pytest.approx(0.6)


def test_a_log_holds_what_its_truth_makes_likely() -> None:
    log = make_log(SMALL, np.random.default_rng(1))
    assert len(log.users) == len(log.items) == 60 * 60
    chances = np.exp(log.truth) / np.exp(log.truth).sum(axis=1, keepdims=True)
    counts = np.bincount(log.items, minlength=40)
    assert np.corrcoef(counts, chances.sum(axis=0))[0, 1] > 0.98
    assert np.exp(log.logq[counts > 0]).sum() == pytest.approx(1)


def test_a_corrected_model_is_nearer_to_the_truth() -> None:
    found = compare(SMALL, seed=1)
    assert found["corrected"] > found["uncorrected"] + 0.05
