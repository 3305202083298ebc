"""How far two snapshots' features lie apart: the population stability index."""

from __future__ import annotations

from math import log
from typing import Final

import polars as pl

from lakehouse.training.card.counting import NumberCounts, TextCounts

DECILES: Final = tuple(step / 10 for step in range(1, 10))
TOP: Final = 10
"""Texts that are told apart; the others are counted together."""
SMALL: Final = 0.1
LARGE: Final = 0.25
"""Below the first the literature calls a shift small, from the second on large."""


def decile_edges(counts: NumberCounts) -> list[float]:
    """Return the values at the deciles, each once, in order: upper edges of bins, of at most ten.

    A bin has the values above the edge before it, up to its own; the last one has no end.
    """
    values = counts.counts
    total = int(values.get_column("rows").sum())
    below = values.with_columns(below=pl.col("rows").cum_sum())
    edges: list[float] = []
    for share in DECILES:
        reached = below.filter(pl.col("below") >= share * total)
        if reached.height:
            edges.append(float(reached.item(0, "value")))
    return sorted(set(edges))


def rows_by_bin(counts: NumberCounts, edges: list[float], column: str = "rows") -> list[int]:
    """Return how many rows lie in each bin, one more than there are edges."""
    values = counts.counts
    places = pl.Series(edges, dtype=pl.Float64).search_sorted(
        values.get_column("value"), side="left"
    )
    held = [0] * (len(edges) + 1)
    for place, rows in zip(places, values.get_column(column), strict=True):
        held[place] += rows
    return held


def stability_index(earlier: list[int], later: list[int]) -> float | None:
    """Return the index of two counts over the same bins; None where one of them has no row.

    `sum over bins of (q - p) * ln(q / p)`, p and q the shares of the earlier and the later rows:
    Siddiqi, "Credit Risk Scorecards" (Wiley, 2006), where below 0.1 is no and from 0.25 on a large
    shift; as a statistic in Yurdakul, "Statistical Properties of Population Stability Index"
    (Western Michigan University, 2018). It is the divergence of Jeffreys (1946). An empty bin
    counts as half a row, or the index would be infinite.
    """
    before, after = sum(earlier), sum(later)
    if not before or not after:
        return None
    index = 0.0
    for held, holds in zip(earlier, later, strict=True):
        if held or holds:
            p, q = max(held, 0.5) / before, max(holds, 0.5) / after
            index += (q - p) * log(q / p)
    return index


def feature_drift(
    earlier: NumberCounts | TextCounts, later: NumberCounts | TextCounts
) -> float | None:
    """Return the index of a feature, its bins taken from the earlier snapshot.

    Numbers: deciles; texts: the `TOP` most frequent, and all others. Rows without a value, and
    those that are NaN or infinite, have a bin each. None where the types differ.
    """
    if isinstance(earlier, NumberCounts) and isinstance(later, NumberCounts):
        edges = decile_edges(earlier)
        return stability_index(
            [*rows_by_bin(earlier, edges), earlier.nulls, earlier.not_finite],
            [*rows_by_bin(later, edges), later.nulls, later.not_finite],
        )
    if isinstance(earlier, TextCounts) and isinstance(later, TextCounts):
        names = earlier.counts.head(TOP).get_column("value").to_list()
        return stability_index(_by_text(earlier, names), _by_text(later, names))
    return None


def _by_text(counts: TextCounts, names: list[str]) -> list[int]:
    found = dict(counts.counts.select("value", "rows").iter_rows())
    told = [found.get(name, 0) for name in names]
    return [*told, counts.rows - counts.nulls - sum(told), counts.nulls]
