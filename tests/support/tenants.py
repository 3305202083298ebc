"""Tenants of made-up data that the tests of the models build together, once."""

import random
from datetime import timedelta
from decimal import Decimal

from lakehouse.contracts.negative_sampling import NegativeSamplingSettings, SamplingShares
from lakehouse.contracts.tenant import InteractionType, TenantSettings
from tests.support import reference
from tests.support.clickstream import GA4_LIST, TEE, event, store_events
from tests.support.lake import NOON, SessionLake, at, interaction, item, user

LEAKY = [f"leaky{n}" for n in range(12)]
COUNTED = "counted"
"""A tenant whose rows change after the build."""
UNIFORM_USERS = 1_000
VIEWING = TenantSettings(positive_types=frozenset({InteractionType.VIEW}), negatives_per_positive=2)
WEIGHTED = TenantSettings(
    negative_sampling=NegativeSamplingSettings(
        shares=SamplingShares(uniform=2, popularity=1, category=1)
    )
)
LATE_EVENING = at("05-02 23:30")


TYPES = [str(name) for name in InteractionType]


def random_rows(seed: int, count: int = 400, users: int = 12, items: int = 16) -> list[dict]:
    """Interactions with ties in time, repeated events and conflicting payloads."""
    rng = random.Random(seed)
    rows = [
        interaction(
            f"e{rng.randrange(int(count * 0.9))}",
            f"u{rng.randrange(users)}",
            f"i{min(int(rng.expovariate(0.15)), items - 1)}",
            rng.choice(TYPES),
            NOON + timedelta(minutes=rng.randrange(60 * 24 * 4)),
            rng.choice([None, 1.0, 2.5, 4.0, 5.0]),
            rng.choice([None, "s1", "s2", "s3"]),
        )
        for _ in range(count)
    ]
    return rows + rng.sample(rows, count // 20)


def random_catalogue(seed: int, items: int = 20) -> list[dict]:
    """Up to three versions of most items; some of them dated alike, some before any event."""
    rng = random.Random(seed)
    return [
        item(
            f"i{number}",
            f"i{number}-{version}",
            available_from=NOON + timedelta(hours=rng.randrange(96))
            if rng.random() < 0.4
            else None,
            category=rng.choice([None, "a", "b", "c"]),
            price=Decimal(rng.randrange(1, 400)) / 4,
            updated_at=NOON + timedelta(hours=rng.choice([-24, 0, 0, 24, 48, 200])),
        )
        for number in range(items)
        if rng.random() < 0.7
        for version in range(rng.randint(1, 3))
    ]


def one_positive_among_seven_items(users: int) -> list[dict]:
    """For each user one click on i0; seven other items that only somebody else has seen."""
    rows = [interaction(f"e{n}", f"u{n}", "i0") for n in range(users)]
    earlier = NOON - timedelta(hours=1)
    return rows + [interaction(f"v{n}", "other", f"i{n}", "view", earlier) for n in range(8)]


def clicks_and_views() -> list[dict]:
    rows = [interaction(f"e{n}", "u", f"i{n}", "view" if n % 2 else "click") for n in range(12)]
    earlier = NOON - timedelta(hours=1)
    return rows + [interaction(f"o{n}", "other", f"j{n}", "view", earlier) for n in range(9)]


def store_tenants(lake: SessionLake) -> dict:
    """Store every tenant; return what the reference makes of `modelled`, and its catalogue."""
    interactions = lake.store("modelled", random_rows(1))
    catalogue = [{**row, "known_at": NOON} for row in random_catalogue(2)]
    lake.store_items("modelled", catalogue, known_at=NOON)
    lake.store("hashed", random_rows(11))
    lake.store(COUNTED, random_rows(61, count=60))
    lake.store_items("hashed", random_catalogue(12))
    for number, name in enumerate(LEAKY):
        lake.store(name, random_rows(20 + number, count=150))
        lake.store_items(name, random_catalogue(40 + number), known_at=NOON)
    lake.store_users(LEAKY[8], [user("u1", '{"training": true}', "agreed")], known_at=NOON)
    shown = {"clickstream": {"preset": "ga4", "impressions": {}}}
    lake.set_tenant(LEAKY[9], TenantSettings.model_validate(shown))
    store_events(lake, LEAKY[9], [event("shown", "view_item_list", GA4_LIST, "u1")])
    clicked = at("05-01 12:10")
    lake.store(LEAKY[9], [interaction("clicked", "u1", TEE, event_time=clicked)])
    for name in LEAKY[-2:]:
        lake.set_tenant(name, WEIGHTED)
    lake.store("uniform", one_positive_among_seven_items(UNIFORM_USERS))
    for name in ("plain", "viewer"):
        lake.store(name, clicks_and_views())
    lake.set_tenant("viewer", VIEWING)
    secret = interaction("ev-zqx4711", "user-zqx4711", "item-zqx4711", session_id="s-zqx4711")
    lake.store("private", [secret])
    lake.store("zoned", [interaction("e", event_time=LATE_EVENING)])
    return {"staged": reference.staged(interactions), "items": catalogue}
