"""Clickstream events as Segment's ecommerce spec and GA4's reference have them in their examples.

Of their payloads the fields that matter here, and some that must not: names and values are theirs.
https://segment.com/docs/connections/spec/ecommerce/v2/ and
https://developers.google.com/analytics/devguides/collection/ga4/reference/events
"""

import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lakehouse.contracts.json_rows import pick, value_text
from lakehouse.contracts.tables import RAW_CLICKSTREAM
from lakehouse.contracts.tenant import SEGMENT
from tests.support.lake import NOON, SessionLake

MONOPOLY, UNO = "507f1f77bcf86cd799439011", "505bd76785ebb509fc183733"
ORDER = "50314b8e9bcf000000000000"
PRODUCT = {
    "product_id": MONOPOLY,
    "sku": "G-32",
    "category": "Games",
    "name": "Monopoly: 3rd Edition",
    "brand": "Hasbro",
    "variant": "200 pieces",
    "price": 18.99,
    "quantity": 1,
    "coupon": "MAYDEALS",
    "position": 3,
    "url": "https://www.example.com/product/path",
}
PRODUCTS = [
    {"product_id": MONOPOLY, "sku": "45790-32", "name": "Monopoly", "price": 19, "position": 1},
    {"product_id": UNO, "sku": "46493-32", "name": "Uno Card Game", "price": 3, "position": 2},
]
SEGMENT_CALLS: Mapping[str, dict[str, Any]] = {
    "Product Viewed": PRODUCT | {"currency": "usd", "value": 18.99},
    "Product Added": PRODUCT | {"cart_id": "skdjsidjsdkdj29j"},
    "Product Removed": PRODUCT | {"cart_id": "ksjdj92dj29dj92d2j"},
    "Order Completed": {
        "checkout_id": "fksdjfsdjfisjf9sdfjsd9f",
        "order_id": ORDER,
        "affiliation": "Google Store",
        "total": 27.5,
        "revenue": 25,
        "currency": "USD",
        "products": PRODUCTS,
    },
    "Order Refunded": {"order_id": ORDER, "total": 30, "currency": "USD", "products": PRODUCTS},
}
MORE_SEGMENT_CALLS: Mapping[str, dict[str, Any]] = {
    "Product Clicked": PRODUCT,
    "Product Added to Wishlist": PRODUCT
    | {"wishlist_id": "skdjsidjsdkdj29j", "wishlist_name": "Loved Games"},
}
"""The other events of the preset."""
ALIAS = {"type": "alias", "previousId": "jen@email.com", "userId": "507f191e81"}
TEE, GREY = "SKU_12345", "SKU_12346"
ITEMS = [
    {
        "item_id": TEE,
        "item_name": "Stan and Friends Tee",
        "affiliation": "Google Merchandise Store",
        "index": 0,
        "item_list_id": "related_products",
        "price": 10.01,
        "quantity": 3,
    },
    {
        "item_id": GREY,
        "item_name": "Google Grey Women's Tee",
        "index": 1,
        "item_list_id": "related_products",
        "price": 21.01,
        "quantity": 2,
    },
]
GA4_EVENTS: Mapping[str, dict[str, Any]] = {
    "view_item": {"currency": "USD", "value": 30.03, "items": ITEMS[:1]},
    "add_to_cart": {"currency": "USD", "value": 30.03, "items": ITEMS[:1]},
    "remove_from_cart": {"currency": "USD", "value": 30.03, "items": ITEMS[:1]},
    "purchase": {"transaction_id": "T_12345_1", "value": 72.05, "tax": 3.6, "items": ITEMS},
    "refund": {"transaction_id": "T_12345_1", "value": 30.03, "items": ITEMS[:1]},
}
MORE_GA4_EVENTS: Mapping[str, dict[str, Any]] = {
    "select_item": {
        "item_list_id": "related_products",
        "item_list_name": "Related products",
        "items": ITEMS[:1],
    },
    "add_to_wishlist": {"currency": "USD", "value": 30.03, "items": ITEMS[:1]},
}
"""The other events of the preset."""
GA4_LIST = {
    "item_list_id": "related_products",
    "item_list_name": "Related products",
    "items": ITEMS,
}
SEGMENT_LIST = {"list_id": "hot_deals_1", "category": "Deals", "products": PRODUCTS}
HOSTILE = (
    {"price": 1e13, "when": 1e300},
    {"price": "Infinity", "when": "9" * 40},
    {"price": -1e-320, "when": -1},
    {"price": [1], "when": {"at": 1}, "products": [[{"product_id": "i1"}], None, 7, "i2"]},
    {"order_id": "a:b%", "product_id": None, "products": {"product_id": "i1"}},
)
"""Values that no sender should have, and none may stop another tenant's models with."""
RECOMMENDED = {
    "policy_id": "als-7",
    "page": "home",
    "items": [TEE, {"item_id": GREY, "position": 9}],
}


def event(
    event_id: str,
    event_name: str,
    properties: Mapping[str, Any] | None,
    user_id: str | None = "u",
    minutes: int = 0,
    **others: Any,
) -> dict[str, Any]:
    """A clickstream event as raw has it, without its provenance."""
    return {
        "event_id": event_id,
        "event_name": event_name,
        "user_id": user_id,
        "anonymous_id": "a-55",
        "session_id": "s-9",
        "item_id": None,
        "url": None,
        "event_time": NOON + timedelta(minutes=minutes),
        "properties": None if properties is None else json.dumps(properties),
    } | others


def segment_message(
    message_id: str, name: str, user_id: str | None, minutes: int
) -> dict[str, Any]:
    """One of Segment's calls as it is sent."""
    return {
        "type": "track",
        "event": name,
        "messageId": message_id,
        "userId": user_id,
        "anonymousId": "a-55",
        "timestamp": (NOON + timedelta(minutes=minutes)).isoformat(),
        "properties": {**SEGMENT_CALLS, **MORE_SEGMENT_CALLS}[name],
    }


def segment_event(message_id: str, name: str, user_id: str | None, minutes: int) -> dict[str, Any]:
    """One of Segment's calls as its webhook stores it: read by the built-in source mapping."""
    sent = segment_message(message_id, name, user_id, minutes)
    row = {field: value_text(pick(sent, path)) for field, path in SEGMENT.columns.items()}
    event_time = datetime.fromisoformat(row.pop("timestamp") or "")
    return {
        **row,
        "event_time": event_time,
        "properties": json.dumps(sent["properties"]),
    }


def store_events(lake: SessionLake, tenant_id: str, rows: list[dict[str, Any]], **how: Any) -> None:
    """Append clickstream events."""
    lake.store(tenant_id, rows, spec=RAW_CLICKSTREAM, **how)


def random_events(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Events of Segment's preset about few users and orders: repeated, incomplete ones too."""
    rows = []
    for _ in range(count):
        number = rng.randrange(60)
        products = [{"product_id": f"i{rng.randrange(8)}"} for _ in range(rng.randrange(4))]
        order = {"order_id": f"o{rng.randrange(9)}"} if rng.random() < 0.8 else {}
        name = rng.choice([*SEGMENT_CALLS, "Cart Viewed", "Product List Viewed"])
        user = rng.choice(["u0", "u1", "u2", None])
        row = event(f"c{number}", name, None, user, minutes=rng.randrange(600))
        properties = {**order, **(products[0] if products else {}), "products": products}
        properties |= rng.choice(HOSTILE) if rng.random() < 0.2 else {}
        rows.append(row | {"properties": json.dumps(properties)})
    return rows
