"""How much likelier an item is clicked at one position than at another, whatever item it is.

Position-based model (Richardson et al. 2007; Craswell et al. 2008): an item is clicked if its
position is looked at and the item attracts, P(click) = θ(position) · γ(item). Whatever ranked the
items showed most of them at several positions; the same item at two positions is what tells θ from
γ, without any item placed at random (Agarwal et al. 2019 call that intervention harvesting).

θ is estimated by Poisson pseudo-maximum likelihood with one γ per item (Gourieroux, Monfort and
Trognon 1984): it is consistent for any distribution with this mean, and, unlike the likelihood of
single clicks, not biased by many items with few impressions (Hausman, Hall and Griliches 1984).
Its equations say that expected clicks equal those counted, of each item and at each position; they
are solved in turn:

    γ(i) = C(i) / Σₖ n(i,k) θ(k)        θ(k) = C(k) / Σᵢ n(i,k) γ(i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lakehouse.errors import EtaError

GROUPS: Final = 20
"""The items are divided into so many groups; each left out once gives the standard errors."""
TOLERANCE: Final = 1e-9
MOST_STEPS: Final = 10_000

Counts = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Impressions and clicks of each item at each position: arrays of one length, each pair once.

    Of an item without a click, or at one position alone, nothing can be learned: it may be absent.
    """

    items: Indices
    positions: Indices
    """Numbers from 0 on, as are those of the items."""
    impressions: Counts
    clicks: Counts


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one position; relative to the first position that can be compared, whose propensity is 1.

    None where no chain of items links the position with that one.
    """

    propensity: float | None
    standard_error: float | None


def estimate(cells: Cells, position_count: int) -> list[Estimate]:
    """Return the estimate of each position, in their order; see the module for the method.

    The standard error is that of a jackknife over groups of items (by number modulo `GROUPS`);
    None with fewer groups than that. Raises `EtaError` where no two positions can be compared.
    """
    linked = _linked(cells, position_count)
    if linked.sum() < 2:
        raise EtaError(
            "no item with a click was shown at two positions, so no two positions can be compared",
            remedy="wait for more impressions, or leave out --page",
        )
    base = int(np.argmax(linked))
    cells = _rows(cells, linked[cells.positions])
    whole = _solve(cells, position_count, base)
    group = cells.items % GROUPS
    parts = []
    for left_out in np.unique(group):
        part = _rows(cells, group != left_out)
        still = _linked(part, position_count)
        found = _solve(part, position_count, base) if still[base] else np.zeros(position_count)
        parts.append(np.where(still & still[base], found, np.nan))
    errors = _jackknife(np.array(parts)) if len(parts) == GROUPS else [None] * position_count
    return [
        Estimate(float(whole[k]), errors[k]) if linked[k] else Estimate(None, None)
        for k in range(position_count)
    ]


def _rows(cells: Cells, kept: npt.NDArray[np.bool_]) -> Cells:
    return Cells(
        cells.items[kept], cells.positions[kept], cells.impressions[kept], cells.clicks[kept]
    )


def _solve(cells: Cells, position_count: int, base: int) -> Counts:
    item_count = int(cells.items.max()) + 1
    of_items = _totals(cells.items, cells.clicks, item_count)
    of_positions = _totals(cells.positions, cells.clicks, position_count)
    theta = np.ones(position_count)
    for _ in range(MOST_STEPS):
        shown = _totals(cells.items, cells.impressions * theta[cells.positions], item_count)
        gamma = _divide(of_items, shown)
        met = _totals(cells.positions, cells.impressions * gamma[cells.items], position_count)
        new = _divide(of_positions, met)
        new = _divide(new, np.full(position_count, new[base]))
        if np.abs(new - theta).max() < TOLERANCE:
            return new
        theta = new
    raise EtaError(
        "the propensities did not settle: too few items were shown at several positions",
        remedy="wait for more impressions, or count fewer positions (--positions)",
    )


def _divide(above: Counts, below: Counts) -> Counts:
    """Divide, with 0 where both are: an item or a position of which nothing is left."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _totals(numbers: Indices, weights: Counts, count: int) -> Counts:
    """Return the sum of the weights of each number below `count`."""
    return np.bincount(numbers, weights, count).astype(np.float64)


def _linked(cells: Cells, position_count: int) -> npt.NDArray[np.bool_]:
    """Return which positions can be compared: of the linked ones, those with the most clicks.

    An item with a click links the positions at which it was shown; a position without any click
    has no ratio to another one.
    """
    of_items = np.bincount(cells.items, cells.clicks)
    of_positions = np.bincount(cells.positions, cells.clicks, position_count)
    tells = (of_items[cells.items] > 0) & (of_positions[cells.positions] > 0)
    parts = np.arange(position_count)
    items, positions = cells.items[tells], cells.positions[tells]
    while True:
        least = np.full(len(of_items), position_count)
        np.minimum.at(least, items, parts[positions])
        new = parts.copy()
        np.minimum.at(new, positions, least[items])
        if (new == parts).all():
            break
        parts = new
    clicks = np.bincount(parts, of_positions, position_count)
    linked: npt.NDArray[np.bool_] = (parts == int(np.argmax(clicks))) & (of_positions > 0)
    return linked


def _jackknife(parts: Counts) -> Sequence[float | None]:
    """Return the standard error of each position; None where a part has no estimate."""
    spread = parts - parts.mean(axis=0)
    errors = np.sqrt((len(parts) - 1) / len(parts) * (spread**2).sum(axis=0))
    return [None if np.isnan(error) else float(error) for error in errors]
