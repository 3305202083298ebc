"""What an analytics engineer builds beside the project's models is there in the next process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.errors import EtaError
from lakehouse.privacy.derived import subjects_file
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import find_tables, written_by_models
from lakehouse.training.build import run_dbt
from tests.support.lake import SessionLake, interaction, item
from tests.support.own_project import make_project

TENANT = "own-schemas"


@pytest.fixture(scope="module")
def own(lake: SessionLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionLake]:
    """The session's lake under a project of the engineer's own."""
    project = make_project(tmp_path_factory.mktemp("own") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETA_PROJECT_DIR", str(project))
        patch.setenv("DBT_TARGET_PATH", str(project / "target"))
        settings = lake.settings.model_copy(update={"project_dir": project})
        yield replace(lake, settings=settings)


def rows(text: str) -> list[tuple]:
    return sorted(tuple(row) for row in SparkSession.active().sql(text).collect())


@pytest.mark.spark
def test_tables_seeds_and_snapshots_of_an_engineer_go_on_in_the_next_process(
    own: SessionLake,
) -> None:
    first = datetime.now(UTC) - timedelta(hours=1)
    own.store_items(TENANT, [item("i1", price=1), item("i2", price=2)], known_at=first)
    own.dbt("build")
    own.start_again()
    own.store_items(TENANT, [item("i1", "later", price=9)], known_at=datetime.now(UTC))
    own.dbt("build")

    mine = f"where tenant_id = '{TENANT}'"
    history = f"select item_id, int(price), dbt_valid_to is null from default.prices {mine}"
    assert rows(history) == [("i1", 1, False), ("i1", 9, True), ("i2", 2, True)]
    assert rows(f"select item_id from marts.appended {mine}") == [("i1",), ("i1",), ("i2",)]
    seen = f"select item_id, seen_at > timestamp '{first.isoformat()}' from marts.merged {mine}"
    assert rows(seen) == [("i1", True), ("i2", False)]
    assert rows(f"select n from marts.replaced {mine}") == [(3,)]
    assert rows("select code from default.regions") == [("north",), ("south",)]
    later = [("north", False), ("north", True), ("south", False), ("south", True)]
    assert rows("select code, came_later from default.nowhere") == later
    for table in ("marts/appended", "default/prices"):
        assert Path(own.settings.lake, table, "_delta_log").is_dir(), table


@pytest.mark.spark
def test_a_server_that_knows_nothing_learns_what_is_there_and_where_schemas_lie(
    own: SessionLake,
) -> None:
    """One that somebody else started: its own place for schemas is not the lake's."""
    tenant = f"{TENANT}-served"
    own.store_items(tenant, [item("i1", price=1)], known_at=datetime.now(UTC) - timedelta(hours=1))
    own.dbt("snapshot")
    own.start_again(is_known=False)
    own.store_items(tenant, [item("i1", "later", price=2)], known_at=datetime.now(UTC))
    own.dbt("build", "--target", "server", "--select", "prices", "merged")
    history = "select int(price), dbt_valid_to is null from default.prices where tenant_id = "
    assert rows(f"{history}'{tenant}'") == [(1, False), (2, True)]
    assert Path(own.settings.lake, "marts/merged/_delta_log").is_dir()
    assert not [*Path(own.settings.lake).rglob("*.db")]

    own.start_again(is_known=False)
    session = SparkSession.active()
    session.sql("create schema features location '/tmp/elsewhere/features.db'")
    own.dbt("build", "--target", "server", "--select", "merged")  # asks nothing of that schema
    session.sql("drop schema marts cascade")
    session.sql("create schema marts location '/tmp/elsewhere/marts.db'")
    with pytest.raises(EtaError, match=r"schema marts .* lies at file:/tmp/elsewhere/marts.db"):
        own.dbt("build", "--target", "server", "--select", "merged")
    own.start_again()


