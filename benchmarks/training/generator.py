"""Interactions of the shape of a news site's click log, as many as wanted, the same for a seed.

Fitted to the 1,518,889 clicks of `news_clicks.parquet`: 0.155 users and 0.017 items that occur per
click; events per user log-normal (median 4, mean 6.4, 99 % below 40), popularity of items
log-normal with a far longer tail (1 % of the items take 70 % of the clicks); items appear over the
whole span, and what is clicked is young. Users and items that no event draws do not occur.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

FIRST_EVENT: Final = datetime(2026, 3, 1, tzinfo=UTC)
HOURS: Final = 192
HOUR_MS: Final = 3_600_000
YOUNG_HOURS: Final = 24
CATEGORIES: Final = 20
PIECE_ROWS: Final = 500_000

_USERS_PER_INTERACTION: Final = 0.175
_ITEMS_PER_INTERACTION: Final = 0.034
_USER_SPREAD: Final = 1.0
_ITEM_SPREAD: Final = 3.0

CLICKS: Final = {"click": 1.0}
MIXED: Final = {"view": 0.55, "click": 0.25, "purchase": 0.08, "like": 0.08, "dislike": 0.04}


@dataclass(frozen=True)
class Log:
    """A generated log of `interactions` rows; types are drawn with the shares given."""

    interactions: int
    seed: int = 1
    types: tuple[tuple[str, float], ...] = tuple(CLICKS.items())
    rated_share: float = 0.0

    @property
    def user_count(self) -> int:
        """Users that may occur."""
        return max(1, round(self.interactions * _USERS_PER_INTERACTION))

    @property
    def item_count(self) -> int:
        """Items that may occur; the long tail partly does not."""
        return max(1, round(self.interactions * _ITEMS_PER_INTERACTION))

    def pieces(self, piece_rows: int = PIECE_ROWS) -> Iterator[pl.DataFrame]:
        """Yield the log in time order, at most `piece_rows` rows at a time.

        Columns: user_id, item_id, interaction_type, event_time (UTC, whole milliseconds), rating.
        Memory: one piece and 16 bytes per user and item. Another `piece_rows` is another log.
        """
        span_ms = HOURS * HOUR_MS
        for start in range(0, self.interactions, piece_rows):
            count = min(piece_rows, self.interactions - start)
            random = np.random.default_rng([self.seed, start])
            low, high = (span_ms * end // self.interactions for end in (start, start + count))
            times = np.sort(random.integers(low, max(low + 1, high), count))
            users = np.searchsorted(self._users, random.random(count) * self._users[-1])
            yield self._frame(random, times, users)

    def catalogue(self) -> pl.DataFrame:
        """Return two versions of every item that may occur, the second with another price.

        Columns: item_id, title, category, price, updated_at (UTC); half-way through the second.
        """
        numbers = np.arange(self.item_count)
        versions = [
            pl.DataFrame({"number": numbers}).select(
                pl.format("item-{}", "number").alias("item_id"),
                pl.format("Item {}", "number").alias("title"),
                pl.format("category-{}", pl.col("number") % CATEGORIES).alias("category"),
                ((pl.col("number") % 97 + version) / 4).cast(pl.Decimal(18, 4)).alias("price"),
                pl.lit(FIRST_EVENT + timedelta(hours=hours))
                .cast(pl.Datetime("us", "UTC"))
                .alias("updated_at"),
            )
            for version, hours in enumerate((0, HOURS // 2))
        ]
        return pl.concat(versions)

    def _frame(
        self,
        random: np.random.Generator,
        times: npt.NDArray[np.int64],
        users: npt.NDArray[np.int64],
    ) -> pl.DataFrame:
        """Items are numbered by appearance, so those of an age stand side by side."""
        hours = times // HOUR_MS
        newest = np.maximum(1, self.item_count * (hours + 1) // HOURS)
        oldest = self.item_count * np.maximum(0, hours - YOUNG_HOURS) // HOURS
        below, up_to = self._items[oldest], self._items[newest]
        drawn = below + random.random(len(times)) * (up_to - below)
        items = np.clip(np.searchsorted(self._items, drawn, "right") - 1, 0, self.item_count - 1)
        return self._columns(random, times, users, items)

    def _columns(
        self,
        random: np.random.Generator,
        times: npt.NDArray[np.int64],
        users: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
    ) -> pl.DataFrame:
        names, shares = zip(*self.types, strict=True)
        kinds = random.choice(len(names), len(times), p=shares)
        rated = random.random(len(times)) < self.rated_share
        stars = random.integers(1, 11, len(times)) / 2
        first_ms = round(FIRST_EVENT.timestamp() * 1000)
        return pl.DataFrame(
            {
                "user_id": users,
                "item_id": items,
                "interaction_type": kinds,
                "event_time": times + first_ms,
                "rating": stars,
                "is_rated": rated,
            }
        ).select(
            pl.format("user-{}", "user_id").alias("user_id"),
            pl.format("item-{}", "item_id").alias("item_id"),
            pl.col("interaction_type").replace_strict(
                range(len(names)), names, return_dtype=pl.String
            ),
            pl.from_epoch("event_time", "ms").cast(pl.Datetime("us", "UTC")),
            pl.when("is_rated").then("rating").alias("rating"),
        )

    @cached_property
    def _users(self) -> npt.NDArray[np.float64]:
        random = np.random.default_rng([self.seed, 0, 2])
        return np.cumsum(random.lognormal(0, _USER_SPREAD, self.user_count))

    @cached_property
    def _weights(self) -> npt.NDArray[np.float64]:
        return np.random.default_rng([self.seed, 0, 3]).lognormal(0, _ITEM_SPREAD, self.item_count)

    @cached_property
    def _items(self) -> npt.NDArray[np.float64]:
        return np.concatenate(([0.0], np.cumsum(self._weights)))
