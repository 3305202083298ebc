"""Generated clickstream of devices that come to be people's, change hands and are shared.

With a reference that looks at each event alone: whose it is, and from when on that was known.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.clickstream import event
from tests.support.lake import NOON

Row = Mapping[str, Any]
NAMES = ("Product Viewed", "Product Clicked", "Product Added", "identify", "Signed Out")
FIRST_BATCHES = (180, 360)
"""Minutes after noon at which the first two batches became known, with the events before."""


def device_events(seed: int, count: int, start: int, end: int, prefix: str) -> list[dict[str, Any]]:
    """Events of a few devices and people: most are anonymous, some tie, some untie."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        device = f"d{rng.randrange(7)}"
        name = rng.choices(NAMES, (8, 6, 4, 2, 1))[0]
        user = None if rng.random() < 0.75 else _user_of(rng, device)
        product = {} if name in NAMES[3:] else {"product_id": f"i{rng.randrange(9)}"}
        rows.append(
            event(
                f"{prefix}{number}",
                name,
                product,
                user,
                minutes=rng.randrange(start, end),
                anonymous_id=device if user is None or rng.random() < 0.8 else None,
                session_id=f"{device}-{rng.randrange(4)}",
            )
        )
    return rows


def _user_of(rng: random.Random, device: str) -> str:
    """Devices d0 to d2 have one owner each (two of one person), the others are passed around."""
    number = int(device[1:])
    return f"p{number // 2}" if number < 3 else f"p{rng.randrange(4)}"


def owner_of(row: Row, rows: Sequence[Row]) -> tuple[str, datetime | None]:
    """The user of an event and, if that became known only later, when."""
    if row["user_id"] is not None:
        return row["user_id"], None
    device, at = row["anonymous_id"], row["event_time"]
    same = [one for one in rows if one["anonymous_id"] == device]
    unties = [one for one in same if one["event_name"] in ("untie", "Signed Out")]
    times = [one["event_time"] for one in unties]
    began = max((time for time in times if time <= at), default=datetime.min.replace(tzinfo=UTC))
    ended = min((time for time in times if time > at), default=datetime.max.replace(tzinfo=UTC))
    tying = [one for one in same if one["user_id"] is not None and one not in unties]
    ties = [one for one in tying if began <= one["event_time"] < ended]
    if len({one["user_id"] for one in ties}) != 1:
        return device, None
    known = min(map(_known_from, ties))
    # before a late untying was known, who came beyond it shared the device
    beyond = [_known_from(one) for one in tying if one["event_time"] >= ended]
    starts = [_known_from(one) for one in unties if one["event_time"] == began]
    ends = [_known_from(one) for one in unties if one["event_time"] == ended]
    known = max([known, *starts])
    if beyond and min(beyond) < min(ends):
        known = max(known, min(ends))
    return ties[0]["user_id"], known if known > at else None


def _known_from(row: Row) -> datetime:
    return max(row["event_time"], row["known_at"])


def known_before(rows: Sequence[Row], users: Mapping[str, tuple[str, datetime | None]]) -> Any:
    """Return a function: what was known to be a user's before a time, in order."""

    def earlier(user_id: str, moment: datetime) -> list[Row]:
        found = [
            row
            for row in rows
            if users[row["event_id"]][0] == user_id
            and (users[row["event_id"]][1] or row["event_time"]) < moment
        ]
        return sorted(found, key=lambda row: (row["event_time"], row["event_id"]))

    return earlier


def minutes(count: int) -> datetime:
    return NOON + timedelta(minutes=count)
