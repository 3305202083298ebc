"""`python -m benchmarks.erasure`: one subject and 1,000 on a table of 10 million rows.

The peer is one rewrite of the whole table by the same reader and writer, in the same process: what
a deletion would cost that did not look where the rows are. Everything runs on one lake, built once;
each case erases other people. Prints JSON.
"""

import argparse
import json
import random
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.contracts.tables import CONTEXT, RAW_INTERACTIONS
from lakehouse.control.erasure_subjects import Subject
from lakehouse.privacy.fence import raise_fence
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.raw_tables import People, delete_rows
from lakehouse.privacy.rewriting import DAY, files_of
from lakehouse.privacy.scan import scan_stream
from lakehouse.privacy.storage_locations import lake_locations
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import row_count
from lakehouse.storage.staging import StagedRows, writer_properties
from lakehouse.storage.tables import ensure_tables

TENANT = "acme"
GIGABYTE = 1e9


@dataclass(frozen=True)
class Measured:
    """What a case cost: wall and processor seconds, and what it wrote."""

    case: str
    subjects: int
    seconds: float
    core_seconds: float
    files_rewritten: int
    files_in_table: int
    gb_rewritten: float
    rows_deleted: int

    @property
    def gb_per_core_hour(self) -> float:
        """Gigabytes of Parquet rewritten in an hour of one core."""
        return self.gb_rewritten / (self.core_seconds / 3600) if self.core_seconds else 0.0


def build(settings: LakeSettings, rows: int, batches: int, users: int) -> list[str]:
    """Write the table in batches; a user's rows are spread over as many as they have rows."""
    rng = random.Random(1)
    people = [f"user-{rng.getrandbits(128):032x}" for _ in range(users)]
    names = pl.Series(people)
    per_batch = rows // batches
    for batch in range(batches):
        known_at = datetime(2026, 1, 1 + batch % 28, tzinfo=UTC)
        places = pl.int_range(per_batch, eager=True)
        # A day's rows are of a part of the users, as on a real site: those who came that day.
        came = names.sample(max(1, users // batches), seed=batch)
        frame = pl.DataFrame(
            {
                "user_id": came.sample(per_batch, with_replacement=True, seed=batch),
                "event_id": pl.select(pl.format("e-{}-{}", pl.lit(batch), places)).to_series(),
                "item_id": pl.select(pl.format("item-{}", places % 50_000)).to_series(),
                "source_ref": pl.select(
                    pl.format("line:{}", places.cast(pl.String).str.zfill(10))
                ).to_series(),
                "event_time": pl.select(
                    pl.lit(known_at) + pl.duration(milliseconds=pl.lit(places))
                ).to_series(),
            }
        ).with_columns(
            tenant_id=pl.lit(TENANT),
            ingest_date=pl.lit(known_at.date()),
            interaction_type=pl.lit("click"),
            rating=pl.lit(None, dtype=pl.Float64),
            known_at=pl.lit(known_at),
            source=pl.lit("csv"),
            batch_id=pl.lit(f"batch-{batch:04}"),
        )
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        table = table.append_column("context", pa.nulls(per_batch, CONTEXT))
        write_deltalake(
            Lake(settings).table(RAW_INTERACTIONS),
            table.select(RAW_INTERACTIONS.schema.names).cast(RAW_INTERACTIONS.schema),
            mode="append",
            writer_properties=writer_properties(),
        )
    return people


def erase(settings: LakeSettings, case: str, people: list[str]) -> Measured:
    """Delete people from the table behind a fence."""
    lake = Lake(settings)
    subjects = [Subject("er_bench", str(n), None, text) for n, text in enumerate(people)]
    before = lake.table(RAW_INTERACTIONS)
    files, rows = len(files_of(before, TENANT)), _row_count(settings)
    wall, cpu = perf_counter(), process_time()
    raise_fence(lake)
    done = delete_rows(lake, People.of(TENANT, subjects), datetime.now(UTC))
    return Measured(
        case,
        len(people),
        perf_counter() - wall,
        process_time() - cpu,
        done.files,
        files,
        done.bytes / GIGABYTE,
        rows - _row_count(settings),
    )


def rewrite_whole(settings: LakeSettings) -> Measured:
    """Read and write every file of the table once; commits nothing."""
    import pyarrow.parquet as pq

    from lakehouse.storage.stores import table_filesystem

    table = Lake(settings).table(RAW_INTERACTIONS)
    files = table_filesystem(table)
    found = files_of(table, TENANT)
    wall, cpu, written = perf_counter(), process_time(), 0
    names = [
        name for name in RAW_INTERACTIONS.schema.names if name not in ("tenant_id", "ingest_date")
    ]
    for file in found:
        day = file.partition_values[DAY]
        staged = StagedRows(table, RAW_INTERACTIONS, TENANT, day, "peer", is_batch=False)
        with files.open_input_file(file.path) as source:
            parquet = pq.ParquetFile(source)
            for group in range(parquet.num_row_groups):
                staged.write(parquet.read_row_group(group, columns=names))
        done = staged.finish()
        written += sum(one.size for one in done)
        staged.delete(done)
    return Measured(
        "one rewrite of the whole table",
        0,
        perf_counter() - wall,
        process_time() - cpu,
        len(found),
        len(found),
        written / GIGABYTE,
        0,
    )


def search(settings: LakeSettings, people: list[str]) -> dict[str, float]:
    """Search every file of the lake, raw and decoded, as the proof does."""
    patterns, size = IdentifierPatterns(people), 0
    wall, cpu = perf_counter(), process_time()
    for place in lake_locations(Lake(settings), TENANT):
        with place.open() as file:
            scan_stream(file, patterns)
            file.seek(0, 2)
            size += file.tell()
    return {
        "gb": size / GIGABYTE,
        "seconds": perf_counter() - wall,
        "core_seconds": process_time() - cpu,
    }


def _row_count(settings: LakeSettings) -> int:
    return row_count(Lake(settings).table(RAW_INTERACTIONS))


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--many", type=int, default=1_000)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="eta-erasure-") as home:
        settings = LakeSettings(home=Path(home))
        ensure_tables(Lake(settings))
        people = build(settings, given.rows, given.batches, given.users)
        print("the table is built", file=sys.stderr)
        seen = _who_has_rows(settings)
        chosen = [one for one in people if one in seen]
        cases: list[Callable[[], Measured]] = [
            lambda: erase(settings, "one subject", chosen[:1]),
            lambda: rewrite_whole(settings),
            lambda: erase(settings, f"{given.many} subjects", chosen[1 : 1 + given.many]),
        ]
        measured = [case() for case in cases]
        whole, many = measured[1], measured[2]
        report = {
            "rows": given.rows,
            "cases": [{**asdict(m), "gb_per_core_hour": m.gb_per_core_hour} for m in measured],
            "many_to_one_rewrite_seconds": many.seconds / whole.seconds,
            "many_to_one_rewrite_core_seconds": many.core_seconds / whole.core_seconds,
            "search": search(settings, chosen[1 : 1 + given.many]),
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        }
    print(json.dumps(report, indent=2))


def _who_has_rows(settings: LakeSettings) -> set[str]:
    """The users of one file: people who are spread over few days."""
    table = Lake(settings).table(RAW_INTERACTIONS)
    dataset = table.to_pyarrow_dataset()
    return set(pl.DataFrame(dataset.head(200_000, columns=["user_id"]))["user_id"].to_list())


if __name__ == "__main__":
    main()
