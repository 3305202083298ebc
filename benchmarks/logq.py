"""`python -m benchmarks.logq`: does the log-Q correction find the truth that made a log?

A log of known truth: user u takes item i with probability p(i|u) in proportion to
exp(a_u · c_i + b_i), so some items are wanted by all. A dot-product model is trained by in-batch
softmax: a row's negatives are the items of the other rows, so items come as negatives in proportion
to their popularity q(i). Without a correction such a model learns log p(i|u) - log q(i) (Yi et al.,
"Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019);
with log q(i) subtracted from the logits in training it learns log p(i|u).

The figure is the rank correlation (Spearman) of a user's scores with the truth over all items, the
mean of users. JSON goes to standard output (or `--json`). Needs numpy alone.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

SEEDS: Final = (1, 2, 3, 4, 5)
SPREAD_OF_APPEAL: Final = 1.5
RATE: Final = 0.02
DECAYS: Final = (0.9, 0.999)


@dataclass(frozen=True)
class Size:
    """Of the log and of the training."""

    users: int = 300
    items: int = 200
    dimensions: int = 8
    rows_per_user: int = 100
    batch: int = 128
    epochs: int = 12


@dataclass(frozen=True)
class Log:
    """`truth`: users × items, log p(i|u) up to a constant of the user. Rows are users and items."""

    truth: Floats
    users: Numbers
    items: Numbers

    @property
    def logq(self) -> Floats:
        """Logarithm of each item's share of the rows; of an item without a row as if it had one."""
        counts = np.bincount(self.items, minlength=self.truth.shape[1])
        return np.asarray(np.log(np.maximum(counts, 1) / len(self.items)), np.float64)


class Parameter:
    """Values that the optimiser of Kingma and Ba (Adam) changes in place."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self._moment = np.zeros_like(values)
        self._square = np.zeros_like(values)
        self._steps = 0

    def step(self, gradient: Floats) -> None:
        """Take one step against the gradient."""
        self._steps += 1
        first, second = DECAYS
        self._moment += (1 - first) * (gradient - self._moment)
        self._square += (1 - second) * (gradient**2 - self._square)
        scale = np.sqrt(self._square / (1 - second**self._steps)) + 1e-8
        self.values -= RATE * self._moment / (1 - first**self._steps) / scale


def make_log(size: Size, random: np.random.Generator) -> Log:
    """Draw users, items and their appeal, and each user's rows with replacement."""
    users = random.normal(size=(size.users, size.dimensions)) / np.sqrt(size.dimensions)
    items = random.normal(size=(size.items, size.dimensions))
    truth = users @ items.T + random.normal(scale=SPREAD_OF_APPEAL, size=size.items)
    chances = np.exp(truth - truth.max(axis=1, keepdims=True))
    bounds = np.cumsum(chances, axis=1)
    drawn = random.random((size.users, size.rows_per_user)) * bounds[:, -1:]
    chosen = [np.searchsorted(bounds[user], drawn[user]) for user in range(size.users)]
    return Log(
        truth,
        np.repeat(np.arange(size.users), size.rows_per_user),
        np.concatenate(chosen).astype(np.int64),
    )


def train(log: Log, size: Size, random: np.random.Generator, correction: Floats) -> Floats:
    """Return the scores (users × items) of a model trained with `correction` off its logits."""
    users, items = (
        Parameter(random.normal(scale=0.1, size=(count, size.dimensions)))
        for count in log.truth.shape
    )
    appeal = Parameter(np.zeros(log.truth.shape[1]))
    for batch in _batches(len(log.users), size, random):
        of_users, of_items = log.users[batch], log.items[batch]
        logits = users.values[of_users] @ items.values[of_items].T
        logits += (appeal.values - correction)[of_items]
        # another row of the same item is no negative
        same = of_items[:, None] == of_items[None, :]
        logits[same & ~np.eye(len(batch), dtype=bool)] = -np.inf
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        slope = (chances - np.eye(len(batch))) / len(batch)
        gradients = [np.zeros_like(one.values) for one in (users, items, appeal)]
        np.add.at(gradients[0], of_users, slope @ items.values[of_items])
        np.add.at(gradients[1], of_items, slope.T @ users.values[of_users])
        np.add.at(gradients[2], of_items, slope.sum(axis=0))
        for parameter, gradient in zip((users, items, appeal), gradients, strict=True):
            parameter.step(gradient)
    return np.asarray(users.values @ items.values.T + appeal.values, np.float64)


def _batches(rows: int, size: Size, random: np.random.Generator) -> Iterator[Numbers]:
    for _ in range(size.epochs):
        order = random.permutation(rows)
        for start in range(0, rows - size.batch + 1, size.batch):
            yield order[start : start + size.batch]


def rank_correlation(scores: Floats, truth: Floats) -> float:
    """Return the mean over rows of Spearman's correlation; scores are taken to have no ties."""
    ranks = [np.argsort(np.argsort(one, axis=1), axis=1).astype(float) for one in (scores, truth)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in ranks]
    products = (centred[0] * centred[1]).sum(axis=1)
    return float((products / (centred[0] ** 2).sum(axis=1)).mean())


def compare(size: Size, seed: int) -> dict[str, float]:
    """Return both models' rank correlations; they begin alike and see the same batches."""
    log = make_log(size, np.random.default_rng([seed, 0]))
    corrections = {"corrected": log.logq, "uncorrected": np.zeros_like(log.logq)}
    return {
        name: round(
            rank_correlation(
                train(log, size, np.random.default_rng([seed, 1]), correction), log.truth
            ),
            4,
        )
        for name, correction in corrections.items()
    }


def run(size: Size, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """Return the figures of each seed and their means."""
    found = {seed: compare(size, seed) for seed in seeds}
    return {
        "size": asdict(size),
        "rank_correlation_by_seed": found,
        "corrected": round(mean(one["corrected"] for one in found.values()), 4),
        "uncorrected": round(mean(one["uncorrected"] for one in found.values()), 4),
        "seeds_in_which_corrected_is_better": sum(
            one["corrected"] > one["uncorrected"] for one in found.values()
        ),
    }


def main() -> None:
    """Run all seeds and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    text = json.dumps(run(Size()), indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
