"""Tenants of made-up data that the tests of the models build together, once."""

import json
import random
from datetime import timedelta
from decimal import Decimal

from lakehouse.contracts.tenant import InteractionType, TenantSettings
from tests.support import reference
from tests.support.clickstream import GA4_EVENTS, GA4_LIST, GREY, TEE, event, store_events
from tests.support.lake import NOON, SessionLake, at, interaction, item, user
from tests.support.shown import showing

LEAKY = [f"leaky{n}" for n in range(15)]
COUNTED = "counted"
"""A tenant whose rows change after the build."""
UNIFORM_USERS = 1_000
EXPONENTS = (0.0, 0.5, 0.75, 1.0)
"""Of the tenants `drawn-0`, `drawn-50`, …, whose negatives are drawn by popularity."""
VIEWING = TenantSettings(positive_types=frozenset({InteractionType.VIEW}), negatives_per_positive=2)
LATE_EVENING = at("05-02 23:30")
ZONE = "Asia/Kolkata"
EXAMPLES = {
    "time_zone": ZONE,
    "item_attributes": {"brand": "$.brand", "price": "offer.price", "tone": "colour|color"},
    "user_attributes": {"age": "age", "plan": "plan"},
}
"""Half an hour beside UTC's hours; a path as it is often written, a deeper one, and two for one."""
HUGE = "x" * 3000
ATTRIBUTES = [
    ({"brand": "Acme", "offer": {"price": 12.5}}, {"brand": "Acme", "price": "12.5"}),
    ({"brand": ["Acme", "Other"], "offer": {"price": "cheap"}}, {"price": "cheap"}),
    ({"brand": {"name": "Acme"}, "offer": 3, "color": "red"}, {"tone": "red"}),
    ({"brand": HUGE, "colour": "blue", "color": "red"}, {"brand": HUGE[:200], "tone": "blue"}),
    ({"brand": 4711, "colour": True}, {"brand": "4711", "tone": "true"}),
    ({"brand": "a\0b", "offer": {"price": "NaN"}}, {"brand": "a\0b", "price": "NaN"}),
    ({"brand": "1d", "offer": {"price": "-2.5e1"}}, {"brand": "1d", "price": "-2.5e1"}),
    ({"brand": None, "offer": {"price": "  "}}, {}),
    ('{"brand": 1e400, "offer": {"price": -1e400}}', {}),
    ('{"brand": "1e400"}', {"brand": "1e400"}),
    ('{"brand": NaN}', {}),
    ('{"brand": "\\ud800"}', {}),
    ("no JSON", {}),
    ({}, {}),
    (None, {}),
]
"""What is sent as attributes of an item, and the texts that `EXAMPLES` chooses of it."""
NUMBERS = {"12.5": 12.5, "4711": 4711.0, "-2.5e1": -25.0}
"""The texts of them that are numbers."""


HOUR = timedelta(hours=1)
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


def with_context(row: dict) -> dict:
    """Each sent row with a device and a place, or without, the same each time that it is sent."""
    minute = row["event_time"].minute
    device, place = ("phone", "desktop", None)[minute % 3], ("Köln", None)[minute % 2]
    device = "Googlebot" if minute == 0 else device
    return row | {"context": {**row["context"], "device_type": device, "location": place}}


def with_attributes(catalogue: list[dict]) -> list[dict]:
    """The rows with the `ATTRIBUTES` one after the other."""
    documents = [said for said, _ in ATTRIBUTES]
    return [
        row | {"attributes": one if one is None or isinstance(one, str) else json.dumps(one)}
        for number, row in enumerate(catalogue)
        for one in (documents[number % len(documents)],)
    ]


def user_versions() -> list[dict]:
    """Up to three versions of some users; two of one time, and fields that were not sent."""
    said = [('{"age": 41, "plan": "plus"}', 0), ('{"age": "old"}', 30), (None, 50)]
    versions = [
        user(f"u{n}", None, f"u{n}-{hours}", attributes=text, updated_at=NOON + hours * HOUR)
        for n in range(6)
        for text, hours in said[: n % 4]
    ]
    unsent = user("u5", None, "u5-70", updated_at=NOON + 70 * HOUR, sent_fields=["consent"])
    replaced = user("u2", None, "a", attributes='{"age": 1}', updated_at=NOON)
    return [replaced, *versions, unsent]


def one_positive_among_seven_items(users: int) -> list[dict]:
    """For each user one click on i0; seven other items that only somebody else has seen."""
    rows = [interaction(f"e{n}", f"u{n}", "i0") for n in range(users)]
    earlier = NOON - timedelta(hours=1)
    return rows + [interaction(f"v{n}", "other", f"i{n}", "view", earlier) for n in range(8)]


