"""Matrix factorisation on labelled examples with the logistic loss, in numpy.

The probability of a positive is the logistic function of `b_i + p_u · q_i` (Johnson, "Logistic
Matrix Factorization", 2014, with the negatives of the snapshot instead of all unobserved pairs).
Adam over shuffled batches; squared norms of what a batch touches are the regularisation.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_FIRST: Final = 0.9
_SECOND: Final = 0.999
_SMALL: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled examples: numbers of users and items, and labels of 0 and 1."""

    users: Ints
    items: Ints
    labels: Floats


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What was chosen on the validation positives."""

    factors: int = 64
    epochs: int = 20
    batch: int = 4096
    rate: float = 0.01
    penalty: float = 0.02
    has_user_biases: bool = False
    """With them the probability is that of `a_u + b_i + p_u · q_i`."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What was learned: vectors (users × factors, items × factors) and biases (users, items)."""

    users: Floats
    items: Floats
    user_biases: Floats
    item_biases: Floats

    @property
    def scores(self) -> Floats:
        """The score of every item for every user: users × items."""
        found: Floats = self.users @ self.items.T + self.item_biases + self.user_biases[:, None]
        return found


@dataclass(slots=True)
class _Adam:
    """One parameter and its moments; a step moves the rows that a batch touches."""

    value: Floats
    first: Floats = field(init=False)
    second: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.value), np.zeros_like(self.value)

    def step(self, rows: Ints, gradient: Floats, rate: float, count: int) -> None:
        first = _FIRST * self.first[rows] + (1 - _FIRST) * gradient
        second = _SECOND * self.second[rows] + (1 - _SECOND) * gradient**2
        self.first[rows], self.second[rows] = first, second
        unbiased = first / (1 - _FIRST**count)
        scale = np.sqrt(second / (1 - _SECOND**count)) + _SMALL
        self.value[rows] -= rate * unbiased / scale


def train(
    examples: Examples, user_count: int, item_count: int, how: Hyperparameters, seed: int
) -> Floats:
    """Return the score of every item for every user (users × items); the seed decides it."""
    return fit(examples, user_count, item_count, how, seed).scores


def fit(
    examples: Examples, user_count: int, item_count: int, how: Hyperparameters, seed: int
) -> Factors:
    """Return what is learned of all users and items; those without an example stay as drawn."""
    random = np.random.default_rng(seed)

    def normal(rows: int) -> Floats:
        drawn: Floats = random.normal(0, 0.1, (rows, how.factors)).astype(np.float32)
        return drawn

    users, items = _Adam(normal(user_count)), _Adam(normal(item_count))
    biases = _Adam(np.zeros((item_count, 1), np.float32))
    user_biases = _Adam(np.zeros((user_count, 1), np.float32))
    count = 0
    for _ in range(how.epochs):
        order = random.permutation(examples.labels.size)
        for start in range(0, order.size, how.batch):
            chosen = order[start : start + how.batch]
            user, item = examples.users[chosen], examples.items[chosen]
            p, q = users.value[user], items.value[item]
            logits = biases.value[item, 0] + np.einsum("ij,ij->i", p, q)
            logits += user_biases.value[user, 0]
            error = (1 / (1 + np.exp(-logits)) - examples.labels[chosen])[:, None]
            count += 1
            users.step(*_summed(user, error * q + how.penalty * p), how.rate, count)
            items.step(*_summed(item, error * p + how.penalty * q), how.rate, count)
            biases.step(*_summed(item, error), how.rate, count)
            if how.has_user_biases:
                user_biases.step(*_summed(user, error), how.rate, count)
    return Factors(users.value, items.value, user_biases.value[:, 0], biases.value[:, 0])


def _summed(rows: Ints, gradients: Floats) -> tuple[Ints, Floats]:
    """Sum the gradients of each row; return the rows, each once, and their sums."""
    order = np.argsort(rows, kind="stable")
    present, starts = np.unique(rows[order], return_index=True)
    return present, np.add.reduceat(gradients[order], starts, axis=0)
