"""What the models must compute, written the slow and obvious way over plain rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
POSITIVE = frozenset({"click", "purchase", "like"})
NEGATIVE = frozenset({"dislike"})


def staged(raw: Iterable[Row]) -> list[Row]:
    """The first known row of each event."""
    kept: dict[str, Row] = {}
    for row in sorted(raw, key=lambda r: (r["known_at"], r["batch_id"], r["source_ref"])):
        kept.setdefault(row["event_id"], row)
    return list(kept.values())


def hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def user_features(rows: Iterable[Row]) -> dict[str, tuple[int, int, float | None, datetime]]:
    """user → (total_interactions, unique_items, avg_rating, last_interaction)."""
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row)
    return {user: (*_summary(found, "item_id"), _last(found)) for user, found in by_user.items()}


def item_features(rows: Iterable[Row]) -> dict[str, tuple[int, int, float | None]]:
    """item → (popularity, unique_users, avg_rating)."""
    by_item = defaultdict(list)
    for row in rows:
        by_item[row["item_id"]].append(row)
    return {item: _summary(found, "user_id") for item, found in by_item.items()}


def _summary(rows: list[Row], other: str) -> tuple[int, int, float | None]:
    ratings = [row["rating"] for row in rows if row["rating"] is not None]
    mean = round(sum(ratings) / len(ratings), 6) if ratings else None
    return len(rows), len({row[other] for row in rows}), mean


def _last(rows: list[Row]) -> datetime:
    moments: list[datetime] = [row["event_time"] for row in rows]
    return max(moments)


def recent(rows: Iterable[Row], limit: int = 50) -> dict[tuple[str, int], str]:
    """(user, rank) → event_id."""
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append((row["event_time"], row["event_id"]))
    return {
        (user, rank): event_id
        for user, events in by_user.items()
        for rank, (_, event_id) in enumerate(sorted(events, reverse=True)[:limit], 1)
    }


def availability(interactions: Iterable[Row], items: Iterable[Row]) -> dict[str, datetime]:
    """item → hour from which it was available."""
    offered, touched, known = defaultdict(list), defaultdict(list), defaultdict(list)
    for row in items:
        known[row["item_id"]].append(row["known_at"])
        if row["available_from"] is not None:
            offered[row["item_id"]].append(row["available_from"])
    for row in interactions:
        touched[row["item_id"]].append(row["event_time"])
    return {
        item: hour(min(offered[item] or touched[item] or known[item]))
        for item in {*offered, *touched, *known}
    }


def positives(
    rows: Iterable[Row], positive: frozenset[str] = POSITIVE
) -> dict[tuple[str, str], tuple[datetime, str]]:
    """(user, item) → time and event of the first interaction of a positive type."""
    first: dict[tuple[str, str], tuple[datetime, str]] = {}
    for row in rows:
        if row["interaction_type"] in positive:
            pair, event = (row["user_id"], row["item_id"]), (row["event_time"], row["event_id"])
            first[pair] = min(first.get(pair, event), event)
    return first


def explicit_negatives(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Pairs disliked and never wished for."""
    rows = list(rows)
    disliked = {(r["user_id"], r["item_id"]) for r in rows if r["interaction_type"] in NEGATIVE}
    return disliked - positives(rows).keys()


def eligible_items(
    interactions: Iterable[Row], items: Iterable[Row]
) -> dict[tuple[str, str], set[str]]:
    """Positive pair → the items that may be drawn for it."""
    interactions = list(interactions)
    available = availability(interactions, items)
    known = defaultdict(set)
    for row in interactions:
        known[row["user_id"]].add(row["item_id"])
    return {
        (user, item): {
            other
            for other, since in available.items()
            if since <= hour(moment) and other not in known[user]
        }
        for (user, item), (moment, _) in positives(interactions).items()
    }
