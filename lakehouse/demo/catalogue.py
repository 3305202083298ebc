"""Items: when each appears, how popular it is, and the rows of items.csv."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lakehouse.demo import words
from lakehouse.demo.tenants import DAY, END, START, Business, DemoTenant

ZIPF_EXPONENT: Final = 0.9
"""Popularity of the item at popularity rank r is r to the power of minus this."""

LATE_SHARE: Final = 0.02
"""Items whose only row comes days after their first visitors, with no available_from."""
CHANGED_SHARE: Final = 0.05
"""Items with a second row: another price (shop), or taken down (news)."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Items in the order of their appearance; arrays of equal length, one entry per item."""

    item_ids: NDArray[np.str_]
    born_at: Ints
    weight: Floats
    category: Ints
    rows: pl.DataFrame


def make_catalogue(tenant: DemoTenant, rng: np.random.Generator) -> Catalogue:
    """Generate the tenant's items; there is always one that is older than the history."""
    count = tenant.item_count
    weight = rng.permutation(np.arange(1, count + 1, dtype=np.float64) ** -ZIPF_EXPONENT)
    if tenant.business is Business.SHOP:
        born_at, category, first = _shop(count, rng)
    else:
        born_at, category, first = _news(count, rng)
    rows = _with_late_and_changed(first, tenant.business, rng)
    return Catalogue(first["item_id"].to_numpy().astype(np.str_), born_at, weight, category, rows)


def _shop(count: int, rng: np.random.Generator) -> tuple[Ints, Ints, pl.DataFrame]:
    born_at = _births(count, rng, old_share=0.65, oldest=START - 700 * DAY)
    names = [name for name, _, _ in words.SHOP_CATEGORIES]
    category = _skewed(len(names), count, rng)
    medians = np.array([median for _, _, median in words.SHOP_CATEGORIES])
    euros = np.maximum(2, (medians[category] * rng.lognormal(0, 0.45, count)).astype(np.int64))
    picks = rng.integers(0, 12, count)  # 12 divides by the length of every list of products
    products = [words.SHOP_CATEGORIES[c][1] for c in category]
    adjectives = np.array(words.SHOP_ADJECTIVES)[rng.integers(0, len(words.SHOP_ADJECTIVES), count)]
    frame = pl.DataFrame(
        {
            "item_id": [f"SKU-{i:06d}" for i in range(1, count + 1)],
            "title": [
                f"{adjective} {nouns[pick % len(nouns)]}"
                for adjective, nouns, pick in zip(adjectives, products, picks, strict=True)
            ],
            "category": np.array(names)[category],
            "cents": 100 * euros - 5 * rng.integers(0, 3, count),
            "available_from": born_at,
        }
    )
    return born_at, category, frame


def _news(count: int, rng: np.random.Generator) -> tuple[Ints, Ints, pl.DataFrame]:
    born_at = _births(count, rng, old_share=0.05, oldest=START - 2 * DAY)
    category = _skewed(len(words.NEWS_CATEGORIES), count, rng)
    parts = [
        np.array(vocabulary)[rng.integers(0, len(vocabulary), count)]
        for vocabulary in (words.NEWS_SUBJECTS, words.NEWS_VERBS, words.NEWS_OBJECTS)
    ]
    frame = pl.DataFrame(
        {
            "item_id": [f"article-{i:06d}" for i in range(1, count + 1)],
            "title": [" ".join(headline) for headline in zip(*parts, strict=True)],
            "category": np.array(words.NEWS_CATEGORIES)[category],
            "cents": pl.Series([None] * count, dtype=pl.Int64),
            "available_from": born_at,
        }
    )
    return born_at, category, frame


def _births(count: int, rng: np.random.Generator, *, old_share: float, oldest: int) -> Ints:
    """Return sorted times: a share before the history, the rest over it, in whole minutes."""
    old = max(1, round(count * old_share))
    times = np.concatenate(
        [rng.integers(oldest, START, old), rng.integers(START, END - DAY, count - old)]
    )
    return np.sort(times // 60_000 * 60_000).astype(np.int64)


def _skewed(choices: int, count: int, rng: np.random.Generator) -> Ints:
    share = np.arange(1, choices + 1, dtype=np.float64) ** -0.5
    return rng.choice(choices, count, p=share / share.sum()).astype(np.int64)


def _with_late_and_changed(
    first: pl.DataFrame, business: Business, rng: np.random.Generator
) -> pl.DataFrame:
    count = len(first)
    draw = rng.random(count)
    is_late = draw < LATE_SHARE
    is_changed = draw > 1 - CHANGED_SHARE
    delay = rng.integers(2 * DAY, 9 * DAY, count)
    known = pl.Series("updated_at", first["available_from"].to_numpy() + is_late * delay)
    base = first.with_columns(
        known,
        pl.when(pl.Series(is_late)).then(None).otherwise("available_from").alias("available_from"),
        is_active=pl.lit(True),
    )
    changed = base.filter(pl.Series(is_changed)).with_columns(
        cents=pl.col("cents") * 4 // 5,
        is_active=pl.lit(business is Business.SHOP),
        updated_at=pl.col("updated_at").clip(lower_bound=START) + pl.Series(delay[is_changed]),
    )
    price = pl.concat_str(
        pl.col("cents") // 100, pl.lit("."), (pl.col("cents") % 100).cast(pl.String).str.zfill(2)
    )
    return (
        pl.concat([base, changed])
        .with_columns(price=price)
        .sort("updated_at", "item_id")
        .select(
            "item_id", "title", "category", "price", "available_from", "is_active", "updated_at"
        )
    )
