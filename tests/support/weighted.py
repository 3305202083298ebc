"""Tenants whose negatives are drawn by shares, and what each draw may be, computed slowly."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lakehouse.contracts.negative_sampling import NegativeSamplingSettings, SamplingShares
from lakehouse.contracts.tenant import TenantSettings
from tests.support import reference
from tests.support.lake import NOON, SessionLake, interaction, item
from tests.support.reference_features import version_before
from tests.support.tenants import random_catalogue, random_rows

Row = Mapping[str, Any]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
USERS = 1_000
ALPHAS = {"flat": 0.0, "damped": 0.75}
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


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour of a moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


def popularity(rows: Iterable[Row], item_id: str, moment: datetime) -> int:
    """1 and the interactions with an item before the hour of a moment, rounded down."""
    hour = hour_of(moment)
    return step(1 + sum(row["item_id"] == item_id and row["event_time"] < hour for row in rows))


def step(count: int) -> int:
    """The greatest number up to `count` that has zeros after its first two binary digits."""
    unit = 1
    while count >= 4 * unit:
        unit *= 2
    return count // unit * unit


def weight(popularity: int, alpha: float) -> int:
    """Weight of an item of some popularity, in units of 2^-16."""
    return round(popularity**alpha * 2**16)


def category_at(catalogue: Iterable[Row], item_id: str, moment: datetime) -> str | None:
    """Category of an item as the catalogue had it before the hour of a moment."""
    version = version_before(catalogue, item_id, hour_of(moment))
    return version["category"] if version else None


def categories_by(
    catalogue: list[Row], item_id: str, moment: datetime, available: datetime
) -> set[str | None]:
    """Categories that an item has had by then at the end of an hour, since it is available."""
    ends = {hour_of(row["updated_at"]) + HOUR for row in catalogue if row["item_id"] == item_id}
    counted = {max(end, available) for end in ends}
    return {category_at(catalogue, item_id, hour) for hour in counted if hour <= hour_of(moment)}


def one_positive_among_popular_items() -> list[dict]:
    """The day before i1 was seen once, i2 twice and so on; each user then clicks i0."""
    seen = [
        interaction(f"v{number}-{time}", "other", f"i{number}", "view", NOON - DAY)
        for number in range(8)
        for time in range(max(number, 1))
    ]
    # what comes in the hour itself, and after it, makes nothing more likely
    later = [
        interaction(f"l{time}", "another", "i1", "view", NOON + time * HOUR / 40)
        for time in range(60)
    ]
    clicks = [interaction(f"e{number}", f"u{number}", "i0") for number in range(USERS)]
    return [*seen, *later, *clicks]


def two_categories() -> list[dict]:
    """By noon i0 to i3 are of a, the others of b; i3 was of b before, i4 is of a since."""
    early, before, after = NOON - 2 * DAY, NOON - DAY, NOON
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
    lake.set_tenant("shelves", BY_CATEGORY)
    lake.store("shelves", one_positive_among_popular_items())
    lake.store_items("shelves", two_categories(), known_at=NOON)
    lake.set_tenant("mixed", MIXED)
    stored = lake.store("mixed", random_rows(71, count=1_200, users=30, items=20))
    catalogue = [{**row, "known_at": NOON} for row in random_catalogue(72, items=24)]
    lake.store_items("mixed", catalogue, known_at=NOON)
    return {"staged": reference.staged(stored), "items": catalogue}
