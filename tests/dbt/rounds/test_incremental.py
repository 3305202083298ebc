"""Whatever the order of runs, the tables are a full refresh's; unchanged means untouched."""

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import yaml
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.errors import EtaError
from tests.dbt.rounds.conftest import Contents
from tests.support.growth import (
    DESCRIBED,
    FLAGGED,
    PACED,
    TENANTS,
    TIMEOUT,
    TRAFFIC,
    TYPED,
    Growth,
)
from tests.support.lake import DERIVED_TABLES, NOON, SessionLake
from tests.support.macros import macros
from tests.support.reference import positives
from tests.support.reference_traffic import flagged_counts, flagged_days
from tests.support.stories import Known, Stories

pytestmark = pytest.mark.timeout(TIMEOUT)


def differences(before: Contents, after: Contents) -> list[tuple[str, str]]:
    return [key for key in before if not before[key].equals(after[key])]


def named(examples: pl.DataFrame, entity: str) -> list[list[str]]:
    """The names of the attributes in each row that has some."""
    column = examples[f"{entity}_texts"].drop_nulls().to_list()
    return [[*entries] for entries in column]


def test_incremental_runs_equal_a_full_refresh(grown: Contents, refreshed: Contents) -> None:
    assert differences(grown, refreshed) == []
    assert all(grown["training.training_data", name].height > 0 for name in TENANTS)
    weights = set(grown["training.training_data", TYPED]["type_weight"])
    assert 3.0 in weights, "the declaration of the last round"
    assert 4.0 not in weights, "nothing of the one before"
    ways = [set(grown["training.training_data", name]["drawn_by"]) for name in TENANTS[:2]]
    assert ways[0] == {None, "popularity", "uniform"}, "uniform before anything was popular"
    assert "category" in ways[1]
    examples = [grown["training.training_examples", name] for name in TENANTS]
    assert examples[0]["item_texts"].null_count() == examples[0].height, "no longer declared"
    for entity in ("item", "user"):
        found = {key for row in named(examples[1], entity) for key in row}
        assert found <= set(DESCRIBED[5][1][f"{entity}_attributes"]), "those of the last round"
        assert found or len(TENANTS) > 5, "this seed draws some"


def test_who_has_withdrawn_consent_is_not_trained_on(growth: Growth, grown: Contents) -> None:
    for name in TENANTS:
        withdrawn = growth.withdrawn(name)
        active = set(grown["staging.stg_interactions", name]["user_id"])
        assert withdrawn & active
        assert set(grown["training.training_data", name]["user_id"]) <= active - withdrawn
        assert set(grown["features.user_features", name]["user_id"]) == active


def test_flagged_days_make_no_example_and_are_known(
    lake: SessionLake, growth: Growth, grown: Contents
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


def test_a_pace_is_that_of_when_things_were_done_whenever_a_tie_was_known(
    growth: Growth, grown: Contents
) -> None:
    name = growth.clicking[1]
    staged = grown["staging.stg_interactions", name].to_dicts()
    rows = [{**row, "context": {"device_type": row["device_type"]}} for row in staged]
    expected = flagged_counts(rows, PACED)
    assert expected["rate_count"], "nothing is flagged"
    at_once = [{**row, "event_time": row["attributed_at"] or row["event_time"]} for row in rows]
    assert expected != flagged_counts(at_once, PACED), "no tie moves a pace"
    (counted,) = grown["ops.join_rates", name].to_dicts()
    assert {column: counted[column] for column in expected} == expected


def commits(lake: SessionLake, table: str) -> list[dict]:
    """The parameters of the writes into a table, the newest first."""
    history = DeltaTable(f"{lake.settings.lake}/{table}").history()
    return [entry["operationParameters"] for entry in history if entry["operation"] == "WRITE"]


@pytest.mark.parametrize(
    ("column", "table"), [("event_hour", "item_hours"), ("as_of", "item_feature_history")]
)
def test_items_are_merged_from_the_earliest_change_on(
    lake: SessionLake, grown: Contents, column: str, table: str
) -> None:
    history = DeltaTable(f"{lake.settings.lake}/features/{table}").history()
    merges = [one["operationParameters"] for one in history if one["operation"] == "MERGE"]
    assert any(f"{column}#" in one["predicate"] and ">= 20" in one["predicate"] for one in merges)


@pytest.mark.parametrize("table", ["training_data", "training_examples", "training_users"])
def test_touched_users_are_replaced_by_hash_and_most_of_a_tenant_as_a_whole(
    lake: SessionLake, grown: Contents, table: str
) -> None:
    done = commits(lake, f"training/{table}")
    conditions = [one.get("replaceOnCond", one.get("predicate", "")) for one in done]
    assert all("tenant_id" in text for text in conditions)
    assert "held.user_hash = fresh.user_hash" in conditions[0]
    assert any("user_hash" not in text for text in conditions)


def test_the_log_names_no_user(lake: SessionLake, grown: Contents) -> None:
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


def test_every_column_is_documented(lake: SessionLake, grown: Contents) -> None:
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
    lake: SessionLake, refreshed: Contents
) -> None:
    def versions() -> dict[str, int]:
        folders = [Path(lake.settings.lake) / table.replace(".", "/") for table in DERIVED_TABLES]
        tables = [str(folder) for folder in folders if folder.exists()]
        return {table: DeltaTable(table).version() for table in tables}

    files, before = lake.data_files(), versions()
    lake.build()
    assert lake.data_files() == files
    assert versions() == before


