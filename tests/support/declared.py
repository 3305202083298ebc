"""Tenants that declare what others do not: event types, consent, clickstream, impressions, devices.

They grow in two batches, before and after a cutoff, in runs that they share with other tenants.
"""

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.contracts.tables import RAW_CLICKSTREAM
from lakehouse.contracts.tenant import TenantSettings
from tests.support.clickstream import (
    GA4_EVENTS,
    GA4_LIST,
    ITEMS,
    MONOPOLY,
    MORE_SEGMENT_CALLS,
    ORDER,
    RECOMMENDED,
    SEGMENT_CALLS,
    UNO,
    event,
    segment_event,
    store_events,
)
from tests.support.devices import FIRST_BATCHES, device_events, minutes
from tests.support.lake import NOON, SessionLake, interaction, item, user
from tests.support.shown import random_lists, showing

DAY = timedelta(days=1)
KNOWN_FIRST, KNOWN_LATER = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)
"""Before and after the cutoff of the rounds."""
TYPED, RANDOM, PLAIN = "typed", "typed-random", "five-types"
ASKING = "asking"
"""A tenant whose users are asked whether they may be trained on."""
YES, NO = '{"training": true}', '{"training": false, "mail": true}'
SHOP, SITE = "clicks-of-segment", "clicks-of-ga4"
DEVICES, UNTIED = "devices-of-people", "devices-of-nobody"
"""The same generated clickstream: one tenant ties anonymous ids to users, the other does not."""
LISTED = "lists-of-items"
"""A tenant that takes negatives from what it showed: one of each positive, then two."""
LIST_USERS = 40
TENANTS = (TYPED, RANDOM, PLAIN, ASKING, SHOP, SITE, DEVICES, UNTIED, LISTED)
TYPES: dict[str, Any] = {
    "opened": {"meaning": "neutral"},
    "skipped": {"meaning": "negative", "weight": 0.5},
    "play": {"meaning": "positive", "weight": 2, "value": {"scale": 0.8}},
    "save": {"meaning": "positive", "strength": 2, "weight": 3},
    "unsave": {"meaning": "neutral", "undoes": "save"},
}
HEAVIER = TYPES | {"save": {**TYPES["save"], "weight": 4}}
SHOPPING: dict[str, Any] = {
    "view": {},
    "add_to_cart": {"meaning": "positive", "strength": 3},
    "remove_from_cart": {"meaning": "neutral", "undoes": "add_to_cart"},
    "purchase": {"value": {"scale": 42.02}},
    "refund": {"meaning": "neutral", "undoes": "purchase"},
}
BY_GA4 = {
    "event_types": SHOPPING,
    "clickstream": {
        "preset": "ga4",
        "events": {"purchase": {"value": "price"}},
        "impressions": {"click_window_minutes": 30, "clicked_by": ["view", "add_to_cart"]},
    },
}
HALF_LIFE = 10.0
Label = tuple[str, float, str | None, float]


