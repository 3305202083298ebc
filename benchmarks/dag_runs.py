"""Two runs of the whole DAG by `airflow dags test`: `python -m benchmarks.dag_runs`.

Two tenants from an empty lake, then again with nothing new, which must write no data file and
publish no snapshot, and still check freshness. Prints every task's state and seconds.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.support.lake import SessionLake
from tests.support.orchestration import LATER, WHEN, Orchestra, why_not

DAG = "prepare_training_data"
TENANTS = ("acme", "globex")


@dataclass(frozen=True)
class Task:
    """A task of a run as Airflow's database has it."""

    name: str
    state: str
    seconds: float | None


def main() -> int:
    """Run both; return 1 when a task failed or the second run has done anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="Write the figures to this file.")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        orchestra = Orchestra(Path(folder))
        orchestra.start()
        try:
            orchestra.store_tenants(*TENANTS)
            first = _run(orchestra, WHEN)
            before = SessionLake(orchestra.settings).data_files(), orchestra.snapshots()
            second = _run(orchestra, LATER)
            after = SessionLake(orchestra.settings).data_files(), orchestra.snapshots()
            published = sorted(orchestra.hashes())
        finally:
            orchestra.stop()
    _tell(first, second)
    written, more = (len(now - then) for now, then in zip(after, before, strict=True))
    print(f"\npublished: {', '.join(published)}; the second run wrote {written} data files")
    print(f"and {more} manifests")
    if options.json:
        rows = {"first": [vars(task) for task in first], "second": [vars(t) for t in second]}
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    is_checked = any(task.name == "freshness" and task.state == "success" for task in second)
    return 0 if before == after and is_checked and published == list(TENANTS) else 1


def _run(orchestra: Orchestra, when: str) -> list[Task]:
    orchestra.airflow("dags", "test", DAG, when)
    told = orchestra.airflow("tasks", "states-for-dag-run", DAG, when, "--output", "json")
    rows = json.loads(told[told.index("[{") :])
    rows.sort(key=lambda row: (not row["start_date"], row["start_date"]))
    return [Task(row["task_id"], row["state"], _seconds(row)) for row in rows]


def _seconds(row: dict[str, str]) -> float | None:
    if not row["start_date"] or not row["end_date"]:
        return None
    began, ended = (datetime.fromisoformat(row[name]) for name in ("start_date", "end_date"))
    return round((ended - began).total_seconds(), 1)


def _tell(first: list[Task], second: list[Task]) -> None:
    again = {task.name: task for task in second}
    print("| task | from an empty lake | with nothing new |")
    print("| --- | --- | --- |")
    for task in first:
        print(f"| {task.name} | {_said(task)} | {_said(again[task.name])} |")
    for name, tasks in (("first", first), ("second", second)):
        ran = [task.seconds for task in tasks if task.seconds is not None]
        print(f"{name}: {len(ran)} tasks ran, {sum(ran):.0f} s", file=sys.stderr)


def _said(task: Task) -> str:
    return task.state + (f", {task.seconds:.1f} s" if task.seconds and task.seconds > 0.05 else "")


if __name__ == "__main__":
    sys.exit(main())
