"""`python -m benchmarks.csv_files [--valid 10000] [--damaged 20000] [--seed 1]`: one JSON object.

Valid files must equal Python's csv module in every cell, line and byte. Of a damaged file every row
that is read must be one that was written; any other is wrong. A file that is refused stores none.
Exits with 1 when a valid file differs, or more than 1 row in 100,000 is wrong.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.csv_files.damaging import damaged
from benchmarks.csv_files.reading import differs, read_damaged
from benchmarks.csv_files.writing import table

MOST_WRONG = 1e-5


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--valid", type=int, default=10_000)
    parser.add_argument("--damaged", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0)
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.csv"
        valid = measure_valid(path, given.valid, given.seed)
        hurt = measure_damaged(path, given.damaged, given.seed, given.show)
    print(json.dumps({"valid": valid, "damaged": hurt}))
    too_many = hurt["rows_wrong"] > MOST_WRONG * hurt["rows_read"]
    sys.exit(bool(valid["different"] or too_many))


def measure_valid(path: Path, count: int, seed: int) -> Counter[str]:
    """Return counts over valid files."""
    totals: Counter[str] = Counter(files=0, rows=0, different=0)
    for number in range(count):
        random = Random(f"valid {seed} {number}")
        written = table(random)
        path.write_bytes(written.text.encode())
        totals["files"] += 1
        totals["rows"] += len(written.rows)
        if why := differs(path, written, random):
            totals["different"] += 1
            print(f"valid file {number}: {why}", file=sys.stderr)
    return totals


def measure_damaged(path: Path, count: int, seed: int, show: int = 0) -> Counter[str]:
    """Return counts over damaged files; the first `show` wrong rows are printed."""
    totals: Counter[str] = Counter(files=0, rows_read=0, rows_wrong=0)
    for number in range(count):
        random = Random(f"damaged {seed} {number}")
        written = table(random)
        text, clean, kinds = damaged(random, written)
        path.write_bytes(text.encode())
        totals["files"] += 1
        totals["rows_written"] += len(written.rows)
        found = read_damaged(path, written, random)
        if found is None:
            totals["files_refused"] += 1
            totals["rows_refused"] += len(written.rows)
            continue
        rows, set_aside = found
        wrong = rows - clean
        totals["rows_read"] += rows.total()
        totals["rows_set_aside"] += set_aside
        totals["rows_wrong"] += wrong.total()
        for kind in kinds if wrong else ():
            totals[f"wrong by {kind}"] += 1
        if wrong and show > 0:
            show -= 1
            print(f"damaged file {number} ({kinds}): {list(wrong)}\n{text}", file=sys.stderr)
    return totals


if __name__ == "__main__":
    main()
