"""A tenant of people, one of whom is erased from the models once they are built."""

from datetime import timedelta
from typing import Any

from lakehouse.contracts.tenant import TenantSettings
from tests.support.clickstream import SEGMENT_CALLS, SEGMENT_LIST, event, store_events
from tests.support.erasure import person
from tests.support.lake import NOON, SessionLake, interaction, item, user

TENANT = "forgetful"


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


def store_people(lake: SessionLake) -> list[str]:
    """Store what they did with a catalogue of twelve items; return who they are.

    The first two agree to training and have ordered something, which the clickstream tells; the
    first was shown a list.
    """
    people = [person() for _ in range(5)]
    lake.store_items(TENANT, [item(f"i{n}") for n in range(12)])
    lake.store(TENANT, events(people, 0, 8))
    agreed = [user(one, '{"training": true}', f"a-{one[-6:]}") for one in people[:2]]
    lake.store_users(TENANT, agreed)
    by_segment = {"clickstream": {"preset": "segment", "impressions": {}}}
    lake.set_tenant(TENANT, TenantSettings.model_validate(by_segment))
    order = SEGMENT_CALLS["Order Completed"]
    clicks = [
        event(one[-6:], "Order Completed", order | {"order_id": one[-6:]}, one, anonymous_id=None)
        for one in people[:2]
    ]
    seen = [event("seen", "Product List Viewed", SEGMENT_LIST, people[0], anonymous_id=None)]
    store_events(lake, TENANT, clicks + seen)
    return people
