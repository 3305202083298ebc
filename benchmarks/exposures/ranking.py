"""Trains on one kind of negatives, ranks later impressions, and compares in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.evaluation.factorisation import Examples, Floats, Hyperparameters, Ints, fit
from benchmarks.exposures.log import Log

KINDS: Final = {"shown": ("shown",), "uniform": ("sampled",), "both": ("shown", "sampled")}
"""Which negatives a model is trained on, beside all positives."""
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Test:
    """Later impressions by numbers; `users` and `items` are the ids that the numbers mean."""

    users: pl.DataFrame
    items: pl.DataFrame
    user: Ints
    item: Ints
    clicked: NDArray[np.bool_]


def make_test(log: Log) -> Test:
    """Number the log's users and items, in the order of `log.attraction` where there is one."""
    users, items = (
        log.impressions.select(name)
        .unique()
        .sort(pl.col(name).str.len_chars(), name)
        .with_row_index("number")
        .with_columns(pl.col("number").cast(pl.Int64))
        for name in ("user_id", "item_id")
    )
    later = log.later
    return Test(
        users,
        items,
        _numbers(later, users, "user_id"),
        _numbers(later, items, "item_id"),
        later["clicked_at"].is_not_null().to_numpy(),
    )


def learn(rows: pl.DataFrame, kind: str, test: Test, how: Hyperparameters, seed: int) -> Floats:
    """Return users × items scores; who or what has no row has no vector, and a bias of 0."""
    used = rows.filter((pl.col("label") == 1) | pl.col("negative_type").is_in(KINDS[kind])).sort(
        "user_id", "item_id", "label", "negative_type"
    )
    examples = Examples(
        _numbers(used, test.users, "user_id"),
        _numbers(used, test.items, "item_id"),
        used["label"].to_numpy().astype(np.float32),
    )
    found = fit(examples, test.users.height, test.items.height, how, seed)
    for vectors, present in ((found.users, examples.users), (found.items, examples.items)):
        unknown = np.ones(len(vectors), bool)
        unknown[present] = False
        vectors[unknown] = 0
    return found.scores


def auc(scores: Doubles, clicked: NDArray[np.bool_], weights: Doubles | None = None) -> float:
    """Return how likely a clicked impression has the higher score; equal scores count half.

    With `weights` an impression counts so many times.
    """
    weight = np.ones(scores.size) if weights is None else weights
    return _auc_of_ranks(_ranks(scores), clicked, weight)


def _ranks(scores: Doubles) -> Ints:
    return np.asarray(np.unique(scores, return_inverse=True)[1], np.int64)


def _auc_of_ranks(ranks: Ints, clicked: NDArray[np.bool_], weights: Doubles) -> float:
    positive = np.bincount(ranks, weights * clicked)
    negative = np.bincount(ranks, weights * ~clicked)
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / pairs)


def rank_correlation(scores: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> float:
    """Return Spearman's correlation over the items, the mean of users; without ties."""
    ranks = [np.argsort(np.argsort(one, axis=1), axis=1).astype(float) for one in (scores, truth)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in ranks]
    products = (centred[0] * centred[1]).sum(axis=1)
    return float((products / (centred[0] ** 2).sum(axis=1)).mean())


def bootstrap(
    test: Test, better: Sequence[Floats], other: Sequence[Floats], samples: int, seed: int
) -> Doubles:
    """Return differences of AUC, the mean over models, for users drawn with replacement.

    All models are judged on the same draw of the same users: a paired comparison.
    """
    random = np.random.default_rng(seed)
    count = test.users.height
    found = np.empty(samples)
    ranks = [
        [_ranks(scores[test.user, test.item].astype(float)) for scores in pair]
        for pair in zip(better, other, strict=True)
    ]
    for sample in range(samples):
        draws = np.bincount(random.integers(0, count, count), minlength=count)
        weights = draws[test.user].astype(float)
        values = [[_auc_of_ranks(one, test.clicked, weights) for one in pair] for pair in ranks]
        found[sample] = np.mean([one - two for one, two in values])
    return found


def _numbers(rows: pl.DataFrame, ids: pl.DataFrame, name: str) -> Ints:
    found = rows.select(name).join(ids, on=name, how="left", maintain_order="left")["number"]
    return found.to_numpy().astype(np.int64)
