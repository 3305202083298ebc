"""`python -m benchmarks.training.tenants`: what a run costs where tenants are many and small.

- `--tenants 50`: 60 rows each, then 60 more each; the second run as a share of the first.
- `--changed 10`: then a run on nothing, and one after this many tenants got 60 rows more.

Prints JSON. Each case is to be run alone: seconds are of the clock, with dbt's two threads.
"""

import argparse
import json
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.training.generator import MIXED, Log
from benchmarks.training.models import run_models
from benchmarks.training.raw import store, store_tenants

ROWS: Final = 60
THREADS: Final = 2
WARM_TENANT: Final = "warm-up"
WARM_INTERACTIONS: Final = 20_000


def main() -> None:
    """Run the case and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--changed", type=int, default=10)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        print(json.dumps(measure(Path(folder), options.tenants, options.changed), indent=2))


def measure(home: Path, tenants: int, changed: int) -> dict[str, Any]:
    """Measure in this process; `home` must not hold a lake yet.

    A tenant of 20,000 interactions is built first, so that start-up and the first compilations stay
    out of the seconds.
    """
    os.environ.update(
        ETA_HOME=str(home), DBT_TARGET_PATH=str(home / "target"), DBT_LOG_PATH=str(home / "logs")
    )
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    mixed = tuple(MIXED.items())
    names = [f"tenant-{number:04}" for number in range(tenants)]

    def add(batch: int, of: list[str]) -> None:
        """Store 60 rows for each; another batch, other rows."""
        store_tenants(
            settings,
            {
                name: next(iter(Log(ROWS, seed=batch * 10_000 + number, types=mixed).pieces()))
                for number, name in enumerate(of)
            },
            batch,
        )

    def seconds() -> float:
        return round(run_models(settings, threads=THREADS).seconds, 2)

    store(settings, WARM_TENANT, Log(WARM_INTERACTIONS, seed=0, types=mixed).pieces())
    session = open_local_session(settings)
    try:
        run_models(settings, threads=THREADS)
        add(1, names)
        first = seconds()
        add(2, names)
        second = seconds()
        idle = median(seconds() for _ in range(3))
        add(3, names[:changed])
        few = seconds()
    finally:
        session.stop()
    return {
        "tenants": tenants,
        "first_run": first,
        "second_run": second,
        "second_of_first": round(second / first, 3),
        "run_on_nothing": idle,
        "changed_tenants": changed,
        "run_on_changed": few,
        "changed_of_nothing": round(few / idle, 2),
    }


if __name__ == "__main__":
    main()
