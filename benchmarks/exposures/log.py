"""A log of lists and clicks, divided by time, and its earlier part as clickstream events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from benchmarks.evaluation.factorisation import Floats


@dataclass(frozen=True, slots=True)
class Log:
    """What was shown, a row per impression.

    `impressions` has `list_id`, `user_id`, `item_id`, `position`, `page`, `shown_at` (the same for
    all of a list) and `clicked_at` (null: not clicked). From `later_from` on they are the test.
    `attraction`: P(click) of users × items at a position that is looked at, where it is known;
    users and items are then called `u0`, `u1`, … and `i0`, `i1`, ….
    """

    impressions: pl.DataFrame
    later_from: datetime
    attraction: Floats | None = None

    @property
    def earlier(self) -> pl.DataFrame:
        """The impressions to train on."""
        return self.impressions.filter(pl.col("shown_at") < self.later_from)

    @property
    def later(self) -> pl.DataFrame:
        """The impressions to rank."""
        return self.impressions.filter(pl.col("shown_at") >= self.later_from)


def events(log: Log) -> Iterator[dict[str, Any]]:
    """Yield the earlier part as clickstream events: a list each, then its clicks."""
    for (list_id,), shown in log.earlier.group_by("list_id", maintain_order=True):
        rows = shown.to_dicts()
        first = rows[0]
        user_id, page = first["user_id"], first["page"]
        yield {
            "event_id": f"shown-{list_id}",
            "event_name": "recommendation_shown",
            "user_id": user_id,
            "session_id": f"s-{list_id}",
            "timestamp": _milliseconds(first["shown_at"]),
            "properties": {
                "page": page,
                "items": [{"item_id": row["item_id"], "position": row["position"]} for row in rows],
            },
        }
        clicks = [row for row in rows if row["clicked_at"] is not None]
        for number, row in enumerate(clicks):
            yield {
                "event_id": f"click-{list_id}-{number}",
                "event_name": "Product Clicked",
                "user_id": user_id,
                "session_id": f"s-{list_id}",
                "timestamp": _milliseconds(row["clicked_at"]),
                "properties": {"product_id": row["item_id"]},
            }


def ndjson(log: Log) -> str:
    """Return the earlier part as lines of JSON."""
    return "".join(json.dumps(one) + "\n" for one in events(log))


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(milliseconds=1)
