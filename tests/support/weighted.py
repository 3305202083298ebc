"""Tenants whose negatives are drawn by shares, and what each draw may be, computed slowly."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lakehouse.contracts.tenant import (
    NegativeSamplingSettings,
    SamplingShares,
    TenantSettings,
)
from tests.support import reference
from tests.support.lake import NOON, SessionLake, interaction, item
from tests.support.reference_features import version_before
from tests.support.tenants import random_catalogue, random_rows

Row = Mapping[str, Any]
DAY = timedelta(days=1)
USERS = 1_000
ALPHAS = {"flat": 0.0, "rooted": 0.5, "followed": 1.0}
"""Tenant → alpha: one draw by popularity for each of many users."""


def sampling(alpha: float = 0.75, **shares: int) -> TenantSettings:
    """Settings with the shares, as many negatives per positive as they add up to."""
    drawn = SamplingShares(**shares)
    return TenantSettings(
        negatives_per_positive=drawn.total,
        negative_sampling=NegativeSamplingSettings(shares=drawn, popularity_alpha=alpha),
    )


MIXED = sampling(0.5, uniform=1, popularity=2, category=1)
BY_CATEGORY = sampling(uniform=1, category=3)


def popularity(rows: Iterable[Row], item_id: str, moment: datetime) -> int:
    """Interactions with an item before the day of a moment."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return sum(row["item_id"] == item_id and row["event_time"] < day for row in rows)


def weight(count: int, alpha: float) -> int:
    """Weight of an item of some popularity, in units of 2^-20; Python too has 0 ** 0 = 1."""
    return math.floor(count**alpha * 2**20 + 0.5)


def category_at(catalogue: Iterable[Row], item_id: str, moment: datetime) -> str | None:
    """Category of an item as the catalogue had it strictly before a moment."""
    version = version_before(catalogue, item_id, moment)
    return version["category"] if version else None


def one_positive_among_popular_items() -> list[dict]:
    """The day before i1 was seen once, i2 twice and so on; each user then clicks i0."""
    seen = [
        interaction(f"v{number}-{time}", "other", f"i{number}", "view", NOON - DAY)
        for number in range(8)
        for time in range(max(number, 1))
    ]
    # what comes on the day itself, and after it, makes nothing more likely
    later = [
        interaction(f"l{time}", "another", "i1", "view", NOON + time * DAY / 40)
        for time in range(-20, 60)
    ]
    clicks = [interaction(f"e{number}", f"u{number}", "i0") for number in range(USERS)]
    return [*seen, *later, *clicks]


def two_categories() -> list[dict]:
    """By noon i0 to i3 are of a, the others of b; i3 was of b before, i4 is of a since."""
    early, before, after = NOON - 2 * DAY, NOON - DAY, NOON + DAY
    rows = [
        item(f"i{number}", category="a" if number < 3 else "b", updated_at=early)
        for number in range(8)
    ]
    moved = [
        item("i3", "i3-moved", category="a", updated_at=before),
        item("i4", "i4-moved", category="a", updated_at=after),
    ]
    return rows + moved


def store_weighted_tenants(lake: SessionLake) -> dict[str, Any]:
    """Store every tenant; return the rows and the catalogue of the random one."""
    for name, alpha in ALPHAS.items():
        lake.set_tenant(name, sampling(alpha, popularity=1))
        lake.store(name, one_positive_among_popular_items())
        untouched = item("i8", available_from=NOON - DAY, updated_at=NOON - DAY)
        lake.store_items(name, [untouched], known_at=NOON)
    for name, settings in (("shelf", sampling(category=1)), ("shelves", BY_CATEGORY)):
        lake.set_tenant(name, settings)
        lake.store(name, one_positive_among_popular_items())
        lake.store_items(name, two_categories(), known_at=NOON)
    lake.set_tenant("pinned", sampling(uniform=4))
    lake.store("pinned", random_rows(73))
    lake.store_items("pinned", random_catalogue(74))
    lake.set_tenant("mixed", MIXED)
    stored = lake.store("mixed", random_rows(71, count=500, users=14))
    catalogue = [{**row, "known_at": NOON} for row in random_catalogue(72)]
    lake.store_items("mixed", catalogue, known_at=NOON)
    return {"staged": reference.staged(stored), "items": catalogue}