@pytest.mark.spark
def test_the_deletion_of_people_takes_tables_of_any_shape(own: SessionLake) -> None:
    """No partitions of tenants, numbers for ids, another spelling, a column of anonymous ids."""
    session = SparkSession.active()
    session.sql("create schema if not exists shapes location '" + own.settings.lake + "/shapes'")
    rows_of = (
        "select 'a' as tenant_id, {0} as {1} union all select 'b', {0} union all select 'a', {2}"
    )
    shapes = {
        "numbers": rows_of.format("7", "user_id", "77"),
        "texts": rows_of.format("'7'", "UserId", "'07'"),
        "unnamed": rows_of.format("'7'", "anonymous_id", "'8'"),
    }
    for name, select in shapes.items():
        session.sql(f"create table shapes.{name} using delta as {select}")
    with subjects_file(Lake(own.settings), ["7"]) as location:
        names = [f"shapes.{name}" for name in shapes]
        arguments = {"tenant_id": "a", "tables": names, "subjects": location}
        own.dbt("run-operation", "erase_subjects", "--args", json.dumps(arguments))
    assert rows("select * from shapes.numbers") == [("a", 77), ("b", 7)]
    assert rows("select * from shapes.texts") == [("a", "07"), ("b", "7")]
    assert rows("select * from shapes.unnamed") == [("a", "8"), ("b", "7")]
    log = Path(own.settings.lake, "shapes/texts/_delta_log").glob("*.json")
    assert not any("07" in stats for stats in map(_statistics, log)), "the log names somebody"


def _statistics(path: Path) -> str:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return " ".join(entry["add"].get("stats") or "" for entry in entries if "add" in entry)


@pytest.mark.spark
def test_an_own_schema_is_built_beside_production_from_the_lakes_sources(
    own: SessionLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = f"{TENANT}-anna"
    own.store_items(tenant, [item("i1", price=1)], known_at=datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setenv("ETA_DBT_SCHEMA", "dev_bert")  # of plain dbt; this is a command of eta's
    own.dbt("run", "--select", "merged")
    before = versions(own)
    own.store_items(tenant, [item("i2", price=1)], known_at=datetime.now(UTC))
    selected = ["build", "--select", "merged", "nowhere", "regions", "prices"]
    assert run_dbt(own.settings, selected, schema="dev_anna").success
    mine = f"where tenant_id = '{tenant}'"
    assert rows(f"select item_id from dev_anna_marts.merged {mine}") == [("i1",), ("i2",)]
    assert rows(f"select item_id from marts.merged {mine}") == [("i1",)]
    assert rows(f"select count(*) from dev_anna.prices {mine}") == [(2,)]
    assert rows("select code from dev_anna.nowhere") == [("north",), ("south",)]
    after = versions(own)
    assert {name: after[name] for name in before} == before, "production was written to"
    assert {name.partition(".")[0] for name in after.keys() - before.keys()} == {
        "dev_anna",
        "dev_anna_marts",
    }
    assert not find_tables(Lake(own.settings)).keys() & {"dev_bert", "dev_bert_marts"}


@pytest.mark.spark
@pytest.mark.parametrize("name", ["raw", "anna's", ""])
def test_a_schema_that_is_taken_is_refused(own: SessionLake, name: str) -> None:
    with pytest.raises(EtaError, match="cannot be yours"):
        run_dbt(own.settings, ["parse", "--no-partial-parse"], schema=name)


def versions(lake: SessionLake) -> dict[str, int]:
    return {name: table.version() for name, table in written_by_models(Lake(lake.settings))}


@pytest.mark.spark
def test_the_freshness_of_sources_is_the_newest_arrival(own: SessionLake) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(0), timedelta(days=9), timedelta(hours=1)):
        own.store_items(f"{TENANT}-fresh", [item(f"i{age}")], known_at=now - age)
    own.store(f"{TENANT}-fresh", [interaction("e1")], known_at=now - timedelta(days=900))
    outcome = own.dbt("source", "freshness")
    told = {one.node.name: one for one in outcome.result.results}
    assert (told["items"].status, told["items"].max_loaded_at) == ("pass", now)
    table = Lake(own.settings).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["known_at"])
    newest = max(table["known_at"].to_pylist())
    is_old = now - newest > timedelta(days=1)
    assert told["interactions"].max_loaded_at == newest
    assert told["interactions"].status == ("warn" if is_old else "pass")
    assert "clickstream" in told