class Declared:
    """The tenants of this module, and what their tables held after the runs that were noted."""

    def __init__(self, lake: SessionLake) -> None:
        self.lake = lake
        self.labels: list[dict[tuple[str, str], Label]] = []
        """Of `TYPED`."""
        self.plain_files: list[set[Path]] = []
        self.trained_on: list[list[str]] = []
        """Users of `ASKING` in the training tables."""
        self.features_of: list[int] = []
        """Of how many of its users there are features."""
        self.mapped: list[pl.DataFrame] = []
        """The rows of `SHOP` that are staged: it maps its clickstream in the second batch."""
        self.shown: list[pl.DataFrame] = []
        """The impressions of `SITE`: in the second batch is a click on one."""
        self.devices: list[dict[str, tuple[str, datetime | None]]] = []
        """Whose the staged events of `DEVICES` are."""
        self.sent_by_devices: list[dict[str, Any]] = []
        """The events of `DEVICES` with their provenance."""
        self.lists = [random_lists(number, "xy"[number], LIST_USERS) for number in range(2)]
        """What `LISTED` showed and what its users did, of two batches."""
        self.beside: list[pl.DataFrame] = []
        """Its shown negatives: one of each positive of the first batch, then two of both."""

    def note(self) -> None:
        """Remember what the last run left."""
        lake = self.lake
        self.labels.append(labels(lake, TYPED))
        self.plain_files.append({p for p in lake.data_files() if f"tenant_id={PLAIN}/" in f"{p}"})
        self.trained_on.append(trained_on(lake))
        self.features_of.append(lake.table("features.user_features", ASKING).height)
        self.mapped.append(lake.table("staging.stg_interactions", SHOP))
        self.shown.append(lake.table("features.impressions", SITE))
        self.devices.append(owners(lake))
        rows = lake.table("training.training_data", LISTED)
        self.beside.append(rows.filter(pl.col("negative_type") == "shown"))

    def store_first(self) -> None:
        lake = self.lake
        for tenant_id in (TYPED, RANDOM):
            lake.set_tenant(tenant_id, settings_of(TYPES))
        lake.store(TYPED, first_rows(), known_at=KNOWN_FIRST)
        random_first = [*seen_by_another("v"), *random_rows(1, "a")]
        lake.store(RANDOM, random_first, known_at=KNOWN_FIRST)
        lake.store(PLAIN, plain_rows("p"), known_at=KNOWN_FIRST)
        lake.store(ASKING, likes_and_dislikes(), known_at=KNOWN_FIRST)
        said = [asked(1, "leaves", YES), asked(2, "comes-back", NO), asked(3, "stays-away", NO)]
        lake.store_users(ASKING, said, known_at=KNOWN_FIRST)
        branded = item("j1", attributes='{"brand": "Acme"}', updated_at=NOON - 2 * DAY)
        lake.store_items(RANDOM, [branded], known_at=KNOWN_FIRST)
        store_events(lake, SHOP, shop_events(), known_at=KNOWN_FIRST, batch_id="webhook")
        lake.set_tenant(SITE, TenantSettings.model_validate(BY_GA4))
        store_events(lake, SITE, site_events(0, [*GA4_EVENTS][:4]), known_at=KNOWN_FIRST)
        store_events(lake, SITE, shown_events(), known_at=KNOWN_FIRST)
        by_segment = {"clickstream": {"preset": "segment"}}
        lake.set_tenant(UNTIED, TenantSettings.model_validate(by_segment))
        tying = {"clickstream": {"preset": "segment", "identity": {}}}
        lake.set_tenant(DEVICES, TenantSettings.model_validate(tying))
        self._store_list(0, KNOWN_FIRST)
        for number, known in enumerate(FIRST_BATCHES):
            rows = device_events(number, 120, known - 180, known, "xy"[number])
            self._send_by_devices(rows, minutes(known))

    def store_later(self) -> None:
        lake = self.lake
        lake.set_tenant(TYPED, settings_of(HEAVIER))
        chosen = {"time_zone": "Asia/Kolkata", "item_attributes": {"by": "brand"}}
        lake.set_tenant(RANDOM, settings_of(HEAVIER, examples=chosen))
        by_segment = TenantSettings.model_validate({"clickstream": {"preset": "segment"}})
        lake.set_tenant(SHOP, by_segment)
        # the purchase once more out of the shop's own system, and its refund on the site
        told_again = interaction(f"purchase:{ORDER}:{UNO}", "u", UNO, "purchase", NOON + DAY, 3)
        of_another = interaction(f"purchase:{ORDER}:{MONOPOLY}", "v", MONOPOLY, "purchase", NOON)
        lake.store(SHOP, [told_again, of_another], known_at=KNOWN_LATER, batch_id="csv")
        late = event("late", "view_item", {"items": ITEMS[1:]}, minutes=5)
        store_events(lake, SITE, [*site_events(9, ["refund"]), late], known_at=KNOWN_LATER)
        lake.store(TYPED, later_rows(), known_at=KNOWN_LATER)
        lake.store(RANDOM, random_rows(2, "b"), known_at=KNOWN_LATER)
        said = [
            asked(4, "leaves", NO, 1),
            asked(5, "comes-back", YES, 1),
            asked(6, "stays-away", '{"mail": true}', 1),
            asked(7, "stays-away", None, 2),
            asked(8, "late", NO, 2),
        ]
        lake.store_users(ASKING, said, known_at=KNOWN_LATER)
        self._store_list(1, KNOWN_LATER)
        self._send_by_devices(device_events(3, 120, 0, 600, "z"), KNOWN_LATER)

    def _store_list(self, number: int, known_at: datetime) -> None:
        shown, done = self.lists[number]
        self.lake.set_tenant(LISTED, showing(number + 1))
        store_events(self.lake, LISTED, shown, known_at=known_at)
        self.lake.store(LISTED, done, known_at=known_at)

    def _send_by_devices(self, rows: list[dict[str, Any]], known_at: datetime) -> None:
        sent = [
            self.lake.store(name, rows, spec=RAW_CLICKSTREAM, known_at=known_at)
            for name in (DEVICES, UNTIED)
        ]
        self.sent_by_devices += sent[0]


def settings_of(types: Mapping[str, Any], **more: Any) -> TenantSettings:
    declared = {"event_types": types, "half_life_days": HALF_LIFE}
    return TenantSettings.model_validate(declared | more)


def seen_by_another(prefix: str) -> list[dict[str, Any]]:
    """Six items that may be drawn for everybody else."""
    return [interaction(f"{prefix}{n}", "v", f"j{n}", "opened", NOON - DAY) for n in range(6)]


def first_rows() -> list[dict[str, Any]]:
    def of_u(event_id: str, item_id: str, kind: str, rating: float | None = None) -> dict[str, Any]:
        return interaction(event_id, "u", item_id, kind, NOON + int(event_id[1:]) * DAY, rating)

    return [
        *seen_by_another("v"),
        of_u("e1", "i1", "play", 0.4),
        of_u("e2", "i1", "save"),
        of_u("e3", "i2", "play", 0.2),
        of_u("e4", "i3", "save"),
        of_u("e5", "i4", "skipped"),
        of_u("e6", "i5", "opened"),
        of_u("e7", "i6", "streamed"),  # declared once, not any more
    ]


