"""What people do between two runs: change a model, lose a table, restore a backup, set a cutoff."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import EtaError
from lakehouse.training.build import run_dbt
from lakehouse.training.feature_docs import feature_documents
from lakehouse.training.run_plan import plan_run
from tests.support.lake import NOON, SessionLake, interaction, item

pytestmark = pytest.mark.timeout(1800)

EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = ("stg_interactions", "recent_interactions")
RANK = "recency_rank,\n        event_id"


def ranks(lake: SessionLake, tenant_id: str) -> list[int]:
    return sorted(lake.table("features.recent_interactions", tenant_id)["recency_rank"])


def done(outcome: Any) -> str:
    """What dbt says of `recent_interactions`."""
    (found,) = [r.message for r in outcome.result if r.node.name == "recent_interactions"]
    return str(found)


def planned(lake: SessionLake) -> tuple[str, str]:
    """Mode of a run of `recent_interactions`, and why."""
    plans = plan_run(lake.settings, select=HISTORY)
    assert [plan.model for plan in plans] == [*HISTORY]
    return plans[-1].mode, plans[-1].reason


@pytest.fixture
def changed_project(
    lake: SessionLake, tmp_path: Path
) -> tuple[SessionLake, Callable[[str, str], None]]:
    """A copy of the project on the same lake, and how to change its `recent_interactions`."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("dbt_project", "macros"):
        shutil.copytree(lake.settings.project / name, project / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(lake.settings.project / name, project / name)
    model = project / "dbt_project/models/features/recent_interactions.sql"

    def change(before: str, after: str) -> None:
        text = model.read_text()
        assert before in text
        model.write_text(text.replace(before, after))

    return replace(lake, settings=lake.settings.model_copy(update={"project_dir": project})), change


def test_a_changed_model_is_applied_to_every_row(
    lake: SessionLake, changed_project: tuple[SessionLake, Callable[[str, str], None]]
) -> None:
    other, change = changed_project
    lake.store("changed", [interaction("e1"), interaction("e2", "u2")])
    lake.dbt("run", "--select", *HISTORY)
    assert ranks(lake, "changed") == [1, 1]

    change("-- one row per user", "-- one row for each user")
    assert done(other.dbt("run", "--select", *HISTORY)) == "UNCHANGED"

    change(RANK, f"recency_rank + 1000 as {RANK}")
    assert planned(other) == ("REBUILT", "its SQL changed")
    strict = json.dumps({"strict": True})
    with pytest.raises((AssertionError, EtaError), match="would be recomputed"):
        other.dbt("run", "--select", *HISTORY, "--vars", strict)
    assert done(other.dbt("run", "--select", *HISTORY)) == "REBUILT, its SQL changed"
    assert ranks(lake, "changed") == [1001, 1001]
    lake.store("changed", [interaction("e3", event_time=NOON + timedelta(hours=1))])
    assert done(other.dbt("run", "--select", *HISTORY)) == "REPLACED +3 -2, 1 tenant"
    assert ranks(lake, "changed") == [1001, 1001, 1002], "all rows by one rule"

    narrowed = json.dumps({"tenant_id": "changed"})
    with pytest.raises((AssertionError, EtaError), match="built by other SQL"):
        lake.dbt("run", "--select", *HISTORY, "--vars", narrowed)
    lake.dbt("run", "--select", *HISTORY)
    assert ranks(lake, "changed") == [1, 1, 2]


@pytest.mark.nightly
def test_a_feature_is_added_as_the_guide_says(
    lake: SessionLake, changed_project: tuple[SessionLake, Callable[[str, str], None]]
) -> None:
    """Computed in one file and named in one list, it is in the history and the current features."""
    other, _ = changed_project
    project = other.settings.project
    lake.store("extended", [interaction("e1"), interaction("e2", event_time=NOON + timedelta(1))])
    added = ("+user_features", "--exclude", "item_features")
    lake.dbt("run", "--select", *added)
    history = project / "dbt_project/models/features/user_feature_history.sql"
    sql, line = history.read_text(), "        count(*) over day as interactions_1d,\n"
    weekend = (
        "        count_if(dayofweek(event_time) in (1, 7)) over so_far as weekend_interactions,\n"
    )
    history.write_text(sql.replace(line, weekend + line))
    settings = project / "dbt_project.yml"
    entry = "      weekend_interactions: {type: bigint, description: On a weekend.}\n"
    settings.write_text(settings.read_text().replace("    user:\n", f"    user:\n{entry}"))
    for path, text in feature_documents(project).items():
        path.write_text(text)
    other.dbt("run", "--select", *added)
    found = lake.table("features.user_features", "extended")
    assert found["weekend_interactions"].to_list() == [1], "2026-05-02 is a Saturday"
    lake.dbt("run", "--select", *added)
    assert "weekend_interactions" not in lake.table("features.user_features", "extended").columns


@pytest.mark.nightly
def test_a_changed_macro_or_variable_is_a_changed_model(
    lake: SessionLake, changed_project: tuple[SessionLake, Callable[[str, str], None]]
) -> None:
    other, change = changed_project
    change("recency_rank <=", "recency_rank <= {{ least_rank() }} *")
    macro = other.settings.project / "macros" / "least_rank.sql"
    macro.write_text("{% macro least_rank() %}1{% endmacro %}")
    events = [interaction(f"e{n}", event_time=NOON + timedelta(hours=n)) for n in range(3)]
    lake.store("macro", events)
    other.dbt("run", "--select", *HISTORY)
    assert ranks(lake, "macro") == [1, 2, 3]
    macro.write_text("{% macro least_rank() %}0{% endmacro %}")
    other.dbt("run", "--select", *HISTORY)
    assert ranks(lake, "macro") == []
    fewer = json.dumps({"recent_interaction_limit": 2})
    lake.dbt("run", "--select", *HISTORY, "--vars", fewer)
    assert ranks(lake, "macro") == [1, 2]
    lake.dbt("run", "--select", *HISTORY)
    assert ranks(lake, "macro") == [1, 2, 3]


def test_a_table_that_is_not_the_one_that_was_read_is_read_whole(
    lake: SessionLake, tmp_path: Path
) -> None:
    """Dropped and made anew, and raw restored from an older backup that has grown since."""
    spark = SparkSession.active()
    raw = Path(lake.settings.lake, "raw", "interactions")
    lake.store("backup", [interaction("e1", "kept")])
    shutil.copytree(raw, tmp_path / "backup")
    lake.store("backup", [interaction("e2", "lost")])
    lake.dbt("run", "--select", *HISTORY)
    assert set(lake.table("features.recent_interactions", "backup")["user_id"]) == {"kept", "lost"}

    shutil.rmtree(raw)
    shutil.copytree(tmp_path / "backup", raw)
    for number in range(3):  # beyond the version that the models have read
        lake.store("backup", [interaction(f"later{number}", f"later{number}")])
    lake.dbt("run", "--select", *HISTORY)
    expected = {"kept", "later0", "later1", "later2"}
    assert set(lake.table("features.recent_interactions", "backup")["user_id"]) == expected

    lake.store_items("backup", [item("i1")])
    lake.dbt("run", "--select", "stg_items")
    spark.sql("drop table staging.stg_interactions")
    shutil.rmtree(Path(lake.settings.lake, "staging", "stg_interactions"), ignore_errors=True)
    lake.store_items("backup", [item("i2")])
    lake.dbt("run", "--select", "stg_items")  # as after a first run that failed elsewhere
    assert set(lake.table("staging.stg_items", "backup")["item_id"]) == {"i1", "i2"}
    lake.dbt("run", "--select", *HISTORY)
    assert set(lake.table("features.recent_interactions", "backup")["user_id"]) == expected

    shutil.rmtree(raw)
    shutil.copytree(tmp_path / "backup", raw)
    lake.store("backup", [interaction("last", "last")])
    lake.dbt("run", "--select", *HISTORY)  # a smaller version, of a table that stays
    assert set(lake.table("features.recent_interactions", "backup")["user_id"]) == {"kept", "last"}


@pytest.mark.nightly
def test_changes_whose_files_were_vacuumed_are_read_from_the_table(lake: SessionLake) -> None:
    """Two runs of the parent alone, its unused files dropped at once, then the model's own run."""
    spark = SparkSession.active()
    lake.store("vacuumed", [interaction("e1", rating=1.0), interaction("e2", "u2")])
    lake.dbt("run", "--select", *HISTORY)
    lake.store("vacuumed", [interaction("e1", rating=2.0)], known_at=EARLIER)
    lake.dbt("run", "--select", "stg_interactions")
    lake.store("vacuumed", [interaction("e3", "u3")])
    lake.dbt("run", "--select", "stg_interactions")
    spark.sql("optimize staging.stg_interactions")
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    spark.sql("vacuum staging.stg_interactions retain 0 hours")
    spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert planned(lake)[1] == "stg_interactions was vacuumed, and its changes with it"
    lake.dbt("run", "--select", *HISTORY)
    found = lake.table("features.recent_interactions", "vacuumed").sort("event_id")
    assert found.select("event_id", "rating").rows() == [("e1", 2.0), ("e2", None), ("e3", None)]


@pytest.mark.nightly
def test_a_model_in_an_own_schema_reads_the_parents_of_production(
    lake: SessionLake, tmp_path: Path
) -> None:
    """As a slim CI job does: `--defer --state`, twice, with a row in between."""
    lake.store("deferred", [interaction("e1")])
    lake.dbt("run", "--select", *HISTORY)
    shutil.copy(lake.settings.home_dir / "target" / "manifest.json", tmp_path)
    command = ["run", "--select", "recent_interactions", "--defer", "--state", str(tmp_path)]
    for rows in (1, 2):
        assert run_dbt(lake.settings, command, schema="dev_ci").success
        found = lake.table("dev_ci_features.recent_interactions", "deferred")
        assert found.equals(lake.table("features.recent_interactions", "deferred"))
        assert found.height == rows
        lake.store("deferred", [interaction("e2", event_time=NOON + timedelta(hours=1))])
        lake.dbt("run", "--select", *HISTORY)
    shutil.rmtree(Path(lake.settings.lake, "dev_ci_features"))
    SparkSession.active().sql("drop schema if exists dev_ci_features cascade")


def test_a_run_that_hides_rows_is_refused(lake: SessionLake) -> None:
    lake.store("hidden", [interaction("e1")])
    lake.dbt("run", "--select", *HISTORY)
    for option in (["--empty"], ["--sample", "3 days"]):
        with pytest.raises((AssertionError, EtaError), match="hides rows from the models"):
            lake.dbt("run", "--select", "recent_interactions", *option)
    assert ranks(lake, "hidden") == [1]