def drawing(exponent: float = 0.75, days: int = 1, **shares: float) -> TenantSettings:
    """The settings of a tenant whose negatives are drawn in these shares."""
    said = {"shares": shares, "popularity_exponent": exponent, "popularity_days": days}
    return TenantSettings.model_validate({"negatives": said})


def popular_and_rare(users: int) -> list[dict]:
    """For each user one click on i0, two days after others saw i1 once, i2 twice, up to i7."""
    later, earlier = NOON + timedelta(days=1), NOON - timedelta(days=1)
    rows = [interaction(f"e{n}", f"u{n}", "i0", event_time=later) for n in range(users)]
    return rows + [
        interaction(f"v{n}-{time}", f"other{time}", f"i{n}", "view", earlier)
        for n in range(8)
        for time in range(n)
    ]


def clicks_and_views() -> list[dict]:
    rows = [interaction(f"e{n}", "u", f"i{n}", "view" if n % 2 else "click") for n in range(10)]
    earlier = NOON - timedelta(hours=1)
    return rows + [interaction(f"o{n}", "other", f"j{n}", "view", earlier) for n in range(9)]


def store_tenants(lake: SessionLake) -> dict:
    """Store every tenant; return what the reference makes of `modelled`, and its catalogue."""
    lake.set_tenant("modelled", TenantSettings.model_validate({"examples": EXAMPLES}))
    interactions = lake.store("modelled", [with_context(row) for row in random_rows(1)])
    catalogue = [{**row, "known_at": NOON} for row in with_attributes(random_catalogue(2))]
    lake.store_items("modelled", catalogue, known_at=NOON)
    users = lake.store_users("modelled", user_versions(), known_at=NOON)
    lake.store("hashed", random_rows(11))
    lake.store(COUNTED, random_rows(61, count=60))
    lake.store_items("hashed", random_catalogue(12))
    for number, name in enumerate(LEAKY):
        lake.store(name, random_rows(20 + number, count=150))
        lake.store_items(name, with_attributes(random_catalogue(40 + number)), known_at=NOON)
    branded = {"examples": {"item_attributes": {"brand": "brand"}}}
    lake.set_tenant(LEAKY[8], TenantSettings.model_validate({"traffic": {"leave_out": ["agent"]}}))
    lake.set_tenant(LEAKY[9], TenantSettings.model_validate(branded))
    lake.store_users(LEAKY[10], [user("u1", '{"training": true}', "agreed")], known_at=NOON)
    shown = {"clickstream": {"preset": "ga4", "impressions": {}}}
    lake.set_tenant(LEAKY[11], TenantSettings.model_validate(shown))
    store_events(lake, LEAKY[11], [event("shown", "view_item_list", GA4_LIST, "u1")])
    clicked = at("05-01 12:10")
    lake.store(LEAKY[11], [interaction("clicked", "u1", TEE, event_time=clicked)])
    lake.set_tenant(
        LEAKY[12],
        TenantSettings.model_validate({"clickstream": {"preset": "ga4", "identity": {}}}),
    )
    seen, said = (
        event(name, "view_item", GA4_EVENTS["view_item"], who, minutes=minutes)
        for name, who, minutes in (("seen", None, 10), ("said", "u1", 60))
    )
    store_events(lake, LEAKY[12], [seen, said])
    # a device that a sender writes as its user, too: it stays its own, and is no merge
    own = [
        event(f"own-{n}", "view_item", GA4_EVENTS["view_item"], who, n, anonymous_id="a-9")
        for n, who in enumerate(("a-9", None, "u1"))
    ]
    store_events(lake, LEAKY[12], own)
    lake.set_tenant(LEAKY[13], showing(1))
    store_events(lake, LEAKY[13], [event("shown", "view_item_list", GA4_LIST, "u1")])
    lake.set_tenant(LEAKY[14], drawing(uniform=0.5, popularity=0.5))
    seen_before = interaction("seen before", "u2", GREY, "view", at("05-01 11:00"))
    lake.store(LEAKY[13], [seen_before, interaction("clicked", "u1", TEE, event_time=clicked)])
    lake.store("uniform", one_positive_among_seven_items(UNIFORM_USERS))
    for exponent in EXPONENTS:
        name = f"drawn-{100 * exponent:g}"
        lake.set_tenant(name, drawing(exponent, popularity=1))
        lake.store(name, popular_and_rare(UNIFORM_USERS))
    for name in ("plain", "viewer"):
        lake.store(name, clicks_and_views())
    lake.set_tenant("viewer", VIEWING)
    secret = interaction("ev-zqx4711", "user-zqx4711", "item-zqx4711", session_id="s-zqx4711")
    lake.store("private", [secret])
    lake.store("zoned", [interaction("e", event_time=LATE_EVENING)])
    staged = reference.staged(interactions)
    return {"staged": staged, "items": catalogue, "users": users}