def later_rows() -> list[dict[str, Any]]:
    return [interaction(f"f{n}", "u", f"i{n}", "unsave", NOON + (20 + n) * DAY) for n in (1, 2, 3)]


def random_rows(seed: int, prefix: str) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        interaction(
            f"{prefix}{n}",
            f"u{rng.randrange(6)}",
            f"i{rng.randrange(8)}",
            rng.choice([*TYPES, "streamed"]),
            NOON + timedelta(hours=rng.randrange(200)),
            rng.choice([None, 0.0, 0.25, 0.5, 1.0]),
        )
        for n in range(150)
    ]


def plain_rows(prefix: str, count: int = 40) -> list[dict[str, Any]]:
    rng = random.Random(5)
    kinds = ("view", "click", "purchase", "like", "dislike")
    return [
        interaction(
            f"{prefix}{n}",
            f"u{rng.randrange(5)}",
            f"i{rng.randrange(12)}",
            rng.choice(kinds),
            NOON + timedelta(hours=n),
            rng.choice([None, 0.5]),
        )
        for n in range(count)
    ]


def labels(lake: SessionLake, tenant_id: str) -> dict[tuple[str, str], Label]:
    rows = lake.table("training.training_data", tenant_id).filter(pl.col("draw_index") == 0)
    columns = ("user_id", "item_id", "interaction_type", "label", "negative_type", "type_weight")
    return {(row[0], row[1]): tuple(row[2:]) for row in rows.select(columns).rows()}


def owners(lake: SessionLake) -> dict[str, tuple[str, datetime | None]]:
    """Event → its user in the staged interactions, and when that became known if it was later."""
    rows = lake.table("staging.stg_interactions", DEVICES)
    columns = ("event_id", "user_id", "attributed_at")
    return {event_id: tuple(row) for event_id, *row in rows.select(columns).iter_rows()}


def shop_events() -> list[dict[str, Any]]:
    """The examples of Segment's specification, and what cannot be an interaction."""
    calls = [segment_event(f"m{n}", name, "u", n) for n, name in enumerate(SEGMENT_CALLS)]
    viewed, completed = SEGMENT_CALLS["Product Viewed"], SEGMENT_CALLS["Order Completed"]
    products = completed["products"]
    return [
        *calls,
        *(segment_event(name, name, "u", n) for n, name in enumerate(MORE_SEGMENT_CALLS, 20)),
        segment_event("anonymous", "Order Completed", None, 9),
        event("of its column", "Product Viewed", {"name": "Monopoly"}, item_id="i-column"),
        event("without item", "Product Viewed", {"name": "Monopoly"}),
        event("without properties", "Product Viewed", None),
        event("no products", "Order Completed", {"order_id": "o1", "products": []}),
        event("twice", "Order Completed", {"order_id": "o2", "products": [*products, products[0]]}),
        event("without order", "Order Completed", {"products": ["i1", 7, None]}),
        event("too long", "Product Viewed", {"product_id": "i" * 513}),
        event("unmapped", "Cart Viewed", {"products": products}),
        event("unmapped, too", "Product Shared", viewed),
    ]


def shown_events() -> list[dict[str, Any]]:
    """A list seen 40 and 10 minutes before the first view, and what was recommended later."""
    return [
        event("early", "view_item_list", GA4_LIST, minutes=-40),
        event("list", "view_item_list", GA4_LIST, minutes=-10),
        event("list", "view_item_list", GA4_LIST, minutes=-10),
        event("home", "recommendation_shown", RECOMMENDED, minutes=1),
        event("unseen", "view_item_list", GA4_LIST, None),
    ]


def site_events(first: int, names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        event(f"g{n}", name, GA4_EVENTS[name], minutes=n) for n, name in enumerate(names, first)
    ]


def asked(number: int, user_id: str, consent: str | None, day: int = 0) -> dict[str, Any]:
    return user(user_id, consent, f"said-{number}", updated_at=NOON + day * DAY)


def likes_and_dislikes() -> list[dict[str, Any]]:
    kinds = {"liked": "like", "disliked": "dislike", "seen": "view"}
    return [
        interaction(f"{who}-{item}", who, item, kind, NOON + timedelta(hours=number))
        for number, (who, item, kind) in enumerate(
            (who, item, kind)
            for who in ("never-asked", "leaves", "comes-back", "stays-away", "late")
            for item, kind in kinds.items()
        )
    ]


def trained_on(lake: SessionLake) -> list[str]:
    """Who is in the training tables; a user is in all of them or in none."""
    names = ("training_data", "training_users", "training_examples", "user_histories")
    (found,) = {
        tuple(sorted(set(lake.table(f"training.{name}", ASKING)["user_id"]))) for name in names
    }
    return list(found)
