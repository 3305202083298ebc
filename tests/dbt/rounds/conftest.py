"""Rounds of runs that many tenants share: each brings what it has to tell before a run.

What takes several runs to tell is told here: a run costs a minute, one more tenant next to nothing.
"""

import json
import random

import polars as pl
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.build import build
from tests.support import declared as declaring
from tests.support import growth as growing
from tests.support.declared import Declared
from tests.support.deletion_vectors import count_marked
from tests.support.growth import TENANTS, Growth
from tests.support.lake import DERIVED_TABLES, NOON, SessionLake, interaction, partitioned
from tests.support.stories import (
    CUTOFF,
    HOUR,
    Known,
    Stories,
    compiled,
    known,
    rows_of,
    store_first_events,
    store_known_early,
    store_known_late,
    two_users_of_one_hash,
)

BY_USER = {"rewrite_rows": 0, "rewrite_share": 2}
"""No table is so small, and no user so touched, that all rows of a tenant are replaced."""
AS_LARGE = {**BY_USER, "few_rows": 0, "broadcast_keys": 20 * len(TENANTS)}
"""More values touched than are sent to every task in some models, more changed rows in others."""
REWRITTEN = {"rewrite_rows": 0, "rewrite_share": 0}
"""Any touched user is enough to replace the rows of its tenant."""
QUIET = TENANTS[1]

STAGED = "staging.stg_interactions"

Contents = dict[tuple[str, str], pl.DataFrame]
"""Rows by (table, tenant)."""


def contents(lake: SessionLake) -> Contents:
    tenants = [*TENANTS, growing.TYPED, *declaring.TENANTS]
    return {(table, name): lake.table(table, name) for table in DERIVED_TABLES for name in tenants}


@pytest.fixture(scope="session")
def growth(lake: SessionLake) -> Growth:
    return Growth(lake, random.Random(7), TENANTS)


@pytest.fixture(scope="session")
def started(lake: SessionLake) -> Declared:
    return Declared(lake)


@pytest.fixture(scope="session")
def colliding(lake: SessionLake) -> tuple[str, str]:
    spark = SparkSession.getActiveSession()
    assert spark is not None
    return two_users_of_one_hash(spark, "colliding")


@pytest.fixture(scope="session")
def grown(
    lake: SessionLake, growth: Growth, started: Declared, colliding: tuple[str, str]
) -> Contents:
    """Tenants that grew over five rounds: a skipped, a killed, a rewriting, a narrowed run.

    One more declares event types, and others before the killed run and before the last. Those that
    declare more have their first rows in the first round and their later ones in the last, those of
    the stories their first ones in the last.
    """
    rng = growth.rng
    growth.add()
    growing.add_typed(lake, weight=2)
    started.store_first()
    lake.dbt("run")
    started.note()
    growth.add()
    by_user = ("--vars", json.dumps(BY_USER))
    lake.dbt("run", *by_user, "--select", "stg_interactions", "enriched_interactions")
    growth.add()
    growing.add_typed(lake, weight=4)
    lake.kill_build(after=rng.choice(["features/item_hours", "training/training_data"]))
    lake.dbt("run", "--vars", json.dumps(REWRITTEN), "--select", "+training_examples")
    growth.add()
    staged = [{name: lake.table(STAGED, name) for name in TENANTS}]
    lake.dbt("run", "--vars", json.dumps({"tenant_id": TENANTS[0]}))
    staged.append({name: lake.table(STAGED, name) for name in TENANTS})
    growth.narrowed = {name for name in TENANTS if not staged[0][name].equals(staged[1][name])}
    growth.add(is_last=True)
    store_first_events(lake, *colliding)
    growing.declare_types(lake, weight=3)
    started.store_later()
    with partitioned(3):
        as_large = lake.dbt("run", "--vars", json.dumps(AS_LARGE))
    looked_up = " ".join(" ".join(r.node.compiled_code.split()) for r in as_large.result)
    assert "in ( select /*+ broadcast(touched) */ tenant_id" in looked_up
    assert "in ( select tenant_id" in looked_up
    assert count_marked(lake), "the tables were to have deletion vectors"
    started.note()
    return contents(lake)


@pytest.fixture(scope="session")
def refreshed(lake: SessionLake, grown: Contents) -> Contents:
    lake.dbt("run", "--full-refresh")
    return contents(lake)


@pytest.fixture(scope="session")
def declared(started: Declared, refreshed: Contents) -> Declared:
    """Noted after the first run and after the last by changes."""
    return started


# Small stories, each of a tenant of its own, that share a few more rounds.


