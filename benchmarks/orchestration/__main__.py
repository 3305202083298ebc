"""Where dbt runs, measured: `python -m benchmarks.orchestration`.

The same five models of an unchanged lake by one scheduler with two workers, in turns: on a shared
Spark Connect server, on a shared Thrift Server, with a session per task, and as one dbt that
sensors watch (WATCHER). Nothing has to be computed, so a task's time is what the task costs.
Prints a table and writes JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.orchestration.rest import AirflowApi
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.airflow import start_airflow, stop_airflow
from lakehouse.dev.servers import free_port, stop_server
from lakehouse.dev.spark import NAMES, start_spark
from lakehouse.training.model_graph import write_graph
from tests.support.orchestration import Orchestra, why_not

DAGS: Final = Path(__file__).parent / "dags"
PLACES: Final = {
    "connect": "shared Spark Connect",
    "thrift": "shared Thrift Server",
    "session": "session per task",
    "watcher": "WATCHER on Spark Connect",
}
MODELS: Final = 5
Measured = dict[str, list[dict[str, Any]]]


def main() -> int:
    """Measure each place `--rounds` times, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="Write the figures to this file.")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(Path(folder), options.rounds)
    _tell(measured)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 0


def _measure(home: Path, rounds: int) -> Measured:
    orchestra = Orchestra(home)
    orchestra.store_tenants("acme", "globex")
    settings = orchestra.settings
    try:
        port = free_port()
        os.environ["ETA_THRIFT_PORT"] = str(port)
        write_graph(settings.model_copy(update={"spark_target": "connect"}))
        airflow = start_airflow(settings, workers=2, dags=DAGS)
        api = AirflowApi(airflow.url, airflow.user, airflow.password)
        _run(orchestra, api, "connect")  # builds the tables
        start_spark(settings, "thrift", port)  # now: it learns of those that are there
        measured: Measured = {name: [] for name in PLACES}
        for _ in range(rounds):
            for name in PLACES:
                measured[name].append(_run(orchestra, api, name))
                print(f"{name}: {measured[name][-1]}", file=sys.stderr, flush=True)
        return measured
    finally:
        stop_airflow(settings)
        for name in NAMES.values():
            stop_server(name, settings.dev_dir / name)


def _run(orchestra: Orchestra, api: AirflowApi, name: str) -> dict[str, Any]:
    started = time.perf_counter()
    run = api.run_to_end(f"overhead_{name}")
    seconds = time.perf_counter() - started
    with closing(ControlDatabase.open(orchestra.settings.control_url)) as database:
        database.run_lock.release()  # these runs have no last step that gives it back
    tasks = {task["task_id"]: task["duration"] for task in run["tasks"]}
    if run["state"] != "success":
        raise RuntimeError(f"{name} ended as {run['state']}")
    return {"run_seconds": round(seconds, 1), "task_seconds": tasks}


def _tell(measured: Measured) -> None:
    base = mean(_per_model(found) for found in measured["connect"])
    print("| where dbt runs | processes of dbt | task seconds per model | ratio | whole run |")
    print("| --- | --- | --- | --- | --- |")
    for name, rounds in measured.items():
        per_model = mean(_per_model(found) for found in rounds)
        whole = mean(found["run_seconds"] for found in rounds)
        print(
            f"| {PLACES[name]} | {1 if name == 'watcher' else MODELS} | {per_model:.1f} | "
            f"{per_model / base:.2f} | {whole:.0f} s |"
        )


def _per_model(found: dict[str, Any]) -> float:
    """Seconds of the tasks that run dbt, divided by the models; sensors only wait."""
    tasks = found["task_seconds"]
    busy = {name: s for name, s in tasks.items() if "producer" in name} or tasks
    return float(sum(seconds or 0 for seconds in busy.values())) / MODELS


if __name__ == "__main__":
    sys.exit(main())
