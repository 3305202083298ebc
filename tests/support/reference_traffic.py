"""What is conspicuous in a user's interactions, computed row by row."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

Row = Mapping[str, Any]
JUDGED = 20
DAY = timedelta(days=1)


def moments(rows: Iterable[Row]) -> dict[tuple[str, datetime], dict[str, Any]]:
    """(user, time) → what is known of the user's pace by then. A device with `bot` is a program."""
    by_user = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row)
    found = {}
    for user, mine in by_user.items():
        times = sorted({row["event_time"] for row in mine})
        for number, moment in enumerate(times):
            now = [row for row in mine if row["event_time"] == moment]
            hour = [r for r in mine if timedelta() <= moment - r["event_time"] <= DAY / 24]
            found[user, moment] = {
                "interaction_count": len(now),
                "agent_count": sum("bot" in (r["context"]["device_type"] or "") for r in now),
                "interactions_1h": len(hour),
                "interval_variation": _variation(times[max(number - JUDGED, 0) : number + 1]),
            }
    return found


def _variation(times: list[datetime]) -> float | None:
    intervals = [later - earlier for earlier, later in pairwise(times)]
    if len(intervals) < JUDGED or max(intervals) > DAY:
        return None
    seconds = [one.total_seconds() for one in intervals]
    return pstdev(seconds) / fmean(seconds)


def flagged_days(rows: Iterable[Row], settings: Mapping[str, Any]) -> set[tuple[str, date]]:
    """(user, day) with a flag that the settings leave out; their thresholds are given."""
    wanted: Collection[str] = settings.get("leave_out", ())
    found = set()
    for (user, moment), one in moments(rows).items():
        variation = one["interval_variation"]
        flags = {
            "rate": one["interactions_1h"] > settings.get("rate_per_hour", 600),
            "uniformity": variation is not None
            and variation < settings.get("interval_variation", 0.1),
            "agent": one["agent_count"] > 0,
        }
        if any(flags[name] for name in wanted):
            found.add((user, moment.date()))
    return found