def test_a_run_for_one_tenant_changes_no_other_tenants_rows(
    growth: Growth, grown: Contents
) -> None:
    assert growth.narrowed == {TENANTS[0]}


@pytest.mark.parametrize(
    ("model", "touched"),
    [
        (
            "user_feature_history",
            "user_hash in ( select /*+ broadcast(touched) */",
        ),
        ("item_hours", "(tenant_id, item_id, event_hour) in ( select /*+ broadcast(touched) */"),
        # what it reads several times was read once, and is kept
        ("training_data", "from eta_pairs_of_training_training_data"),
        ("training_examples", "_change_type = 'insert'"),
    ],
)
def test_a_run_by_changes_asks_the_feeds_what_is_touched(
    stories: Stories, model: str, touched: str
) -> None:
    """New events of a few users: only their rows are looked at, found through the parent's feed."""
    assert touched in {**stories.one_event, **stories.compiled}[model]


def test_new_events_are_read_alone_and_repeated_ones_compared(stories: Stories) -> None:
    """A run on new events opens no older file of raw or staging; one with a known id does."""
    assert "from raw.interactions" not in stories.one_event["stg_interactions"]
    assert "raw/interactions', " in stories.one_event["stg_interactions"]
    assert "from raw.interactions" in stories.repeating


def test_rows_that_are_kept_are_found_by_statements_with_ctes(lake: SessionLake) -> None:
    """Else Spark would compute a kept statement, if it has CTEs itself, for each of its readers."""
    spark = SparkSession.getActiveSession()
    assert spark is not None
    named = {"model": SimpleNamespace(name="m", schema="s", alias="a"), "graph": {}}
    found = macros("incremental/keep_rows.sql", is_run=lambda: True, run_query=spark.sql, **named)
    scope: dict = {"kept": []}
    select = "with r as (select id from range(9)) select r.id from r join r as s using (id)"
    view = found["keep_rows"](scope, "found", select, is_measured=True)
    try:
        query = f"with kept as (select * from {view}) select 1 from kept join kept as k using (id)"
        (plan,) = spark.sql(f"explain {query}").first() or ("",)
        assert plan.count("InMemoryRelation") == 2
        assert spark.sql(query).count() == 9
        policy = "spark.sql.legacy.ctePrecedencePolicy"
        assert spark.conf.get(policy) == "CORRECTED", "other views keep their CTEs"
    finally:
        found["drop_kept_rows"](scope)
        spark.sql(f"drop view {view}")


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


def test_a_tenant_id_that_is_none_never_reaches_sql(lake: SessionLake) -> None:
    """Which texts are none is told by the unit tests of the rule."""
    with pytest.raises((EtaError, AssertionError), match="tenant_id must be"):
        lake.dbt(
            "run", "--select", "user_features", "--vars", json.dumps({"tenant_id": "a' or '1'='1"})
        )


def test_the_models_own_unit_tests_pass(lake: SessionLake, grown: Contents) -> None:
    outcome = lake.dbt("test", "--select", "test_type:unit")
    assert len(outcome.result) >= 5
