"""What the feature models must compute, one row at a time and from all rows each time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.reference import hour

Row = Mapping[str, Any]
TYPES = ("view", "click", "like", "purchase", "dislike")


def by(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def version_before(catalogue: Iterable[Row], item_id: str, moment: datetime) -> Row | None:
    """The catalogue row in force strictly before a moment."""
    versions = [r for r in catalogue if r["item_id"] == item_id and r["updated_at"] < moment]
    order = ("updated_at", "known_at", "event_id")
    return max(versions, key=lambda r: tuple(r[name] for name in order), default=None)


def category_before(catalogue: Iterable[Row], row: Row) -> str | None:
    version = version_before(catalogue, row["item_id"], row["event_time"])
    return version["category"] if version else None


def _mean(rows: list[Row]) -> float | None:
    ratings = [row["rating"] for row in rows if row["rating"] is not None]
    return round(sum(ratings) / len(ratings), 6) if ratings else None


def _type_counts(rows: list[Row]) -> dict[str, int]:
    return {f"{t}_count": sum(r["interaction_type"] == t for r in rows) for t in TYPES}


def user_state(rows: list[Row], as_of: datetime, catalogue: list[Row]) -> dict[str, Any]:
    """A user's features over their interactions up to and including `as_of`."""
    seen = [row for row in rows if row["event_time"] <= as_of]
    ordered = sorted(seen, key=lambda r: (r["event_time"], r["event_id"]))
    sessions = [r["context"]["session_id"] for r in ordered if r["context"]["session_id"]]
    last = sessions[-1] if sessions else None
    in_last = [r for r in seen if last and r["context"]["session_id"] == last]

    def within(days: int) -> int:
        return sum(r["event_time"] >= as_of - timedelta(days=days) for r in seen)

    return {
        "total_interactions": len(seen),
        **_type_counts(seen),
        "unique_items": len({row["item_id"] for row in seen}),
        "unique_categories": len({category_before(catalogue, row) for row in seen} - {None}),
        "avg_rating": _mean(seen),
        "interactions_1d": within(1),
        "interactions_7d": within(7),
        "interactions_30d": within(30),
        "last_session_id": last,
        "last_session_interactions": len(in_last) if last else None,
        "last_session_started_at": min((r["event_time"] for r in in_last), default=None),
    }


def item_state(rows: list[Row], as_of: datetime) -> dict[str, Any]:
    """An item's features over its interactions strictly before `as_of`, the end of an hour."""
    seen = [row for row in rows if row["event_time"] < as_of]
    counts = _type_counts(seen)

    def within(days: int) -> int:
        return sum(r["event_time"] >= as_of - timedelta(days=days) for r in seen)

    views = counts["view_count"]
    return {
        "popularity": len(seen),
        **counts,
        "unique_users": len({row["user_id"] for row in seen}),
        "avg_rating": _mean(seen),
        "interactions_7d": within(7),
        "interactions_30d": within(30),
        "trend_7d_30d": (within(7) / 7) / (within(30) / 30),
        "conversion_rate": counts["purchase_count"] / views if views else None,
        "first_seen_at": min(row["event_time"] for row in seen),
    }


def user_history(rows: list[Row], catalogue: list[Row]) -> dict[tuple[str, datetime], dict]:
    return {
        (user, moment): user_state(mine, moment, catalogue)
        for user, mine in by(rows, "user_id").items()
        for moment in {row["event_time"] for row in mine}
    }


def item_history(rows: list[Row]) -> dict[tuple[str, datetime], dict]:
    return {
        (item, end): item_state(mine, end)
        for item, mine in by(rows, "item_id").items()
        for end in {hour(row["event_time"]) + timedelta(hours=1) for row in mine}
    }


def newest_before(
    history: Mapping[tuple[str, datetime], dict], entity: str, moment: datetime
) -> dict[str, Any] | None:
    """The state of an entity strictly before a moment."""
    times = [as_of for name, as_of in history if name == entity and as_of < moment]
    return history[entity, max(times)] if times else None


def interactions_before(
    rows: list[Row], user: str, moment: datetime, limit: int = 50
) -> list[tuple[str, str, datetime]]:
    """Item, type and time of a user's newest interactions strictly before a moment."""
    earlier = [r for r in rows if r["user_id"] == user and r["event_time"] < moment]
    ordered = sorted(earlier, key=lambda r: (r["event_time"], r["event_id"]))
    names = ("item_id", "interaction_type", "event_time")
    return [tuple(row[name] for name in names) for row in ordered][-limit:]  # type: ignore[misc]


def context(event: Row, rows: list[Row], zone: str) -> dict[str, Any]:
    """What is known of an event itself; the position is counted over the rows of its session."""
    local = event["event_time"].astimezone(ZoneInfo(zone))
    session = event["context"]["session_id"]
    before = [
        row
        for row in rows
        if row["user_id"] == event["user_id"]
        and row["context"]["session_id"] == session
        and row["event_time"] < event["event_time"]
    ]
    return {
        "device_type": event["context"]["device_type"],
        "location": event["context"]["location"],
        "hour": local.hour,
        "weekday": local.isoweekday(),
        "session_position": None if session is None else len(before) + 1,
    }


def catalogue_state(
    catalogue: list[Row], rows: list[Row], item_id: str, moment: datetime
) -> dict[str, Any]:
    """Category, price, age and attributes (as they were sent) of an item, strictly before."""
    version = version_before(catalogue, item_id, moment) or {}
    listed = [r["updated_at"] for r in catalogue if r["item_id"] == item_id]
    seen = [r["event_time"] for r in rows if r["item_id"] == item_id]
    dates = [time for time in listed if time < moment]
    dates += [time for time in seen if hour(time) + timedelta(hours=1) < moment]
    since = version.get("available_from") or min(dates, default=None)
    return {
        "category": version.get("category"),
        "price": version.get("price"),
        "age_days": None if since is None else max((moment - since) // timedelta(days=1), 0),
        "attributes": version.get("attributes"),
        "is_listed": bool(version),
    }


def profile_before(versions: list[Row], user: str, moment: datetime) -> tuple[bool, str | None]:
    """Whether a user had a row by then, and the attributes, which stay until they are sent."""
    mine = [r for r in versions if r["user_id"] == user and r["updated_at"] < moment]
    ordered = sorted(mine, key=lambda r: (r["updated_at"], r["source_ref"]))
    sent = [r for r in ordered if r["sent_fields"] is None or "attributes" in r["sent_fields"]]
    return bool(mine), sent[-1]["attributes"] if sent else None
