"""Logs whose truth is known: what users like, where they look, and why an item was shown.

A click is position-based: P(click) = look(position) · attraction(user, item), with `look` falling
as 1/√position. The policy is one of two. `even` shows every item as often. `promoting` shows items
by a weight that has nothing to do with what anybody likes, heavy ones more often and higher: who
takes all that was not clicked for equally disliked learns these weights.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from benchmarks.exposures.log import Log

EVEN: Final = "even"
PROMOTING: Final = "promoting"
POLICIES: Final = (PROMOTING, EVEN)
FIRST: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)
BETWEEN: Final = timedelta(hours=12)
TO_CLICK: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Size:
    """Of a log; the last `later` lists of each user are the test."""

    users: int = 100
    items: int = 200
    dimensions: int = 4
    lists: int = 30
    later: int = 8
    shown: int = 10


def make_log(seed: int, policy: str, size: Size) -> Log:
    """Draw tastes, lists and clicks; the seed decides them."""
    random = np.random.default_rng([seed, POLICIES.index(policy)])
    tastes = random.normal(size=(size.users, size.dimensions))
    traits = random.normal(size=(size.items, size.dimensions)) / np.sqrt(size.dimensions)
    appeal = tastes @ traits.T + random.normal(scale=0.7, size=size.items)
    attraction = (1 / (1 + np.exp(1.5 - appeal))).astype(np.float32)
    weights = random.normal(scale=1.2 if policy == PROMOTING else 0.0, size=size.items)
    # the largest of weight + Gumbel noise: drawn without replacement by exp(weight), in that order
    noise = random.gumbel(size=(size.lists, size.users, size.items))
    shown = np.argsort(-(weights + noise), axis=2)[:, :, : size.shown]
    place = np.broadcast_to(np.arange(1, size.shown + 1), shown.shape)
    user = np.broadcast_to(np.arange(size.users)[None, :, None], shown.shape)
    number = np.broadcast_to(np.arange(size.lists)[:, None, None], shown.shape)
    clicked = random.random(shown.shape) < attraction[user, shown] / np.sqrt(place)
    impressions = pl.DataFrame(
        {
            "number": number.ravel(),
            "user": user.ravel(),
            "item": shown.ravel(),
            "position": place.ravel(),
            "is_clicked": clicked.ravel(),
        }
    ).select(
        list_id=pl.format("{}-{}", "number", "user"),
        user_id=pl.format("u{}", "user"),
        item_id=pl.format("i{}", "item"),
        position=pl.col("position"),
        page=pl.lit("home"),
        shown_at=pl.lit(FIRST) + pl.col("number") * pl.lit(BETWEEN),
        is_clicked=pl.col("is_clicked"),
    )
    later_from = FIRST + (size.lists - size.later) * BETWEEN
    return Log(with_clicks(impressions, TO_CLICK), later_from, attraction)


def with_clicks(impressions: pl.DataFrame, after: timedelta) -> pl.DataFrame:
    """Replace `is_clicked` by `clicked_at`, so long after the list."""
    clicked_at = pl.when("is_clicked").then(pl.col("shown_at") + pl.lit(after))
    return impressions.with_columns(clicked_at=clicked_at).drop("is_clicked")