@pytest.fixture(scope="session")
def stories(lake: SessionLake, refreshed: Contents, colliding: tuple[str, str]) -> Stories:
    """After everybody's first events: a run of a few models, of all; a parent put back."""

    def labels(tenant_id: str = "moving") -> list[tuple]:
        return lake.table("training.training_data", tenant_id).select("item_id", "label").rows()

    def items() -> list[str]:
        return sorted(lake.table("training.training_examples", "restored")["item_id"])

    def negatives() -> list[str]:
        rows = lake.table("training.sampled_negatives", "viewing")
        return sorted(rows.filter(pl.col("user_id") == "u")["item_id"])

    spark = SparkSession.getActiveSession()
    assert spark is not None
    active, idle = colliding
    told = Stories(
        [negatives()],
        [labels()],
        [labels("vanishing")],
        [items()],
        {},
        [rows_of(lake, "colliding", idle)],
    )

    # first round: one more event each; first some models alone, then all of them
    version = DeltaTable(f"{lake.settings.lake}/training/training_data").version()
    for name in ("moving", "vanishing"):
        lake.store(name, [interaction("e2", "u", "i1", "like")])
    lake.store("restored", [interaction("e2", "u", "i2", "like")])
    lake.store("viewing", [interaction("viewed", "u", "i1", "view")])
    lake.store(QUIET, [interaction("one more", "u1", "i1", event_time=NOON)])
    lake.store("colliding", [interaction("more", active, "i2", "like", event_time=NOON + 5 * HOUR)])
    lake.store("losing", [interaction("e9", "u", "i9", "like", event_time=NOON + 9 * HOUR)])
    raw = Lake(lake.settings).table(RAW_INTERACTIONS)
    raw.delete("(tenant_id = 'losing' and event_id = 'e1') or tenant_id = 'turning'")
    lake.store("turning", [interaction("seen", "u", "i2", "view")])
    by_user = ("--vars", json.dumps(BY_USER))
    lake.dbt("run", "--select", "stg_interactions", "training_data", *by_user)
    told.labels.append(labels())
    told.vanished.append(labels("vanishing"))
    told.turned = labels("turning")
    told.restored.append(items())
    Lake(lake.settings).table(RAW_INTERACTIONS).delete("tenant_id = 'vanishing'")  # an erasure
    chosen = ("--select", "+training_examples", "user_histories")
    outcome = lake.dbt("run", *chosen, *by_user)
    told.labels.append(labels())
    told.vanished.append(labels("vanishing"))
    told.negatives.append(negatives())
    told.colliding.append(rows_of(lake, "colliding", idle))
    for model in ("user_feature_history", "item_hours", "training_data"):
        told.compiled[model] = compiled(outcome, model)

    # second round: a parent is put back to what it was after the first
    spark.sql("optimize training.training_data")
    spark.sql(f"restore table training.training_data to version as of {version}")
    lake.dbt("run", "--select", "training_examples", *by_user)
    told.restored.append(items())
    lake.dbt("run", "--select", "training_data", "training_examples", *by_user)
    told.restored.append(items())

    # third round: nothing but one more event
    lake.store("restored", [interaction("e3", "u", "i3", "like")])
    outcome = lake.dbt("run", "--select", "+training_examples", *by_user)
    for model in ("training_examples", "stg_interactions", "training_data"):
        told.one_event[model] = compiled(outcome, model)

    # fourth round: somebody deletes a row of one user by hand, another user has an event, and one
    # that is sent again
    spark.sql("delete from training.training_data where tenant_id = 'viewing' and draw_index = 1")
    again = interaction("e1", "u", "i1", "like")
    lake.store("restored", [interaction("e4", "u", "i4", "like"), again])
    models = ("stg_interactions", "training_data", "training_examples")
    outcome = lake.dbt("run", "--select", *models, *by_user)
    told.repeating = compiled(outcome, "stg_interactions")
    keys = ["user_id", "anchor_item_id", "draw_index"]
    told.by_hand = [
        lake.table(f"training.{table}", "viewing").select(keys).sort(keys)
        for table in ("training_data", "training_examples")
    ]
    return told


@pytest.fixture(scope="session")
def by_cutoff(lake: SessionLake, stories: Stories, declared: Declared) -> list[Known]:
    """Before, with another seed and a cutoff without and with later rows, and as before."""
    training = ("+training_examples", "training_users", "user_histories")
    models = ("run", "--select", *training, "+recent_interactions")
    other_parameters = {"seed": 43, "cutoff": f"{CUTOFF:%Y-%m-%dT%H:%M:%S}"}
    with_cutoff = ("--vars", json.dumps(other_parameters))
    found = [known(lake, TENANTS[2])]
    store_known_early(lake)
    lake.dbt(*models, *with_cutoff)
    declared.note()
    found.append(known(lake, TENANTS[2]))
    store_known_late(lake)
    lake.dbt(*models, *with_cutoff)
    found.append(known(lake, TENANTS[2]))
    with pytest.raises(EtaError, match="run it for all tenants"):
        # with the project's own seed again
        build(lake.settings, tenant_id=QUIET, select=["training_data"])
    lake.dbt("run")
    return [*found, known(lake, TENANTS[2])]
