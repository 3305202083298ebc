"""The DAGs in Airflow's own environment parse, and are rendered from the models."""

import json
import subprocess
from typing import Any

import pytest

from tests.conftest import PROJECT_DIR
from tests.support.orchestration import Orchestra, why_not

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
    assert set(parsed["dags"]) == DAGS
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
    assert not any("evaluation" in name for name in tasks)

    def before(task: str) -> set[str]:
        found = set(tasks[task]["after"])
        return found.union(*(before(name) for name in found))

    for name, parents in graph.items():
        assert tasks[models[name]]["retries"] >= 1
        assert {models[parent] for parent in parents} <= before(models[name]), name
    assert set(models.values()) <= before("quality_gate.check") <= before("publish")
