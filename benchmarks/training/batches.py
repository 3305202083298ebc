"""`python -m benchmarks.training.batches`: the news file day by day, then one full refresh.

Eight daily batches, a run after each (one is skipped, one is run twice). Another lake gets the same
batches and a full refresh each day, in turn with the run by changes. Every table must hold the same
rows in both at the end. Prints seconds per run and model, their share of the full refresh of the
day, and a fingerprint per table as JSON; exit code 1 when one differs.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
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

    from lakehouse.settings import LakeSettings

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
    parser.add_argument(
        "--process-per-run",
        action="store_true",
        help="each run in a process and a JVM of its own, started for the lake's size",
    )
    parser.add_argument("--days", type=int, default=BATCHES, help="stop after so many")
    options = parser.parse_args()
    if not options.news.is_file():
        sys.exit(f"{options.news} is not there")
    with TemporaryDirectory(prefix="eta-batches-") as folder:
        result = compare(
            Path(folder), options.news, days=options.days, is_resident=not options.process_per_run
        )
    print(json.dumps(result, indent=2))
    if result["different"]:
        sys.exit(1)


def compare(home: Path, news: Path, *, days: int, is_resident: bool) -> dict[str, Any]:
    """Return seconds per run, a fingerprint per table, and the tables that differ.

    `is_resident`: each of the two lakes has one Spark for all its runs, as a platform's server
    is; both are warm. Else each run has its own, as on a desk: planning in a JVM that has planned
    nothing yet is then most of every run.
    """
    grown_home, refreshed_home = home / "grown", home / "refreshed"
    runs: list[list[dict[str, Any]]] = []
    refreshes: dict[int, dict[str, Any]] = {}
    with ExitStack() as stack:
        grown, refreshed = (
            stack.enter_context(
                ProcessPoolExecutor(
                    1,
                    get_context("spawn"),
                    initializer=_use_lake,
                    initargs=(lake, is_resident),
                    max_tasks_per_child=None if is_resident else 1,
                )
            )
            for lake in (grown_home, refreshed_home)
        )
        for number, batch in zip(range(days), _days(news), strict=False):
            for lake in (grown_home, refreshed_home):
                store(_settings(lake), TENANT, [batch], first_batch=number)
            repeats = {SKIPPED: 0, REPEATED: 2}.get(number, 1)
            runs.append([grown.submit(_run).result() for _ in range(repeats)])
            seconds = [run["seconds"] for run in runs[-1]]
            print(f"day {number + 1}: {batch.height} clicks, {seconds} s", file=sys.stderr)
            if not repeats:
                continue
            # also on the days that are not compared: the Spark of both lakes must be as warm
            if is_resident or number + 1 >= FIRST_COMPARED:
                refreshes[number + 1] = refreshed.submit(_run, full_refresh=True).result()
                whole = refreshes[number + 1]["seconds"]
                print(f"  {seconds[0] / whole:.0%} of {whole} s", file=sys.stderr)
        found, others = (lake.submit(_fingerprints).result() for lake in (grown, refreshed))
    return {
        "is_resident": is_resident,
        "runs": runs,
        "full_refreshes": refreshes,
        "share_of_the_days_full_refresh": {
            day: round(runs[day - 1][0]["seconds"] / refresh["seconds"], 3)
            for day, refresh in refreshes.items()
            if day >= FIRST_COMPARED
        },
        "tables": found,
        "different": sorted(name for name in others if others[name] != found[name]),
    }


def _settings(home: Path) -> "LakeSettings":
    from lakehouse.settings import LakeSettings

    return LakeSettings(home=home)


def _use_lake(home: Path, is_resident: bool) -> None:
    """Set this process up for the lake at `home`; a resident Spark is configured as a server."""
    os.environ.update(
        ETA_HOME=str(home), DBT_TARGET_PATH=str(home / "target"), DBT_LOG_PATH=str(home / "logs")
    )
    if is_resident:
        from lakehouse.spark.runtime import prepare_environment

        prepare_environment(_settings(home), os.environ, is_server=True)
        # a session of this process would write the folder anew, for a desk
        kept = shutil.copytree(os.environ["SPARK_CONF_DIR"], home / "server-conf")
        os.environ["SPARK_CONF_DIR"] = str(kept)


def _run(*, full_refresh: bool = False) -> dict[str, Any]:
    """Run the models in this process; return the seconds, without those that Spark starts in."""
    from lakehouse.spark.session import open_local_session

    settings = _settings(Path(os.environ["ETA_HOME"]))
    open_local_session(settings)
    return run_models(settings, full_refresh=full_refresh, threads=2).report()


def _fingerprints() -> dict[str, str]:
    from lakehouse.spark.session import open_local_session

    return fingerprints(open_local_session(_settings(Path(os.environ["ETA_HOME"]))))


def _days(news: Path) -> Iterator[pl.DataFrame]:
    """Yield the clicks by the days they were made on, the last batch holding the rest."""
    clicks = pl.concat(read_news(news))
    days = clicks.get_column("event_time").dt.truncate("1d").rank("dense") - 1
    for _, batch in clicks.group_by(days.clip(0, BATCHES - 1).alias("day"), maintain_order=True):
        yield batch


def fingerprints(session: "SparkSession") -> dict[str, str]:
    """Return rows and a sum of row hashes for every table that the models keep."""
    from pyspark.sql.types import MapType

    found = {}
    for schema in ("staging", "features", "training", "ops"):
        for row in session.sql(f"show tables in {schema}").collect():
            name = f"{schema}.{row.tableName}"
            if row.isTemporary or name in ("ops.ingest_ledger", "ops.tenant_settings"):
                continue
            columns = [
                f"sort_array(map_entries({field.name}))"  # Spark hashes no map
                if isinstance(field.dataType, MapType)
                else field.name
                for field in sorted(session.table(name).schema.fields, key=lambda one: one.name)
            ]
            values = session.table(name).selectExpr(
                "count(*)", f"sum(cast(xxhash64({', '.join(columns)}) as decimal(38, 0)))"
            )
            count, total = values.collect()[0]
            found[name] = f"{count} rows, {total}"
    return found


if __name__ == "__main__":
    main()
