"""The sample of the Open Bandit Dataset that the package `obp` carries (Saito et al. 2021).

60,000 impressions of a fashion shop in seven days of November 2019: three campaigns, each by a
random policy and by Thompson sampling, with position and click. It names no users, only hashed
features of them: a user here is all people of the same four. And it was drawn row by row, about
seven of a thousand, so lists of three are torn: a list here is what such a user was shown of a
campaign by a policy within an hour.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.exposures.generated import with_clicks
from benchmarks.exposures.log import Log

POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("all", "men", "women")
LATER_FROM: Final = datetime(2019, 11, 29, tzinfo=UTC)
TO_CLICK: Final = timedelta(minutes=30)


def read_log(folder: Path) -> Log:
    """Read `{policy}/{campaign}/{campaign}.csv` below the folder (`obp/dataset/obd`)."""
    parts = [
        _read(folder / policy / campaign / f"{campaign}.csv", policy, campaign)
        for policy in POLICIES
        for campaign in CAMPAIGNS
    ]
    return Log(with_clicks(pl.concat(parts), TO_CLICK).sort("shown_at", "list_id"), LATER_FROM)


def _read(file: Path, policy: str, campaign: str) -> pl.DataFrame:
    features = [f"user_feature_{number}" for number in range(4)]
    rows = pl.read_csv(file, columns=["timestamp", "item_id", "position", "click", *features])
    user = pl.concat_str([pl.col(name).str.slice(0, 8) for name in features], separator="-")
    page = f"{campaign} by {policy}"
    hour = pl.col("timestamp").str.slice(0, 13)
    shown_at = (hour + ":00").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", time_zone="UTC")
    return rows.select(
        list_id=pl.format("{} {} {}", pl.lit(page), hour, user),
        user_id=user,
        item_id=pl.format("{}-{}", pl.lit(campaign), "item_id"),
        position=pl.col("position").cast(pl.Int64),
        page=pl.lit(page),
        shown_at=shown_at,
        is_clicked=pl.col("click") == 1,
    )
