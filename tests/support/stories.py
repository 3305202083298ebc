"""Small stories of tenants that share a few rounds of runs: their events, and what is noted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from pyspark.sql import SparkSession

from tests.support.lake import NOON, SessionLake, interaction, item

HOUR = timedelta(hours=1)
EARLY, LATE = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)
CUTOFF = EARLY + 12 * HOUR


@dataclass
class Stories:
    """What the tests look at, noted between the runs that they share."""

    negatives: list[list[str]]
    """Of `viewing`'s user, after each round."""
    labels: list[list[tuple]]
    """Of `moving`, after each run."""
    vanished: list[list[tuple]]
    """Of `vanishing`, after each run."""
    restored: list[list[str]]
    """Items of `restored`, after each run."""
    compiled: dict[str, str]
    """The statements of the run after new events of a few users."""
    colliding: list[dict[str, pl.DataFrame]]
    """Of the one of two users with one hash who does nothing more, by table, after each round."""
    one_event: dict[str, str] = field(default_factory=dict)
    """The statements of a run on one event of a tenant that declares nothing."""
    turned: list[tuple] = field(default_factory=list)
    """Of `turning`, whose like became a view in one commit."""
    repeating: str = ""
    """The staging of the run after an event that was staged before."""
    by_hand: list[pl.DataFrame] = field(default_factory=list)
    """Keys of `viewing` in the training data, less a row deleted by hand, and in the examples."""


def store_first_events(lake: SessionLake, *colliding: str) -> None:
    for user in colliding:
        lake.store("colliding", [interaction(f"e-{user}", user, "i1", "like")])
    hours = [interaction(f"e{n}", "u", f"i{n}", event_time=NOON + n * HOUR) for n in range(4)]
    lake.store("losing", hours)
    lake.store("changing", [interaction("e1", "u", "i1", "dislike")], known_at=EARLY)
    lake.store("cut", [interaction("e1", "u", "i1")], known_at=EARLY)
    lake.store("cut", [interaction("e2", "u", "i2")], known_at=LATE)
    for name in ("moving", "vanishing"):
        lake.store(name, [interaction("e1", "u", "i1", "dislike")])
    for name in ("restored", "turning"):
        lake.store(name, [interaction("e1", "u", "i1", "like")])
    others = [interaction(f"e{n}", "v", f"i{n}", "view") for n in range(3)]
    lake.store("viewing", [*others, interaction("liked", "u", "i3", "like")])


@dataclass(frozen=True)
class Known:
    """What the tables hold of tenants with rows that became known early and late."""

    negatives: pl.DataFrame
    """Sampled, of a tenant without later rows."""
    cut: list[str]
    """Items of the positives of `cut`."""
    changing: list[tuple]
    """Item, label and type of `changing`, whose dislike became a like."""
    later: list[pl.DataFrame]
    """Sampled negatives and recent interactions of `later`."""


def known(lake: SessionLake, tenant_id: str) -> Known:
    def labels(name: str, *columns: str) -> list[tuple]:
        rows = lake.table("training.training_data", name).filter(pl.col("draw_index") == 0)
        return rows.select("item_id", *columns).sort("item_id").rows()

    later = ("training.sampled_negatives", "features.recent_interactions")
    return Known(
        lake.table("training.sampled_negatives", tenant_id),
        lake.table("training.positives", "cut")["item_id"].to_list(),
        labels("changing", "label", "interaction_type"),
        [lake.table(name, "later") for name in later],
    )


def store_known_early(lake: SessionLake) -> None:
    lake.store("changing", [interaction("e2", "u", "i1", "like")], known_at=EARLY)
    liked = [interaction(f"e{n}", f"u{n % 7}", f"i{n}", "like") for n in range(14)]
    lake.store("later", liked, known_at=EARLY)


def store_known_late(lake: SessionLake) -> None:
    lake.store_items("later", [item(f"new{n}") for n in range(40)], known_at=LATE)
    unseen = [interaction(f"late{n}", f"u{n % 7}", f"unseen{n}", "like") for n in range(40)]
    lake.store("later", unseen, known_at=LATE)


def rows_of(lake: SessionLake, tenant_id: str, user_id: str) -> dict[str, pl.DataFrame]:
    """A user's rows of tables that are brought up to date by user."""
    tables = (
        *("features.user_feature_history", "features.user_features"),
        *("training.user_histories", "training.training_examples"),
    )
    return {
        table: lake.table(table, tenant_id).filter(pl.col("user_id") == user_id) for table in tables
    }


def two_users_of_one_hash(spark: SparkSession, tenant_id: str) -> tuple[str, str]:
    """Two users of the tenant whom `user_hash` does not tell apart; one pair in 200,000 is sure."""
    [pair] = spark.sql(
        "select collect_list(user_id) as users from (select concat('u', id) as user_id from "
        f"range(200000)) group by hash('{tenant_id}', user_id) having count(*) = 2 limit 1"
    ).collect()
    first, second = pair["users"]
    return first, second


def compiled(outcome: Any, model: str) -> str:
    """A model's statement in a run, on one line."""
    (sql,) = [r.node.compiled_code for r in outcome.result if r.node.name == model]
    return " ".join(sql.split()).replace("((", "( (")
