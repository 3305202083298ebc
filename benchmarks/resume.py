"""Kills a run of the DAG at random moments and resumes it: `python -m benchmarks.resume`.

Every second time Spark is killed, too. In the end the training sets must have the content hashes
that one undisturbed `dbt run` gives. `--whole` takes the whole pipeline instead of half
of its models, those that the training set needs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import PROJECT_DIR
from tests.support.orchestration import PIPELINE, SMALL, Orchestra, moments, why_not

TENANTS = ("acme", "globex")
KNOWN_AT = datetime.now(UTC)
"""Of the rows of both runs: what is available since when depends on it."""


def main() -> int:
    """Run both, compare; return 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=float, default=5, help="Earliest moment, seconds.")
    parser.add_argument("--last", type=float, default=60, help="Latest moment, seconds.")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        print(reason, file=sys.stderr)
        return 2
    dag = (PIPELINE, "prepare_training_data") if options.whole else (SMALL, "small_training")
    expected = _undisturbed()
    print(f"undisturbed: {expected}", flush=True)
    found = _killed(dag, moments(options.kills, options.seed, options.first, options.last))
    print(f"killed and resumed: {found}")
    return 0 if found == expected and len(found) == len(TENANTS) else 1


def _undisturbed() -> dict[str, str]:
    """What one `dbt build` of the same models makes of the same rows."""
    with tempfile.TemporaryDirectory() as folder:
        orchestra = Orchestra(Path(folder))
        orchestra.store_tenants(*TENANTS, known_at=KNOWN_AT)
        environment = {
            **os.environ,
            "ETA_HOME": folder,
            "ETA_PROJECT_DIR": str(PROJECT_DIR),
            "DBT_TARGET_PATH": f"{folder}/target",
            "DBT_LOG_PATH": f"{folder}/logs",
        }
        command = [
            str(Path(sys.executable).with_name("dbt")),
            "run",
            "--select",
            "+training_contents",
        ]
        subprocess.run(command, cwd=PROJECT_DIR, env=environment, check=True, capture_output=True)
        return orchestra.built_hashes()


def _killed(dag: tuple[Path, str], at: list[float]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        orchestra = Orchestra(Path(folder))
        orchestra.start()
        try:
            orchestra.store_tenants(*TENANTS, known_at=KNOWN_AT)
            for number, seconds in enumerate(at, 1):
                was_killed = orchestra.kill_dag(*dag, seconds)
                with_spark = number % 2 == 0
                if with_spark:
                    orchestra.restart_spark()
                print(
                    f"kill {number} after {seconds:.1f} s"
                    f"{' with Spark' if with_spark else ''}{'' if was_killed else ': was over'}",
                    flush=True,
                )
            result = orchestra.run_dag(*dag)
            states = {task["task"]: task["state"] for task in result["tasks"]}
            print(f"resumed: {result['state']} {json.dumps(states)}")
            return orchestra.hashes()
        finally:
            orchestra.stop()


if __name__ == "__main__":
    sys.exit(main())
