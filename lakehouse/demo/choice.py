"""Which item a visitor looks at: one that exists by then, popular, and to the visitor's taste."""

from typing import Final

import numpy as np

from lakehouse.demo.catalogue import Catalogue, Floats, Ints
from lakehouse.demo.tenants import HOUR

TASTE_SHARE: Final = 0.55
"""Share of a shop's views that fall in the visitor's favourite category."""

NEWS_HALF_LIFE_HOURS: Final = 24.0
_NEWS_CANDIDATES: Final = 3


def choose_products(
    catalogue: Catalogue, seen_at: Ints, favourite: Ints, rng: np.random.Generator
) -> Ints:
    """Draw an item for each view, among those born by then, in proportion to its weight.

    Items stand in birth order, so those alive at a time are a prefix, and one running sum of the
    weights serves every draw.
    """
    everything = np.arange(len(catalogue.born_at))
    chosen = _draw(catalogue, everything, seen_at, rng.random(len(seen_at)))
    follows_taste = rng.random(len(seen_at)) < TASTE_SHARE
    for category in range(int(catalogue.category.max()) + 1):
        members = everything[catalogue.category == category]
        views = np.flatnonzero(follows_taste & (favourite == category))
        if len(members):
            views = views[seen_at[views] >= catalogue.born_at[members[0]]]
            chosen[views] = _draw(catalogue, members, seen_at[views], rng.random(len(views)))
    return chosen


def choose_articles(catalogue: Catalogue, seen_at: Ints, rng: np.random.Generator) -> Ints:
    """Draw an article for each view: a recent one, the most popular of a few candidates."""
    shape = (_NEWS_CANDIDATES, len(seen_at))
    age = rng.exponential(NEWS_HALF_LIFE_HOURS * HOUR / np.log(2), shape)
    position = np.searchsorted(catalogue.born_at, seen_at - age.astype(np.int64), side="right") - 1
    newest = np.searchsorted(catalogue.born_at, seen_at, side="right") - 1
    candidates = np.where(position < 0, newest, position)
    best = np.argmax(catalogue.weight[candidates], axis=0)
    return np.asarray(np.take_along_axis(candidates, best[None, :], axis=0)[0])


def _draw(catalogue: Catalogue, members: Ints, seen_at: Ints, chance: Floats) -> Ints:
    running = np.cumsum(catalogue.weight[members])
    alive = np.searchsorted(catalogue.born_at[members], seen_at, side="right")
    position = np.searchsorted(running, chance * running[alive - 1], side="right")
    return members[np.minimum(position, alive - 1)]
