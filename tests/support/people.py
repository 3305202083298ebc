"""A tenant of people, one of whom is erased from the models once they are built."""

from datetime import timedelta
from typing import Any

from lakehouse.contracts.tenant import TenantSettings
from tests.support.clickstream import SEGMENT_CALLS, SEGMENT_LIST, event, store_events
from tests.support.erasure import person
from tests.support.lake import NOON, SessionLake, interaction, item, user

TENANT, NEIGHBOUR = "forgetful", "mindful"
"""The second has people and devices of the same names."""


def events(users: list[str], first: int, last: int) -> list[dict[str, Any]]:
    kinds = ("click", "like", "view", "dislike")
    return [
        interaction(
            f"{one[-6:]}-{n}",
            one,
            f"i{(n * 7 + len(one)) % 12}",
            kinds[n % 4],
            NOON + timedelta(minutes=n),
            session_id=f"of-{one}",
        )
        for one in users
        for n in range(first, last)
    ]


def device(kind: str, of: str) -> str:
    """The name of a device of a person: `own`, `shared` or `handed` over."""
    return f"{kind}-{of[-12:]}"


def device_events(one: str, other: str) -> list[dict[str, Any]]:
    """What was viewed on the devices of one person, by whom; null: by somebody without a log-in."""
    seen = {
        "own": (None, one),
        "shared": (one, other, None),
        "handed": (one, None, "out", other, None),
    }
    return [
        event(
            f"{kind}-{minute}",
            "Signed Out" if who == "out" else "Product Viewed",
            {"product_id": f"i{minute}"},
            None if who == "out" else who,
            minute,
            anonymous_id=device(kind, one),
        )
        for kind, visits in seen.items()
        for minute, who in enumerate(visits)
    ]


def store_people(lake: SessionLake) -> list[str]:
    """Store what they did with a catalogue of twelve items; return who they are.

    The first two agree to training and have ordered something, which the clickstream tells; the
    first was shown a list. The first has a device alone, shares one with the second, and handed one
    over to the second.
    """
    people = [person() for _ in range(5)]
    lake.store_items(TENANT, [item(f"i{n}") for n in range(12)])
    lake.store(TENANT, events(people, 0, 8))
    agreed = [user(one, '{"training": true}', f"a-{one[-6:]}") for one in people[:2]]
    lake.store_users(TENANT, agreed)
    by_segment = {"preset": "segment", "impressions": {}, "identity": {}}
    for name in (TENANT, NEIGHBOUR):
        lake.set_tenant(name, TenantSettings.model_validate({"clickstream": by_segment}))
        store_events(lake, name, device_events(*people[:2]))
    order = SEGMENT_CALLS["Order Completed"]
    clicks = [
        event(one[-6:], "Order Completed", order | {"order_id": one[-6:]}, one, anonymous_id=None)
        for one in people[:2]
    ]
    seen = [event("seen", "Product List Viewed", SEGMENT_LIST, people[0], anonymous_id=None)]
    store_events(lake, TENANT, clicks + seen)
    return people
