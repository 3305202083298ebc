"""Any order of what people and programs do between two runs ends where a full refresh does."""

import json
import os
import random
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import InteractionType, TenantSettings
from lakehouse.storage.lake import Lake
from tests.support.lake import DERIVED_TABLES, NOON, SessionLake
from tests.support.tenants import random_catalogue, random_rows

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(7200)]

SEEDS = [int(seed) for seed in os.environ.get("ETA_TEST_SEQUENCES", "1,2,3").split(",")]
STEPS = 8
TENANTS = [f"random{number}" for number in range(3)]
BY_USER: dict[str, float] = {"rewrite_rows": 0, "rewrite_share": 2}
WAYS: tuple[dict[str, float], ...] = (
    BY_USER,
    BY_USER,
    BY_USER | {"few_rows": 0},
    {},
    {"rewrite_rows": 0, "rewrite_share": 0.3},
)
"""How a run goes about it, by its variables; no way may come to other rows."""

RESTORABLE = (
    *("features.enriched_interactions", "features.user_feature_history", "features.item_hours"),
    *("features.user_features", "features.recent_interactions", "training.item_availability"),
    *("training.training_data", "training.training_users", "training.training_examples"),
    *("training.user_histories", "staging.stg_interactions", "features.item_feature_history"),
)
"""`schema.table` of models whose older versions are put back, or rows deleted by hand."""


class Sequence:
    """Steps drawn from one seed, each of which a person or a program does between two runs."""

    def __init__(self, lake: SessionLake, seed: int) -> None:
        self.lake = lake
        self.rng = random.Random(seed)
        self.seed = seed
        self.done: list[str] = []
        session = SparkSession.getActiveSession()
        assert session is not None
        self.spark = session

    def step(self) -> None:
        steps: list[tuple[int, Callable[[], str]]] = [
            (4, self.send),
            (2, self.send_late),
            (1, self.send_catalogue),
            (2, self.remove_rows),
            (1, self.change_settings),
            (1, self.restore),
            (1, self.optimize),
            (1, self.drop),
            (1, self.run_one_model),
            (1, self.run_one_tenant),
            (4, self.run),
        ]
        weights, choices = zip(*steps, strict=True)
        [chosen] = self.rng.choices(choices, weights)
        self.done.append(chosen())

    def tenant(self) -> str:
        return self.rng.choice(TENANTS)

    def send(self) -> str:
        name, number = self.tenant(), self.rng.randrange(10**6)
        rows = random_rows(number, count=self.rng.randint(3, 40), users=8, items=12)
        later = timedelta(days=len(self.done))
        moved = [
            {
                **row,
                "event_time": row["event_time"] + later,
                "event_id": f"{number}-{row['event_id']}",
            }
            for row in rows
        ]
        self.lake.store(name, moved)
        return f"send {len(moved)} to {name}"

    def send_late(self) -> str:
        name = self.tenant()
        self.lake.store(name, random_rows(self.rng.randrange(9), count=30, users=8, items=12))
        return f"send late and repeated to {name}"

    def send_catalogue(self) -> str:
        name = self.tenant()
        self.lake.store_items(name, random_catalogue(self.rng.randrange(9)))
        return f"catalogue of {name}"

    def remove_rows(self) -> str:
        condition = self.rng.choice(
            [
                f"user_id = 'u{self.rng.randrange(8)}'",
                f"item_id = 'i{self.rng.randrange(12)}'",
                f"event_time < timestamp '{NOON + timedelta(hours=self.rng.randrange(48)):%F %T}'",
            ]
        )
        name = self.tenant()
        table = Lake(self.lake.settings).table(RAW_INTERACTIONS)
        table.delete(f"tenant_id = '{name}' and {condition}")
        return f"remove from {name} where {condition}"

    def change_settings(self) -> str:
        types = self.rng.choice([{InteractionType.VIEW}, {InteractionType.PURCHASE}])
        self.lake.set_tenant(
            TENANTS[0],
            TenantSettings(positive_types=frozenset(types), seed=self.rng.randrange(5)),
        )
        return f"settings {types}"

    def restore(self) -> str:
        table = self.rng.choice(RESTORABLE)
        newest = DeltaTable(f"{self.lake.settings.lake}/{table.replace('.', '/')}").version()
        version = self.rng.randint(max(0, newest - 4), newest)
        self.spark.sql(f"restore table {table} to version as of {version}")
        return f"restore {table} {newest} to {version}"

    def optimize(self) -> str:
        table = self.rng.choice(RESTORABLE)
        self.spark.sql(f"optimize {table}")
        return f"optimize {table}"

    def drop(self) -> str:
        table = self.rng.choice(RESTORABLE[:-2])
        self.spark.sql(f"drop table {table}")
        return f"drop {table}"

    def run_one_model(self) -> str:
        model = self.rng.choice(RESTORABLE).partition(".")[2]
        chosen = f"+{model}" if self.rng.random() < 0.5 else f"{model}+"
        self.lake.dbt("run", *self.variables(), "--select", f"+{model}", chosen)
        return f"run {chosen}"

    def run_one_tenant(self) -> str:
        name = self.tenant()
        self.lake.dbt("run", *self.variables(tenant_id=name))
        return f"run for {name}"

    def run(self) -> str:
        variables = self.variables()
        self.lake.dbt("run", *variables)
        return f"run {variables}"

    def variables(self, **more: str) -> tuple[str, str]:
        return "--vars", json.dumps(self.rng.choice(WAYS) | more)


def contents(lake: SessionLake) -> dict[tuple[str, str], pl.DataFrame]:
    return {(table, name): lake.table(table, name) for table in DERIVED_TABLES for name in TENANTS}


@pytest.mark.parametrize("seed", SEEDS)
def test_any_sequence_ends_where_a_full_refresh_does(lake: SessionLake, seed: int) -> None:
    sequence = Sequence(lake, seed)
    sequence.send()
    lake.dbt("run")
    for _ in range(STEPS):
        sequence.step()
    lake.dbt("run", *sequence.variables())
    grown = contents(lake)
    lake.dbt("run", "--full-refresh")
    refreshed = contents(lake)
    differing = [key for key in refreshed if not refreshed[key].equals(grown[key])]
    assert not differing, sequence.done
