"""The DAGs in Airflow's own environment parse, and are rendered from the models."""

import json
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from lakehouse.control.database import ControlDatabase
from tests.conftest import PROJECT_DIR
from tests.support.orchestration import AIRFLOW, Orchestra, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DAGS = {
    "prepare_training_data",
    "keep_tables",
    "expire_data",
    "erase_subjects",
    "check_quality",
    "publish_docs",
    "watch_arrivals",
}
_PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": {
    dag.dag_id: {
        "schedule": str(dag.schedule), "catchup": dag.catchup, "runs": dag.max_active_runs,
        "params": list(dag.params), "deadlines": len(dag.deadline or []),
        "tasks": {t.task_id: {"after": sorted(t.upstream_task_ids), "retries": t.retries,
                              "pool": t.pool, "weight": t.priority_weight,
                              "rule": str(t.weight_rule)}
                  for t in dag.tasks},
    } for dag in bag.dags.values()
}}))
"""


@pytest.fixture(scope="module")
def graph(orchestra: Orchestra) -> dict[str, Any]:
    """What `eta dags build` wrote: task name → parents."""
    path = PROJECT_DIR / "target" / "dags" / "manifest.json"
    nodes = json.loads(path.read_text())["nodes"]
    return {
        node["name"]: {parent.rpartition(".")[2] for parent in node["depends_on"]["nodes"]}
        for node in nodes.values()
        if node["resource_type"] == "model"
    }


@pytest.fixture(scope="module")
def parsed(orchestra: Orchestra) -> dict[str, Any]:
    return parse(orchestra)


def parse(orchestra: Orchestra, **variables: str) -> dict[str, Any]:
    done = subprocess.run(
        [AIRFLOW / "python", "-c", _PARSE, PROJECT_DIR / "dags"],
        env={**orchestra.environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_dags_parse(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == DAGS
    dag = parsed["dags"]["prepare_training_data"]
    assert "0 */6 * * *" in dag["schedule"]
    assert "AssetOrTimeSchedule" in dag["schedule"]
    assert "'raw_arrivals'" in dag["schedule"]
    assert (dag["catchup"], dag["runs"], dag["deadlines"]) == (False, 1, 1)
    assert set(dag["params"]) == {"tenant_id", "start_date", "end_date", "cutoff", "full_refresh"}


def test_settings_shape_the_dags(
    parsed: dict[str, Any], graph: dict[str, Any], orchestra: Orchestra
) -> None:
    """Looking for new rows by a schedule, and a pool for the models, are asked for."""
    found = parse(orchestra, ETA_RUN_AFTER_ROWS="5000", ETA_SPARK_POOL="spark")["dags"]
    assert parsed["dags"]["watch_arrivals"]["schedule"] == "None"
    assert "*/10 * * * *" in found["watch_arrivals"]["schedule"]

    def pools(dags: dict[str, Any], *, of_models: bool) -> set[str]:
        tasks = dags["prepare_training_data"]["tasks"].items()
        return {t["pool"] for name, t in tasks if (name.rpartition(".")[2] in graph) == of_models}

    assert pools(parsed["dags"], of_models=True) == {"default_pool"}
    assert pools(found, of_models=True) == {"spark"}
    assert pools(found, of_models=False) == {"default_pool"}


def test_short_commands_go_ahead_of_models_and_nightly_ones_behind(
    parsed: dict[str, Any], graph: dict[str, Any]
) -> None:
    tasks = parsed["dags"]["prepare_training_data"]["tasks"]
    models = [task for name, task in tasks.items() if name.rpartition(".")[2] in graph]
    heaviest = sum(task["weight"] for task in models)  # a model's is its own and that of all after
    assert heaviest < tasks["publish"]["weight"]
    assert heaviest < parsed["dags"]["erase_subjects"]["tasks"]["work"]["weight"]
    assert parsed["dags"]["keep_tables"]["tasks"]["compact"]["weight"] == 1


BACKFILL = {
    "run_type": "backfill",
    "data_interval_start": "2026-05-01T06:00:00+00:00",
    "data_interval_end": "2026-05-01T06:00:00+00:00",
    "start_date": "2026-06-01T10:00:00+00:00",
}
LONG_AGO = "2026-05-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def begun(orchestra: Orchestra) -> dict[str, dict[str, Any]]:
    """What `begin` does in Airflow's environment while another run holds the lock."""
    runs = {
        "a moment": BACKFILL,
        "until midnight": {**BACKFILL, "data_interval_end": "2026-05-03T00:00:00+00:00"},
        "scheduled": {**BACKFILL, "run_type": "scheduled"},
        "other days": {**BACKFILL, "params": {"start_date": "2026-01-01"}},
        "now": {"run_type": "manual", "since": datetime.now(UTC).isoformat()},
        "long ago": {"run_type": "manual", "since": LONG_AGO},
    }
    script = PROJECT_DIR / "tests" / "dags" / "begin_once.py"
    with closing(ControlDatabase.open(orchestra.settings.control_url)) as database:
        database.run_lock.hold("somebody's")
        done = subprocess.run(
            [AIRFLOW / "python", script, json.dumps(list(runs.values()))],
            env=orchestra.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        database.run_lock.release("somebody's")
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(runs, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_a_backfill_recomputes_the_days_of_its_interval(begun: dict[str, Any]) -> None:
    asked = "--asked-at=2026-06-01T10:00:00+00:00"
    assert begun["a moment"]["arguments"] == [
        *("--start-date=2026-05-01", "--end-date=2026-05-01", asked)
    ]
    assert begun["until midnight"]["arguments"] == [
        *("--start-date=2026-05-01", "--end-date=2026-05-02", asked)
    ]
    assert begun["scheduled"]["arguments"] == []
    assert "leave start_date and end_date" in begun["other days"]["failure"]


def test_begin_is_deferred_while_another_run_goes_on_and_gives_up_in_the_end(
    begun: dict[str, Any],
) -> None:
    assert begun["now"]["trigger"].endswith("DateTimeTrigger")
    assert begun["now"]["method"] == "ask_again"
    assert set(begun["now"]["with"]) == {"since"}
    assert begun["long ago"]["failure"].startswith("Waited since 2026-05-01 00:00 UTC")
    assert 'the run "somebody\'s" writes the models' in begun["long ago"]["failure"]


def test_every_model_is_a_task_after_the_models_it_reads(
    parsed: dict[str, Any], graph: dict[str, Any]
) -> None:
    tasks = parsed["dags"]["prepare_training_data"]["tasks"]
    models = {name.rpartition(".")[2]: name for name in tasks if name.rpartition(".")[2] in graph}
    assert set(models) == set(graph)
    assert not any("evaluation" in name for name in tasks)

    def before(task: str) -> set[str]:
        found = set(tasks[task]["after"])
        return found.union(*(before(name) for name in found))

    for name, parents in graph.items():
        assert tasks[models[name]]["retries"] >= 1
        assert {models[parent] for parent in parents} <= before(models[name]), name
    assert set(models.values()) <= before("quality_gate.check") <= before("publish")
