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


def _flags(one: Mapping[str, Any], settings: Mapping[str, Any]) -> set[str]:
    """What is conspicuous at a moment, by the tenant's thresholds, else the project's."""
    variation = one["interval_variation"]
    flags = {
        "rate": one["interactions_1h"] > settings.get("rate_per_hour", 600),
        "uniformity": variation is not None and variation < settings.get("interval_variation", 0.1),
        "agent": one["agent_count"] > 0,
    }
    return {name for name, is_so in flags.items() if is_so}


def flagged_days(rows: Iterable[Row], settings: Mapping[str, Any]) -> set[tuple[str, date]]:
    """(user, day) with a flag that the settings leave out; their thresholds are given."""
    wanted: Collection[str] = settings.get("leave_out", ())
    return {
        (user, moment.date())
        for (user, moment), one in moments(rows).items()
        if _flags(one, settings).intersection(wanted)
    }


def flagged_counts(rows: Iterable[Row], settings: Mapping[str, Any]) -> dict[str, int]:
    """How many interactions are flagged, by the columns of `ops.join_rates`."""
    found = dict.fromkeys(["flagged_count", "rate_count", "uniformity_count", "agent_count"], 0)
    for one in moments(rows).values():
        flags = _flags(one, settings)
        for flag in flags:
            of_all = flag != "agent"  # a device is that of one interaction, a pace of all at a time
            found[f"{flag}_count"] += one["interaction_count" if of_all else "agent_count"]
        if flags:
            only_agents = flags == {"agent"}
            found["flagged_count"] += one["agent_count" if only_agents else "interaction_count"]
    return found
