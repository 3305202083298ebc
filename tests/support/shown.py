"""Lists that users were shown, and which of their items become negatives, computed slowly."""

import json
import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lakehouse.contracts.tenant import TenantSettings
from tests.support import reference
from tests.support.clickstream import event
from tests.support.lake import NOON, interaction

Row = Mapping[str, Any]
WINDOW = timedelta(minutes=30)
Candidates = dict[tuple[str, str], dict[str, int]]
"""(user, positive's item) → item that stood beside it → where."""


def showing(negatives: int, **more: Any) -> TenantSettings:
    """Settings that take so many negatives of each positive from impressions."""
    impressions = {"negatives_per_positive": negatives}
    told = {"clickstream": {"preset": "ga4", "impressions": impressions}}
    return TenantSettings.model_validate(told | more)


def random_lists(seed: int, prefix: str, users: int) -> tuple[list[dict], list[dict]]:
    """Some lists for each user, on a page or on none, and what the user did with their items."""
    rng = random.Random(seed)
    lists, acts = [], []
    for number in range(6 * users):
        user = f"u{number % users}"
        # two lists of one time, page and session are one list; of others they are two
        minute = rng.choice([*[0, 20] * 20, *range(0, 600, 7)])
        session = f"s{number // users % 2}"
        items = rng.sample([f"i{n}" for n in range(24)], 6)
        properties = {
            "items": [{"item_id": name, "position": rng.randrange(9)} for name in items],
            "page": rng.choice(["home", "cart", None]),
        }
        name = f"{prefix}{number}"
        shown = event(name, "recommendation_shown", properties, user, minute, session_id=session)
        lists.append(shown)
        for act in range(rng.randrange(3)):
            kind = rng.choice(["click", "click", "purchase", "view", "dislike"])
            # at that very time, within the window, after it
            then = NOON + timedelta(minutes=minute + rng.choice([0, 1, 5, 29, 30, 31, 50]))
            acts.append(interaction(f"{name}-{act}", user, rng.choice(items), kind, then))
    return lists, acts


def shown_beside(
    lists: Iterable[Row], interactions: Iterable[Row], positives: frozenset[str]
) -> Candidates:
    """What may become a negative of each positive."""
    acts = list(interactions)
    known = {(row["user_id"], row["item_id"]) for row in acts}
    moments = reference.positives(acts, positives)
    available = reference.availability(acts, [])
    views: dict[tuple[str, datetime, str, str | None], list[tuple[str, int]]] = {}
    for one in {row["event_id"]: row for row in lists}.values():
        said = json.loads(one["properties"])
        view = (one["user_id"], one["event_time"], one["session_id"], said["page"])
        places = [(entry["item_id"], entry["position"]) for entry in said["items"]]
        views.setdefault(view, []).extend(places)
    found: dict[tuple[str, str], dict[str, tuple[datetime, int]]] = {}
    for (user, shown_at, _, _), places in views.items():
        for anchor in {name for name, _ in places}:
            moment = moments.get((user, anchor), (None,))[0]
            if moment is None or not shown_at < moment <= shown_at + WINDOW:
                continue
            beside = found.setdefault((user, anchor), {})
            for name, place in places:
                if (user, name) not in known and available.get(name, moment + WINDOW) <= moment:
                    # of several lists the last one counts
                    beside[name] = max((shown_at, place), beside.get(name, (shown_at, place)))
    return {
        pair: {name: place for name, (_, place) in beside.items()}
        for pair, beside in found.items()
        if beside
    }
