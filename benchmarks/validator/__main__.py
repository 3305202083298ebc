"""`python -m benchmarks.validator --rows 1000000`: rows per second on one core, and the ratio.

The peer is what a careful person would write by hand: one polars expression that says for every row
whether it keeps the contract of interactions. The validator, on the same frames, in turn, in the
same process, also names every reason, finds what is odd and returns the values. What the reader
tells it of the bytes (`byte_traits`) is computed within its time. Both have one thread; the figures
are medians. `with_identities` is `Validator.validate`, which computes SHA-256 ids as well: no
predicate does that, so it is shown and not compared. `--spaces` gives every row a text with a
space, so that no stripping is saved.
"""

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import polars as pl

from benchmarks.ingest.files import write_interactions
from ingest_service.readers.csv.structure import Marks, byte_traits, find_marks
from lakehouse.contracts.fields import ID_LENGTH
from lakehouse.contracts.tenant import DataType, InteractionType, SourceMapping, TenantSettings
from lakehouse.contracts.times import microseconds
from lakehouse.contracts.validator import Validator

CHUNK_ROWS = 70_000
"""Rows of a 4 MiB piece of a file of this make."""


def main() -> None:
    """Run the benchmark and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bad", type=float, default=0.0, help="share of rows made wrong")
    parser.add_argument("--spaces", action="store_true", help="put a space into every row")
    options = parser.parse_args()
    print(json.dumps(_run(options), indent=2))


def _run(options: argparse.Namespace) -> dict[str, Any]:
    rows: int = options.rows
    chunks = _chunks(rows, options.bad, spaces=options.spaces)
    columns = chunks[0][0].columns
    validator = Validator(DataType.INTERACTIONS, SourceMapping(), TenantSettings(), columns)
    known_at, predicate = datetime.now(UTC), _predicate()

    def check() -> int:
        found = (validator.check(c, known_at, byte_traits(marks)) for c, marks in chunks)
        return rows - sum(checked.reasons["row"].n_unique() for checked in found)

    def identify() -> int:
        found = (validator.validate(c, known_at, byte_traits(marks)) for c, marks in chunks)
        return sum(validated.accepted.height for validated in found)

    def peer() -> int:
        return sum(int(chunk.select(predicate).to_series().sum()) for chunk, _ in chunks)

    ways = {"validator": check, "polars_predicate": peer, "with_identities": identify}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        good = set()
        for name, way in ways.items():
            started = perf_counter()
            good.add(way())
            seconds[name].append(perf_counter() - started)
        if len(good) > 1:
            raise RuntimeError(f"the ways do not agree how many rows are good: {good}")
    figures = {
        name: {"rows_per_second": round(rows / median(times)), "seconds": _rounded(times)}
        for name, times in seconds.items()
    }
    ratio = median(seconds["polars_predicate"]) / median(seconds["validator"])
    return {"rows": rows, "good": good.pop(), "ratio": round(ratio, 3), **figures}


def _rounded(seconds: list[float]) -> list[float]:
    return [round(value, 3) for value in seconds]


def _chunks(rows: int, bad: float, *, spaces: bool) -> list[tuple[pl.DataFrame, Marks]]:
    """The rows in pieces, each with its bytes as they would stand in a file."""
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        file = Path(folder) / "rows.csv"
        write_interactions(file, rows, seed=1)
        frame = pl.read_csv(file, infer_schema=False)
    if spaces:
        frame = frame.with_columns(device_type=pl.lit("a device"))
    if bad:
        is_bad = pl.int_range(pl.len()) % round(1 / bad) == 0
        frame = frame.with_columns(pl.when(~is_bad).then("item_id").alias("item_id"))
    pieces = [frame.slice(n, CHUNK_ROWS).rechunk() for n in range(0, rows, CHUNK_ROWS)]
    return [(p, find_marks(p.write_csv(include_header=False).encode())) for p in pieces]


def _predicate() -> pl.Expr:
    """The contract of interactions as one expression over the file's columns."""
    settings = TenantSettings()
    start, end = (
        microseconds(m) // 1_000 for m in (settings.time_range.start, settings.time_range.end)
    )

    def has_text(name: str) -> pl.Expr:
        return (pl.col(name).str.strip_chars().str.len_bytes() > 0).fill_null(value=False)

    def fits(name: str) -> pl.Expr:
        return (pl.col(name).str.len_chars() <= ID_LENGTH).fill_null(value=True)

    kinds = [kind.value for kind in InteractionType]
    time = pl.col("timestamp").str.strip_chars().cast(pl.Int64, strict=False)
    return pl.all_horizontal(
        has_text("user_id"),
        fits("user_id"),
        has_text("item_id"),
        fits("item_id"),
        pl.col("interaction_type").str.strip_chars().is_in(kinds).fill_null(value=False),
        time.is_between(start, end, closed="left").fill_null(value=False),
        fits("device_type"),
        fits("session_id"),
    )


if __name__ == "__main__":
    main()
