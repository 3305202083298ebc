"""`python -m benchmarks.training.batches`: the news file day by day, then one full refresh.

Eight daily batches, a run after each (one is skipped, one is run twice), then a full refresh of
the same lake. Every table must hold the same rows after both. From the fourth day on another lake
gets the same batches and a full refresh each day, in turn with the run by changes. Prints seconds
per run, their share of the full refresh of the day, and a fingerprint per table as JSON; exit code
1 when one differs.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from benchmarks.training.__main__ import NEWS
from benchmarks.training.models import run_models
from benchmarks.training.pairs import TENANT
from benchmarks.training.raw import read_news, store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BATCHES: Final = 8
SKIPPED, REPEATED = 2, 4
FIRST_COMPARED: Final = 4
"""The day from which on a day's run is compared with a full refresh of everything so far."""


def main() -> None:
    """Grow one lake batch by batch and compare it with its full refresh."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--news", type=Path, default=NEWS)
    options = parser.parse_args()
    if not options.news.is_file():
        sys.exit(f"{options.news} is not there")
    with TemporaryDirectory(prefix="eta-batches-") as folder:
        result = compare(Path(folder), options.news)
    print(json.dumps(result, indent=2))
    if result["different"]:
        sys.exit(1)


def compare(home: Path, news: Path) -> dict[str, Any]:
    """Return seconds per run, a fingerprint per table, and the tables that differ.

    As in production each run is a process of its own, whose Spark is started for the lake's size.
    """
    os.environ.update(
        ETA_HOME=str(home),
        DBT_TARGET_PATH=str(home / "target"),
        DBT_LOG_PATH=str(home / "logs"),
    )
    from lakehouse.settings import LakeSettings

    seconds: list[list[float]] = []
    shares: dict[int, float] = {}
    refreshed_lake = LakeSettings(home=home / "refreshed")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for number, batch in enumerate(_days(news)):
            store(LakeSettings(), TENANT, [batch], first_batch=number)
            store(refreshed_lake, TENANT, [batch], first_batch=number)
            runs = {SKIPPED: 0, REPEATED: 2}.get(number, 1)
            seconds.append([fresh.submit(_run).result() for _ in range(runs)])
            print(f"day {number + 1}: {batch.height} clicks, {seconds[-1]} s", file=sys.stderr)
            if number + 1 >= FIRST_COMPARED and runs:
                whole = fresh.submit(_run, full_refresh=True, home=home / "refreshed").result()
                shares[number + 1] = round(seconds[-1][0] / whole, 3)
                print(f"  {shares[number + 1]:.0%} of {whole} s", file=sys.stderr)
        grown = fresh.submit(_fingerprints).result()
        refresh = fresh.submit(_run, full_refresh=True).result()
        refreshed = fresh.submit(_fingerprints).result()
    return {
        "seconds_by_batch": seconds,
        "seconds_of_full_refresh": refresh,
        "share_of_the_days_full_refresh": shares,
        "tables": grown,
        "different": sorted(name for name in refreshed if refreshed[name] != grown[name]),
    }


def _run(*, full_refresh: bool = False, home: Path | None = None) -> float:
    """Run the models in this process; return the seconds, without those that Spark starts in."""
    if home is not None:
        os.environ["ETA_HOME"] = str(home)
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    session = open_local_session(settings)
    seconds = run_models(settings, full_refresh=full_refresh, threads=2).seconds
    session.stop()
    return round(seconds, 1)


def _fingerprints() -> dict[str, str]:
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    session = open_local_session(LakeSettings())
    found = fingerprints(session)
    session.stop()
    return found


def _days(news: Path) -> Iterator[pl.DataFrame]:
    """Yield the clicks by the days they were made on, the last batch holding the rest."""
    clicks = pl.concat(read_news(news))
    days = clicks.get_column("event_time").dt.truncate("1d").rank("dense") - 1
    for _, batch in clicks.group_by(days.clip(0, BATCHES - 1).alias("day"), maintain_order=True):
        yield batch


def fingerprints(session: "SparkSession") -> dict[str, str]:
    """Return rows and a sum of row hashes for every table that the models keep."""
    found = {}
    for schema in ("staging", "features", "training", "ops"):
        for row in session.sql(f"show tables in {schema}").collect():
            name = f"{schema}.{row.tableName}"
            if row.isTemporary or name in ("ops.ingest_ledger", "ops.tenant_settings"):
                continue
            columns = sorted(session.table(name).columns)
            values = session.table(name).selectExpr(
                "count(*)", f"sum(cast(xxhash64({', '.join(columns)}) as decimal(38, 0)))"
            )
            count, total = values.collect()[0]
            found[name] = f"{count} rows, {total}"
    return found


if __name__ == "__main__":
    main()
