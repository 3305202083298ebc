"""`python -m benchmarks.training.batches`: the news file day by day, then one full refresh.

Eight daily batches, a run after each (one is skipped, one is run twice), then a full refresh of
the same lake. Every table must hold the same rows after both. Prints seconds per run and a
fingerprint per table as JSON; exit code 1 when one differs.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
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
RUN_COLUMNS: Final = ("counted_version",)
"""Columns that tell how runs were split, not what the rows are."""


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
    """Return seconds per run, a fingerprint per table, and the tables that differ."""
    os.environ.update(
        ETA_HOME=str(home),
        DBT_TARGET_PATH=str(home / "target"),
        DBT_LOG_PATH=str(home / "logs"),
    )
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    seconds: list[list[float]] = []
    session: SparkSession | None = None
    for number, batch in enumerate(_days(news)):
        store(settings, TENANT, [batch], first_batch=number)
        session = session or open_local_session(settings)
        runs = {SKIPPED: 0, REPEATED: 2}.get(number, 1)
        seconds.append([round(run_models(settings).seconds, 1) for _ in range(runs)])
    assert session is not None
    grown = fingerprints(session)
    refresh = round(run_models(settings, full_refresh=True).seconds, 1)
    refreshed = fingerprints(session)
    session.stop()
    return {
        "seconds_by_batch": seconds,
        "seconds_of_full_refresh": refresh,
        "tables": grown,
        "different": sorted(name for name in refreshed if refreshed[name] != grown[name]),
    }


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
            columns = [c for c in sorted(session.table(name).columns) if c not in RUN_COLUMNS]
            values = session.table(name).selectExpr(
                "count(*)", f"sum(cast(xxhash64({', '.join(columns)}) as decimal(38, 0)))"
            )
            count, total = values.collect()[0]
            found[name] = f"{count} rows, {total}"
    return found


if __name__ == "__main__":
    main()
