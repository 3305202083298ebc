"""Whatever the order of runs, the tables are a full refresh's; unchanged means untouched."""

import json
import os
import random
from pathlib import Path

import polars as pl
import pytest
import yaml
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.build import build
from tests.support.growth import (
    DESCRIBED,
    FLAGGED,
    TRAFFIC,
    TYPED,
    Growth,
    add_typed,
    declare_types,
)
from tests.support.lake import DERIVED_TABLES, NOON, SessionLake, interaction, partitioned
from tests.support.reference import positives
from tests.support.reference_traffic import flagged_days
from tests.support.stories import (
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

# The suite runs a few; ETA_TEST_TENANTS=100 is the long proof.
TENANTS = [f"grown{n}" for n in range(int(os.environ.get("ETA_TEST_TENANTS", "5")))]
IS_LONG = len(TENANTS) > 5
pytestmark = pytest.mark.timeout(7200 if IS_LONG else 1800)  # the rounds are one fixture
BY_USER = {"rewrite_rows": 0, "rewrite_share": 2}
"""No table is so small, and no user so touched, that all rows of a tenant are replaced."""
AS_LARGE = {**BY_USER, "few_rows": 0, "broadcast_keys": 20 * len(TENANTS)}
"""More values touched than are sent to every task in some models, more changed rows in others."""
REWRITTEN = {"rewrite_rows": 0, "rewrite_share": 0}
"""Any touched user is enough to replace the rows of its tenant."""


def contents(lake: SessionLake) -> dict[tuple[str, str], pl.DataFrame]:
    tenants = [*TENANTS, TYPED]
    return {(table, name): lake.table(table, name) for table in DERIVED_TABLES for name in tenants}


def differences(before: dict, after: dict) -> list[tuple[str, str]]:
    return [key for key in before if not before[key].equals(after[key])]


@pytest.fixture(scope="module")
def growth(lake: SessionLake) -> Growth:
    return Growth(lake, random.Random(7), TENANTS)


@pytest.fixture(scope="module")
def grown(lake: SessionLake, growth: Growth) -> dict[tuple[str, str], pl.DataFrame]:
    """Tenants that grew over five rounds: a skipped, a killed, a rewriting, a narrowed run.

    One more declares event types, and others before the killed run and before the last.
    """
    rng = growth.rng
    growth.add()
    add_typed(lake, weight=2)
    lake.dbt("run")
    growth.add()
    by_user = ("--vars", json.dumps(BY_USER))
    lake.dbt("run", *by_user, "--select", "stg_interactions", "enriched_interactions")
    growth.add()
    add_typed(lake, weight=4)
    lake.kill_build(after=rng.choice(["features/item_hours", "training/training_data"]))
    lake.dbt("run", "--vars", json.dumps(REWRITTEN), "--select", "+training_examples")
    growth.add()
    lake.dbt("run", "--vars", json.dumps({"tenant_id": TENANTS[0]}))
    growth.add(is_last=True)
    declare_types(lake, weight=3)
    with partitioned(3):
        as_large = lake.dbt("run", "--vars", json.dumps(AS_LARGE))
    looked_up = " ".join(" ".join(r.node.compiled_code.split()) for r in as_large.result)
    assert "in ( select /*+ broadcast(touched) */ tenant_id" in looked_up
    assert "in ( select tenant_id" in looked_up
    return contents(lake)


@pytest.fixture(scope="module")
def refreshed(lake: SessionLake, grown: dict) -> dict[tuple[str, str], pl.DataFrame]:
    lake.dbt("run", "--full-refresh")
    return contents(lake)


def named(examples: pl.DataFrame, entity: str) -> list[list[str]]:
    """The names of the attributes in each row that has some."""
    column = examples[f"{entity}_texts"].drop_nulls().to_list()
    return [[*entries] for entries in column]


def test_incremental_runs_equal_a_full_refresh(grown: dict, refreshed: dict) -> None:
    assert differences(grown, refreshed) == []
    assert all(grown["training.training_data", name].height > 0 for name in TENANTS)
    weights = set(grown["training.training_data", TYPED]["type_weight"])
    assert 3.0 in weights, "the declaration of the last round"
    assert 4.0 not in weights, "nothing of the one before"
    examples = [grown["training.training_examples", name] for name in TENANTS]
    assert examples[0]["item_texts"].null_count() == examples[0].height, "no longer declared"
    for entity in ("item", "user"):
        (name,) = {key for row in named(examples[1], entity) for key in row}
        assert name == DESCRIBED[5][1][f"{entity}_attributes"][name], "those of the last round"


def test_who_has_withdrawn_consent_is_not_trained_on(growth: Growth, grown: dict) -> None:
    for name in TENANTS:
        withdrawn = growth.withdrawn(name)
        active = set(grown["staging.stg_interactions", name]["user_id"])
        assert withdrawn & active
        assert set(grown["training.training_data", name]["user_id"]) <= active - withdrawn
        assert set(grown["features.user_features", name]["user_id"]) == active


def test_flagged_days_make_no_example_and_are_known(
    lake: SessionLake, growth: Growth, grown: dict
) -> None:
    name, said = TENANTS[FLAGGED], TRAFFIC[max(TRAFFIC)]
    staged = grown["staging.stg_interactions", name].to_dicts()
    rows = [{**row, "context": {"device_type": row["device_type"]}} for row in staged]
    for flag in said["leave_out"]:
        assert flagged_days(rows, {**said, "leave_out": [flag]}), f"nothing is flagged {flag}"
    flagged, withdrawn = flagged_days(rows, said), growth.withdrawn(name)
    trusted = [
        row
        for row in rows
        if (row["user_id"], row["event_time"].date()) not in flagged
        and row["user_id"] not in withdrawn
    ]
    examples = grown["training.training_data", name]
    found = examples.filter(label=1.0)
    pairs = set(zip(found["user_id"], found["item_id"], strict=True))
    assert pairs == positives(trusted).keys() != positives(rows).keys()
    labelled = set(zip(examples["user_id"], examples["event_time"].dt.date(), strict=True))
    assert not labelled & flagged
    known = {(row["user_id"], row["item_id"]) for row in rows}
    drawn = examples.filter(negative_type="sampled")
    assert not known & set(zip(drawn["user_id"], drawn["item_id"], strict=True))
    totals = grown["features.user_features", name]["total_interactions"].sum()
    assert totals == len(rows), "features count them"


def commits(lake: SessionLake, table: str) -> list[dict]:
    """The parameters of the writes into a table, the newest first."""
    history = DeltaTable(f"{lake.settings.lake}/{table}").history()
    return [entry["operationParameters"] for entry in history if entry["operation"] == "WRITE"]


@pytest.mark.parametrize(
    ("column", "table"), [("event_hour", "item_hours"), ("as_of", "item_feature_history")]
)
def test_items_are_merged_from_the_earliest_change_on(
    lake: SessionLake, grown: dict, column: str, table: str
) -> None:
    history = DeltaTable(f"{lake.settings.lake}/features/{table}").history()
    merges = [one["operationParameters"] for one in history if one["operation"] == "MERGE"]
    assert any(f"{column}#" in one["predicate"] and ">= 20" in one["predicate"] for one in merges)


@pytest.mark.parametrize("table", ["training_data", "training_examples", "training_users"])
def test_touched_users_are_replaced_by_hash_and_most_of_a_tenant_as_a_whole(
    lake: SessionLake, grown: dict, table: str
) -> None:
    done = commits(lake, f"training/{table}")
    conditions = [one.get("replaceOnCond", one.get("predicate", "")) for one in done]
    assert all("tenant_id" in text for text in conditions)
    assert "held.user_hash = fresh.user_hash" in conditions[0]
    assert any("user_hash" not in text for text in conditions)


def test_the_log_names_no_user(lake: SessionLake, grown: dict) -> None:
    """Conditions of commits stay in the log when a person's rows are gone."""
    users = {
        user
        for name in TENANTS
        for user in lake.table("staging.stg_interactions", name)["user_id"].unique()
    }
    hashes = {
        str(number)
        for name in TENANTS
        for number in lake.table("staging.stg_interactions", name)["user_hash"].unique()
    }
    for path in Path(lake.settings.lake).glob("*/*/_delta_log/*.json"):
        if path.parts[-4] == "raw":
            continue
        conditions = [
            json.dumps(entry["commitInfo"]["operationParameters"])
            for line in path.read_text().splitlines()
            if "commitInfo" in (entry := json.loads(line))
        ]
        for text in conditions:
            assert not [user for user in users if f"'{user}'" in text or f'"{user}"' in text]
            assert not [number for number in hashes if number in text]


def test_every_column_is_documented(lake: SessionLake, grown: dict) -> None:
    for folder in ("staging", "ops", "features", "training"):
        path = lake.settings.project / "dbt_project" / "models" / folder
        document = yaml.safe_load((path / f"_{folder}__models.yml").read_text())
        for model in document["models"]:
            if (
                "columns" not in model
                or not Path(lake.settings.lake, folder, model["name"]).exists()
            ):
                continue
            table = DeltaTable(f"{lake.settings.lake}/{folder}/{model['name']}")
            columns = [field.name for field in table.schema().fields]
            assert sorted(column["name"] for column in model["columns"]) == sorted(columns)


def test_a_run_on_unchanged_data_writes_no_file_and_commits_nothing(
    lake: SessionLake, refreshed: dict
) -> None:
    def versions() -> dict[str, int]:
        folders = [Path(lake.settings.lake) / table.replace(".", "/") for table in DERIVED_TABLES]
        tables = [str(folder) for folder in folders if folder.exists()]
        return {table: DeltaTable(table).version() for table in tables}

    files, before = lake.data_files(), versions()
    lake.build()
    assert lake.data_files() == files
    assert versions() == before


# Small stories, each of a tenant of its own, that share three rounds of runs.

QUIET = TENANTS[1]


@pytest.fixture(scope="module")
def stories(lake: SessionLake, refreshed: dict) -> Stories:
    """A run for one tenant and one for all; one for a few models; a parent put back."""

    def users() -> dict[str, int]:
        names = ("narrow-a", "narrow-b")
        return {name: lake.table("features.user_features", name).height for name in names}

    def quiet_files() -> set[Path]:
        return {path for path in lake.data_files() if f"tenant_id={QUIET}" in str(path)}

    def labels(tenant_id: str = "moving") -> list[tuple]:
        return lake.table("training.training_data", tenant_id).select("item_id", "label").rows()

    def items() -> list[str]:
        return sorted(lake.table("training.training_examples", "restored")["item_id"])

    def negatives() -> list[str]:
        rows = lake.table("training.sampled_negatives", "viewing")
        return sorted(rows.filter(pl.col("user_id") == "u")["item_id"])

    spark = SparkSession.getActiveSession()
    assert spark is not None
    active, idle = two_users_of_one_hash(spark, "colliding")

    # first round: everybody's first events
    quiet_before = quiet_files()
    store_first_events(lake, active, idle)
    narrow = json.dumps({"tenant_id": "narrow-a"})
    lake.dbt("run", "--select", "+user_features", "--vars", narrow)
    users_after_one = users()
    lake.dbt("run", "--select", "+user_features", "+training_examples", "user_histories")
    told = Stories(
        users_after_one,
        users(),
        quiet_before,
        quiet_files(),
        [negatives()],
        [labels()],
        [labels("vanishing")],
        [items()],
        {},
        [rows_of(lake, "colliding", idle)],
    )

    # second round: one more event each; first some models alone, then all of them
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

    # third round: a parent is put back to what it was after the first
    spark.sql("optimize training.training_data")
    spark.sql(f"restore table training.training_data to version as of {version}")
    lake.dbt("run", "--select", "training_examples", *by_user)
    told.restored.append(items())
    lake.dbt("run", "--select", "training_data", "training_examples", *by_user)
    told.restored.append(items())

    # fourth round: nothing but one more event
    lake.store("restored", [interaction("e3", "u", "i3", "like")])
    outcome = lake.dbt("run", "--select", "+training_examples", *by_user)
    for model in ("training_examples", "stg_interactions"):
        told.compiled[model] = compiled(outcome, model)

    # fifth round: somebody deletes a row of one user by hand, another user has an event, and one
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


def test_a_run_for_one_tenant_loses_no_other_tenants_rows(stories: Stories) -> None:
    assert stories.users_after_one == {"narrow-a": 1, "narrow-b": 0}
    assert stories.users_after_all == {"narrow-a": 1, "narrow-b": 1}


def test_a_run_leaves_the_files_of_tenants_without_new_rows_alone(stories: Stories) -> None:
    assert stories.quiet_before
    assert stories.quiet_after == stories.quiet_before


@pytest.mark.parametrize(
    ("model", "touched"),
    [
        (
            "user_feature_history",
            "user_hash in ( select /*+ broadcast(touched) */",
        ),
        ("item_hours", "(tenant_id, item_id, event_hour) in ( select /*+ broadcast(touched) */"),
        # what it reads several times was read once, and is kept
        ("training_data", "from eta_stg_interactions_of_training_training_data"),
        ("training_examples", "_change_type = 'insert'"),
    ],
)
def test_a_run_by_changes_asks_the_feeds_what_is_touched(
    stories: Stories, model: str, touched: str
) -> None:
    """New events of a few users: only their rows are looked at, found through the parent's feed."""
    assert touched in stories.compiled[model]


def test_new_events_are_read_alone_and_repeated_ones_compared(stories: Stories) -> None:
    """A run on new events opens no older file of raw or staging; one with a known id does."""
    assert "from raw.interactions" not in stories.compiled["stg_interactions"]
    assert "raw/interactions', " in stories.compiled["stg_interactions"]
    assert "from raw.interactions" in stories.repeating


def test_a_pair_that_becomes_positive_is_no_negative_any_more(
    lake: SessionLake, stories: Stories
) -> None:
    assert stories.labels == [[("i1", 0.0)], [("i1", 1.0)], [("i1", 1.0)]]
    assert lake.table("training.explicit_negatives", "moving").height == 0


def test_a_user_whose_rows_are_gone_leaves_every_table(stories: Stories) -> None:
    assert stories.vanished == [[("i1", 0.0)], [("i1", 1.0)], []]


def test_rows_that_are_gone_leave_the_tables_by_time(lake: SessionLake, stories: Stories) -> None:
    """What is left begins later than what is gone, and an event came in the same run."""
    for table, name in (("enriched_interactions", "event_time"), ("user_feature_history", "as_of")):
        times = lake.table(f"features.{table}", "losing")[name].dt.hour().sort().to_list()
        assert times == [NOON.hour, NOON.hour + 2, NOON.hour + 3, NOON.hour + 9]


def test_a_user_whose_only_label_is_gone_has_no_examples(stories: Stories) -> None:
    """The removed and the new event are of one commit, and the new one makes no row."""
    assert stories.turned == []


def test_what_was_deleted_by_hand_takes_nothing_else_along(stories: Stories) -> None:
    data, examples = stories.by_hand
    assert data.equals(examples)
    assert data.filter(pl.col("draw_index") > 1).height > 0


def test_who_shares_a_touched_users_hash_keeps_every_row_once(stories: Stories) -> None:
    before, after = stories.colliding
    for table, rows in before.items():
        assert rows.height == after[table].height > 0
        assert rows.equals(after[table])


def test_a_restored_parent_is_taken_over(stories: Stories) -> None:
    """The feed of a restored version removes and adds rows that stay, in one commit."""
    assert stories.restored == [["i1"], ["i1"], ["i1"], ["i1", "i2"]]


def test_an_item_that_a_user_only_views_is_no_negative_any_more(stories: Stories) -> None:
    """No positive and no item's hour changes: only what the user knows."""
    assert stories.negatives == [["i0", "i1", "i2"], ["i0", "i2"]]


@pytest.fixture(scope="module")
def by_cutoff(lake: SessionLake, stories: Stories) -> list[Known]:
    """Before, with another seed and a cutoff without and with later rows, and as before."""
    models = ("run", "--select", "+training_data", "+recent_interactions")
    other_parameters = {"seed": 43, "cutoff": "2026-07-01T12:00:00"}
    with_cutoff = ("--vars", json.dumps(other_parameters))
    found = [known(lake, TENANTS[2])]
    store_known_early(lake)
    lake.dbt(*models, *with_cutoff)
    found.append(known(lake, TENANTS[2]))
    store_known_late(lake)
    lake.dbt(*models, *with_cutoff)
    found.append(known(lake, TENANTS[2]))
    with pytest.raises(EtaError, match="run it for all tenants"):
        # with the project's own seed again
        build(lake.settings, tenant_id=QUIET, select=["training_data"])
    lake.dbt(*models)
    return [*found, known(lake, TENANTS[2])]


def test_seed_cutoff_and_vanished_rows(by_cutoff: list[Known]) -> None:
    before, other, _, after = by_cutoff
    assert other.negatives.height == before.negatives.height, "another seed draws as many"
    assert not other.negatives.equals(before.negatives), "another seed draws others"
    assert after.negatives.equals(before.negatives)
    assert [one.cut for one in by_cutoff] == [["i1", "i2"], ["i1"], ["i1"], ["i1", "i2"]]
    assert before.changing == [("i1", 0.0, "dislike")]
    assert other.changing == [("i1", 1.0, "like")], "it became a positive"


def test_the_same_cutoff_and_seed_give_the_same_training_set_whatever_came_later(
    by_cutoff: list[Known],
) -> None:
    """Items that the catalogue or an interaction showed first after the cutoff are no negatives."""
    _, first, second, without = by_cutoff
    assert [table.height for table in first.later] == [14 * 4, 14]
    pairs = zip(first.later, second.later, strict=True)
    assert [one.equals(other) for one, other in pairs] == [True, True]
    assert [table.height for table in without.later] == [(14 + 40) * 4, 14 + 40]


def test_nothing_is_undone_by_what_became_known_after_the_cutoff(by_cutoff: list[Known]) -> None:
    _, first, second, without = by_cutoff
    standing = [
        ("i1", "save", 1.0, 3.0),
        ("i2", "play", 1.0, 0.5),
        ("i3", "save", 1.0, 3.0),
        ("i4", "skipped", 0.0, 0.5),
    ]
    assert [first.undoing, second.undoing] == [standing, standing]
    assert without.undoing == [("i1", "play", 1.0, 1.0), *standing[1:2], *standing[3:]]


def test_a_tenant_id_that_is_none_never_reaches_sql(lake: SessionLake) -> None:
    """Which texts are none is told by the unit tests of the rule."""
    with pytest.raises((EtaError, AssertionError), match="tenant_id must be"):
        lake.dbt(
            "run", "--select", "user_features", "--vars", json.dumps({"tenant_id": "a' or '1'='1"})
        )


def test_the_models_own_unit_tests_pass(lake: SessionLake, grown: dict) -> None:
    outcome = lake.dbt("test", "--select", "test_type:unit")
    assert len(outcome.result) >= 5
