"""The DAGs in Airflow's own environment: rendered from the models, killed, resumed, run again."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.training.lake_state import SOURCES
from tests.conftest import PROJECT_DIR
from tests.support.lake import Lake
from tests.support.orchestration import SMALL, Orchestra, moments, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

KILLS = 2

_PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": {
    dag.dag_id: {
        "schedule": str(dag.schedule), "catchup": dag.catchup, "runs": dag.max_active_runs,
        "params": list(dag.params), "deadlines": len(dag.deadline or []),
        "tasks": {t.task_id: {"after": sorted(t.upstream_task_ids), "retries": t.retries}
                  for t in dag.tasks},
    } for dag in bag.dags.values()
}}))
"""


@pytest.fixture(scope="module")
def orchestra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ETA_HOME", "ETA_PROJECT_DIR", "ETA_SPARK_REMOTE"):
            patch.setenv(name, "")
        found = Orchestra(tmp_path_factory.mktemp("orchestra"))
        found.start()
        yield found
        found.stop()


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
    done = subprocess.run(
        [PROJECT_DIR / ".venv-airflow" / "bin" / "python", "-c", _PARSE, PROJECT_DIR / "dags"],
        env=orchestra.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_dags_parse(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {"prepare_training_data", "keep_tables", "publish_docs"}
    dag = parsed["dags"]["prepare_training_data"]
    assert "0 */6 * * *" in dag["schedule"]
    assert (dag["catchup"], dag["runs"], dag["deadlines"]) == (False, 1, 1)
    assert set(dag["params"]) == {"tenant_id", "start_date", "end_date", "cutoff", "full_refresh"}


def test_every_model_is_a_task_after_the_models_it_reads(
    parsed: dict[str, Any], graph: dict[str, Any]
) -> None:
    tasks = parsed["dags"]["prepare_training_data"]["tasks"]
    models = {name.rpartition(".")[2]: name for name in tasks if name.rpartition(".")[2] in graph}
    assert set(models) == set(graph)
    assert not any("evaluation" in name or "__this_run" in name for name in tasks)

    def before(task: str) -> set[str]:
        found = set(tasks[task]["after"])
        return found.union(*(before(name) for name in found))

    for name, parents in graph.items():
        assert tasks[models[name]]["retries"] >= 1
        assert {models[parent] for parent in parents} <= before(models[name]), name
    assert set(models.values()) <= before("quality_gate.check") <= before("publish")


def test_the_sources_that_decide_what_is_new_are_those_that_models_read() -> None:
    manifest = json.loads((PROJECT_DIR / "target" / "manifest.json").read_text())
    read = {
        parent.removeprefix("source.eta.")
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for parent in node["depends_on"]["nodes"]
        if parent.startswith("source.")
    }
    assert read == set(SOURCES)


@pytest.fixture(scope="module")
def resumed(orchestra: Orchestra) -> dict[str, Any]:
    """A run of two tenants, one with bad rows, killed at random moments and resumed."""
    orchestra.store_tenants("acme", "globex")
    orchestra.store_bad_rows("globex")
    for seconds in moments(KILLS, seed=7, first=5, last=40):
        assert orchestra.kill_dag(SMALL, "small_training", seconds)
    result: dict[str, Any] = orchestra.run_dag(SMALL, "small_training")
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {
        task["task"] + (f"[{task['index']}]" if task["index"] else ""): task["state"]
        for task in result["tasks"]
    }


def test_the_tenant_with_bad_rows_is_held_back_and_the_other_published(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    found = states(resumed)
    assert found.pop("quality_gate.held_back[globex]") == "failed"
    assert found.pop("nothing_new") == "skipped"
    assert set(found.values()) == {"success"}
    assert resumed["state"] == "failed"  # so that somebody looks
    assert set(orchestra.hashes()) == {"acme"}
    assert [name for name, _ in resumed["assets"]] == ["training_set.acme"]
    log = (orchestra.home / "small_training.log").read_text(errors="replace")
    assert "globex did not pass raw_event_time_is_in_range on raw.interactions" in log
    assert "To repeat it in a checkout: ETA_RUN_ID=small_training/" in log


def test_with_nothing_new_nothing_is_written_and_freshness_is_checked(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    files, before = Lake(orchestra.settings).data_files(), snapshots(orchestra)
    result = orchestra.run_dag(SMALL, "small_training")
    found = states(result)
    assert {found[name] for name in found if name.startswith(("staging", "training"))} == {
        "skipped"
    }
    assert (found["nothing_new"], found["freshness"], found["end"]) == ("success",) * 3
    assert result["assets"] == []
    assert Lake(orchestra.settings).data_files() == files
    assert snapshots(orchestra) == before


def test_a_resumed_run_is_what_a_full_refresh_makes(
    orchestra: Orchestra, resumed: dict[str, Any]
) -> None:
    before = orchestra.built_hashes()
    assert set(before) == {"acme", "globex"}
    dbt = Path(orchestra.environment["ETA_ENVIRONMENT"]) / "bin" / "dbt"
    command = [dbt, "build", "--full-refresh", "--target", "connect", "--exclude", "test_type:unit"]
    command += ["--select", "path:dbt_project/models/staging", "+training_contents"]
    command += ["training_counts"]
    again = subprocess.run(
        command, cwd=PROJECT_DIR, env=orchestra.environment, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stdout[-2000:]
    assert orchestra.built_hashes() == before
    assert orchestra.hashes()["acme"] == before["acme"]


def snapshots(orchestra: Orchestra) -> set[Path]:
    return set((Path(orchestra.settings.lake)).rglob("*.json")) - set(
        Path(orchestra.settings.lake).rglob("_delta_log/*.json")
    )
