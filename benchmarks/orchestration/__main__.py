"""Where dbt runs, measured: `python -m benchmarks.orchestration`.

The same five models of an unchanged lake, one task each, in one run: through a shared Spark
Connect server, a shared Thrift Server, with a session per task, and with one `dbt build` that
sensors watch (WATCHER). Nothing has to be computed, so a task's time is what the task costs.
Prints a table and writes JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any, Final

from lakehouse.dev.servers import stop_server
from lakehouse.dev.spark import NAMES, start_spark
from tests.support.orchestration import Orchestra, why_not

DAG_FILE: Final = Path(__file__).parent / "dags" / "overhead_dag.py"
MODES: Final = {
    "shared Spark Connect": ("local", "connect"),
    "shared Thrift Server": ("local", "thrift"),
    "session per task": ("local", "dev"),
    "WATCHER on Spark Connect": ("watcher", "connect"),
}


def main() -> int:
    """Measure each way `--rounds` times, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="Write the figures to this file.")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        orchestra = Orchestra(Path(folder))
        orchestra.start()
        thrift = start_spark(orchestra.settings, "thrift")
        os.environ["ETA_THRIFT_PORT"] = thrift.addresses["port"]
        try:
            orchestra.store_tenants("acme", "globex")
            measured = _measure(orchestra, options.rounds)
        finally:
            orchestra.stop()
            stop_server(NAMES["thrift"], orchestra.settings.dev_dir / NAMES["thrift"])
    _tell(measured)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 0


def _measure(orchestra: Orchestra, rounds: int) -> dict[str, list[dict[str, Any]]]:
    _run(orchestra, "local", "connect")  # builds the tables
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in MODES}
    for _ in range(rounds):
        for name, (mode, target) in MODES.items():
            measured[name].append(_run(orchestra, mode, target))
            print(f"{name}: {measured[name][-1]}", file=sys.stderr, flush=True)
    return measured


def _run(orchestra: Orchestra, mode: str, target: str) -> dict[str, Any]:
    orchestra.environment |= {
        "BENCH_MODE": mode,
        "DBT_TARGET": target,
        "ETA_THRIFT_PORT": os.environ.get("ETA_THRIFT_PORT", "10000"),
    }
    started = time.perf_counter()
    result = orchestra.run_dag(DAG_FILE, "overhead")
    seconds = time.perf_counter() - started
    tasks = {task["task"]: task["seconds"] for task in result["tasks"]}
    if result["state"] != "success":
        raise RuntimeError(f"{mode} on {target} ended as {result['state']}: {result['tasks']}")
    return {"run_seconds": round(seconds, 1), "task_seconds": tasks}


def _tell(measured: dict[str, list[dict[str, Any]]]) -> None:
    base = mean(_per_model(found) for found in measured["shared Spark Connect"])
    print("| where dbt runs | tasks | seconds per model | ratio | all tasks | whole run |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rounds in measured.items():
        per_model = mean(_per_model(found) for found in rounds)
        tasks = mean(sum(found["task_seconds"].values()) for found in rounds)
        whole = mean(found["run_seconds"] for found in rounds)
        print(
            f"| {name} | {len(rounds[0]['task_seconds'])} | {per_model:.1f} | "
            f"{per_model / base:.2f} | {tasks:.0f} s | {whole:.0f} s |"
        )


def _per_model(found: dict[str, Any]) -> float:
    return float(sum(found["task_seconds"].values())) / 5


if __name__ == "__main__":
    sys.exit(main())
