"""Implicit matrix factorisation by alternating least squares (iALS), in NumPy.

Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", 2008, with the
frequency-scaled regularisation of Rendle et al., "Revisiting the performance of iALS on item
recommendation benchmarks", 2022: over observed pairs (1 - w·h)², over all pairs a·(w·h)², and
r·(n + a·m)·|w|² for a vector with n observed pairs of m possible ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Pairs:
    """Distinct pairs by the numbers of their users and items, from 0."""

    users: Ints
    items: Ints


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What is chosen on validation."""

    factors: int = 64
    unobserved: float = 0.1
    regularisation: float = 0.003
    sweeps: int = 12


def factorise(
    pairs: Pairs, users: int, items: int, how: Hyperparameters, seed: int
) -> tuple[Floats, Floats]:
    """Return vectors of users and of items; the seed decides where the first items begin."""
    random = np.random.default_rng(seed)
    found = random.normal(0, 0.1 / np.sqrt(how.factors), (items, how.factors)).astype(np.float32)
    of_users = _grouped(pairs.users, pairs.items, users)
    of_items = _grouped(pairs.items, pairs.users, items)
    for _ in range(how.sweeps):
        people = _solved(of_users, found, how)
        found = _solved(of_items, people, how)
    return people, found


def _grouped(keys: Ints, others: Ints, count: int) -> list[Ints]:
    order = np.lexsort((others, keys))
    return np.split(others[order], np.cumsum(np.bincount(keys, minlength=count))[:-1])


def _solved(observed: list[Ints], others: Floats, how: Hyperparameters) -> Floats:
    """Return the vectors that are best while the others stay."""
    everywhere = how.unobserved * (others.T @ others)
    one = np.eye(how.factors, dtype=np.float32)
    solved = np.empty((len(observed), how.factors), np.float32)
    for start in range(0, len(observed), _AT_ONCE):
        part = observed[start : start + _AT_ONCE]
        left = np.empty((len(part), how.factors, how.factors), np.float32)
        right = np.empty((len(part), how.factors, 1), np.float32)
        for place, met in enumerate(part):
            vectors = others[met]
            weight = how.regularisation * (met.size + how.unobserved * len(others))
            left[place] = vectors.T @ vectors + everywhere + weight * one
            right[place, :, 0] = vectors.sum(axis=0)
        solved[start : start + len(part)] = np.linalg.solve(left, right)[:, :, 0]
    return solved
