"""`python -m benchmarks.bot`: what one dominating user costs, against the same number of even rows.

Of `--rows` interactions two thirds are of one user over many items; or, with `--item`, of one item
by many users. Each data set has a process, a JVM and a lake of its own, one after the other in one
run. JSON: seconds and processor seconds per model for both, their ratios, and that of the whole.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import polars as pl

ROWS: Final = 300_000
SHARE: Final = 2 / 3
ROWS_PER_USER: Final = 30
ROWS_PER_ITEM: Final = 6
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 60
TYPES: Final = ("view", "click", "like", "purchase", "dislike")
TENANT: Final = "bot"
SHORTEST: Final = 1.0
"""Seconds; a model that is quicker in both runs has no ratio of its own."""


def interactions(rows: int, dominating: str, seed: int = 1) -> pl.DataFrame:
    """Return interactions, spread evenly; two thirds are of one `user` or `item` if named."""
    random = np.random.default_rng(seed)
    users = random.integers(0, max(2, rows // ROWS_PER_USER), rows)
    items = random.integers(0, max(2, rows // ROWS_PER_ITEM), rows)
    dominated = {"user": users, "item": items}.get(dominating)
    if dominated is not None:
        dominated[: int(rows * SHARE)] = 0
    span = int(timedelta(days=DAYS).total_seconds() * 1_000)
    moments = pl.Series(random.integers(0, span, rows)).cast(pl.Duration("ms"))
    return pl.DataFrame(
        {
            "user_id": pl.Series([f"u{user}" for user in users]),
            "item_id": pl.Series([f"i{item}" for item in items]),
            "interaction_type": pl.Series(
                random.choice(TYPES, rows, p=[0.7, 0.2, 0.05, 0.03, 0.02])
            ),
            "event_time": pl.select(START + moments).to_series().cast(pl.Datetime("us", "UTC")),
            "rating": pl.repeat(None, rows, dtype=pl.Float64, eager=True),
        }
    )


def run_one(rows: int, dominating: str) -> dict[str, Any]:
    """Build everything over one data set in this process; return the figures."""
    from benchmarks.training.memory import JavaProcess
    from benchmarks.training.models import run_models
    from benchmarks.training.raw import store
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    store(settings, TENANT, [interactions(rows, dominating)])
    open_local_session(settings)
    return run_models(settings, java=JavaProcess()).report()


def compared(even: Mapping[str, Any], dominated: Mapping[str, Any]) -> dict[str, Any]:
    """Return both runs and their ratios, of the whole and of the models that took some time."""
    ratios = {
        name: round(seconds / max(even["by_model"][name], 0.01), 2)
        for name, seconds in dominated["by_model"].items()
        if max(seconds, even["by_model"][name]) >= SHORTEST
    }
    return {
        "even": even,
        "dominated": dominated,
        "ratio_by_model": dict(sorted(ratios.items(), key=lambda pair: -pair[1])),
        "ratio": round(dominated["seconds"] / even["seconds"], 2),
    }


def main() -> None:
    """Run both data sets and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--item", action="store_true", help="one item dominates, not one user")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.rows, options.one)))
        return
    dominating = "item" if options.item else "user"
    runs = [_apart(options.rows, one) for one in ("nothing", dominating)]
    text = json.dumps({"rows": options.rows, "by": dominating, **compared(*runs)}, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


def _apart(rows: int, dominating: str) -> dict[str, Any]:
    with TemporaryDirectory(prefix="eta-bot-") as folder:
        home = {"ETA_HOME": folder, "DBT_TARGET_PATH": f"{folder}/target"}
        done = subprocess.run(
            [*(sys.executable, "-m", "benchmarks.bot"), "--rows", str(rows), "--one", dominating],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            env=os.environ | home | {"DBT_LOG_PATH": f"{folder}/logs"},
        )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
