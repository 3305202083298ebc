"""What the gate costs by the number of tenants: `python -m benchmarks.quality_gate`.

Builds one lake and asks the gate for a few tenants, then for many, in one Spark session; the first
round of each warms up and does not count. Every tenant has six weeks of interactions, so that the
comparisons with its history are made. Prints the median seconds, elapsed and of the processor
(Python and its Java), and their ratio; on a machine that others use the processor's tell more.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

from lakehouse.quality.figures import LAYERS
from lakehouse.quality.gate import run_gate
from lakehouse.quality.soda import WARNING
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from tests.conftest import PROJECT_DIR
from tests.support.lake import NOON, SessionLake, interaction, item

WEEKS = 6
ITEMS = 40


def main() -> int:
    """Run; return 1 when a tenant did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, nargs=2, default=(20, 200), metavar=("FEW", "MANY"))
    parser.add_argument("--rows", type=int, default=1_500, help="Interactions of each tenant.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Write the figures to this file.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "ETA_HOME": folder,
            "ETA_PROJECT_DIR": str(PROJECT_DIR),
            "DBT_TARGET_PATH": f"{folder}/target",
            "DBT_LOG_PATH": f"{folder}/logs",
        }
        settings = LakeSettings()
        session = open_local_session(settings)
        _build(SessionLake(settings), options.tenants[1], options.rows)
        measured = [_measure(settings, session, count, options.rounds) for count in options.tenants]
        session.stop()
    few, many = measured
    found = {
        "checks": _checks(),
        "rows_per_tenant": options.rows,
        "runs": measured,
        "tenants_ratio": many["tenants"] / few["tenants"],
        "seconds_ratio": round(many["seconds"] / few["seconds"], 2),
        "processor_ratio": round(many["processor_seconds"] / few["processor_seconds"], 2),
    }
    _tell(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if all(run["passed"] == run["tenants"] for run in measured) else 1


def _name(number: int) -> str:
    return f"tenant-{number:04}"


def _build(lake: SessionLake, tenants: int, rows: int) -> None:
    step = timedelta(weeks=WEEKS) / rows
    for number in range(tenants):
        lake.store(_name(number), (_row(n, NOON - n * step) for n in range(rows)))
        items = [item(f"i{n}", available_from=NOON - timedelta(days=90)) for n in range(ITEMS)]
        lake.store_items(_name(number), items, known_at=NOON)
    began = time.monotonic()
    lake.dbt("run", "--exclude", "tag:on_request")
    print(f"built {tenants:,} tenants in {time.monotonic() - began:.0f} s", file=sys.stderr)


def _row(n: int, moment: Any) -> dict[str, Any]:
    kind = "click" if n % 5 == 0 else "view"
    return interaction(f"e{n}", f"u{n % 53}", f"i{(n * n) % ITEMS}", kind, moment)


def _measure(settings: LakeSettings, session: Any, count: int, rounds: int) -> dict[str, Any]:
    names = [_name(number) for number in range(count)]
    seconds, processor, results = [], [], {}
    for _ in range(rounds + 1):
        began, worked = time.monotonic(), _processor_seconds()
        results = run_gate(settings, names, session=session)
        seconds.append(round(time.monotonic() - began, 2))
        processor.append(round(_processor_seconds() - worked, 2))
    return {
        "tenants": count,
        "passed": sum(result.passed for result in results.values()),
        "warned": sum(bool(result.warnings) for result in results.values()),
        "first": seconds[0],
        "all": seconds[1:],
        "seconds": round(statistics.median(seconds[1:]), 2),
        "processor_seconds": round(statistics.median(processor[1:]), 2),
    }


def _processor_seconds() -> float:
    own = psutil.Process()
    spent = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(times.user + times.system for times in spent)


def _checks() -> int:
    """Checks of a tenant; the two halves of a limit are one, checks of columns are none."""
    folder = PROJECT_DIR / "soda_checks"
    names = {
        check["failed rows"]["name"].removesuffix(WARNING)
        for layer in LAYERS
        for checks in yaml.safe_load((folder / layer / "tenants.yml").read_text()).values()
        for check in checks
    }
    return len(names)


def _tell(found: dict[str, Any]) -> None:
    print(f"{found['checks']} checks of each tenant, {found['rows_per_tenant']:,} rows of each")
    print(f"{'tenants':>8}  {'seconds':>8}  {'processor':>9}  {'passed':>7}")
    for run in found["runs"]:
        print(
            f"{run['tenants']:>8,}  {run['seconds']:>8.2f}  {run['processor_seconds']:>9.2f}"
            f"  {run['passed']:>7,}"
        )
    print(
        f"{found['tenants_ratio']:g} times the tenants: {found['seconds_ratio']:g} times as long,"
        f" {found['processor_ratio']:g} times the processor"
    )


if __name__ == "__main__":
    sys.exit(main())
