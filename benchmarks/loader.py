"""How fast the loader reads, beside a bare pyarrow loop and `datasets`, and in how much memory.

`uv run python -m benchmarks.loader`: generated exports, one with texts as ids and one of narrow
numbers; each measurement in a process of its own on one core, the readers in turn, the median of
three. The loader and the bare loop read each set whole. `--rows` are those of the large set.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eta_data import TrainingSet

RESULT: Final = Path(__file__).parent / "results" / "loader.json"
COMMAND: Final = "uv run python -m benchmarks.loader"
GROUP_ROWS: Final = 131_072
FILE_ROWS: Final = 64 * GROUP_ROWS
BATCH_ROWS: Final = 4_096
TEXT_ROWS: Final = 5_000_000
PEER_ROWS: Final = 2_000_000
ROUNDS: Final = 3
SNAPSHOT: Final = "20260501T120000000Z-97710dd2"
SECONDS: Final = 240


def make_export(folder: Path, rows: int, *, texts: bool) -> None:
    """Write an export with one positive to four negatives, in order of time."""
    if (folder / "manifest.json").exists():
        return
    positives = rows // 5
    rng = np.random.default_rng(1)
    for label, count in (("1.0", positives), ("0.0", rows - positives)):
        place = folder / "training_data" / "2026-05-01" / f"label={label}"
        place.mkdir(parents=True)
        for number, start in enumerate(range(0, count, FILE_ROWS)):
            with pq.ParquetWriter(
                place / f"part-{number:05}.parquet", _group(rng, 1, 0, 1, texts=texts).schema,
                compression="zstd",
            ) as writer:  # fmt: skip
                for first in range(start, min(start + FILE_ROWS, count), GROUP_ROWS):
                    size = min(GROUP_ROWS, count - first)
                    writer.write_table(_group(rng, size, first, count, texts=texts))
    counts = {"positives": positives, "sampled_negatives": rows - positives}
    manifest = {
        "format": 1,
        "snapshot_id": SNAPSHOT,
        "tenant_id": "acme",
        "pinned": {},
        "counts": {**counts, "explicit_negatives": 0},
        "content_hash": f"{rows}",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _group(rng: np.random.Generator, size: int, first: int, count: int, *, texts: bool) -> pa.Table:
    user = rng.integers(0, 300_000, size, dtype=np.int32)
    item = (rng.zipf(1.2, size) % 50_000).astype(np.int32)
    span = 30 * 86_400 * 1_000_000
    times = 1_777_000_000_000_000 + (first + np.arange(size)) * (span // count)
    columns: dict[str, Any] = {"user_id": user, "item_id": item}
    if texts:
        columns = {
            "user_id": pa.array(np.char.add("user-", user.astype(str))),
            "item_id": pa.array(np.char.add("sku-", item.astype(str))),
            "anchor_item_id": pa.array(np.char.add("sku-", item[::-1].astype(str))),
            "draw_index": pa.array(rng.integers(0, 5, size), pa.int32()),
            "sampling_probability": rng.random(size),
        }
    return pa.table({**columns, "event_time": pa.array(times, pa.timestamp("us", tz="UTC"))})


def _ours(folder: Path) -> Iterator[int]:
    for batch in TrainingSet.open(folder, "acme").arrow(BATCH_ROWS):
        yield batch.num_rows


def _pyarrow(folder: Path) -> Iterator[int]:
    for path in sorted(folder.rglob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, use_threads=False):
            yield batch.num_rows


def _datasets(folder: Path, *, shuffled: bool = False) -> Iterator[int]:
    import datasets

    files = [str(path) for path in sorted(folder.rglob("*.parquet"))]
    rows = datasets.load_dataset(
        "parquet", data_files=files, split="train", streaming=True, cache_dir=str(folder.parent)
    )
    if shuffled:
        rows = rows.shuffle(seed=0, buffer_size=65_536)
    for batch in rows.with_format("arrow").iter(batch_size=BATCH_ROWS):
        yield batch.num_rows


def _datasets_shuffled(folder: Path) -> Iterator[int]:
    yield from _datasets(folder, shuffled=True)


READERS: Final[dict[str, Callable[[Path], Iterator[int]]]] = {
    "eta-data, shuffled": _ours,
    "bare pyarrow loop, in file order": _pyarrow,
    "`datasets`, streaming, in file order": _datasets,
    "`datasets`, streaming, shuffled in a buffer": _datasets_shuffled,
}


def measure(reader: str, folder: Path, most: int) -> dict[str, float]:
    """Read at most so many rows on one core; return rows, seconds and the peak of memory in MB."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    if "datasets" in reader:
        import_module("datasets")  # not a part of reading
    start, rows = time.perf_counter(), 0
    for count in READERS[reader](folder):
        rows += count
        if rows >= most:
            break
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"rows": rows, "seconds": seconds, "peak": peak}


def _in_a_process(reader: str, folder: Path, most: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.loader", "--measure", reader]
    command += ["--folder", str(folder), "--most", str(most)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=SECONDS, env=environment
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{folder.name} {reader} {found}\n")
    return found


def _compare(folder: Path, what: str, rows: int) -> list[list[str]]:
    """Return a row of the table per reader; `datasets` reads a part, being slower."""
    most = dict.fromkeys(READERS, rows) | {
        name: min(rows, PEER_ROWS // (20 if "buffer" in name else 1))
        for name in READERS
        if "datasets" in name
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
    for number in range(ROUNDS):
        for name in READERS:
            if number == 0 or "datasets" not in name:
                found[name].append(_in_a_process(name, folder, most[name]))
    rates = {
        name: statistics.median(one["rows"] / one["seconds"] for one in runs)
        for name, runs in found.items()
    }
    bare = rates["bare pyarrow loop, in file order"]
    return [
        [
            f"{what}: {name}",
            f"{rates[name] / 1e6:.2f} M",
            f"{rates[name] / bare:.2f}",
            f"{max(one['peak'] for one in found[name]):.0f} MB",
        ]
        for name in READERS
    ]


def main() -> None:
    """Make the data where it is missing, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "eta-loader")
    parser.add_argument("--measure")
    parser.add_argument("--most", type=int, default=1 << 62)
    parser.add_argument("--make-only", action="store_true")
    asked = parser.parse_args()
    if asked.measure:
        sys.stdout.write(json.dumps(measure(asked.measure, asked.folder, asked.most)) + "\n")
        return
    texts, large = asked.folder / "texts", asked.folder / f"numbers-{asked.rows}"
    make_export(texts, TEXT_ROWS, texts=True)
    make_export(large, asked.rows, texts=False)
    if asked.make_only:
        return
    rows = _compare(texts, f"texts as ids, six columns, {TEXT_ROWS / 1e6:.0f} M rows", TEXT_ROWS)
    rows += _compare(large, f"numbers, three columns, {asked.rows / 1e6:.0f} M rows", asked.rows)
    document = {
        "title": "Reading a training set",
        "page": "models",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": "2 cores",
        "command": COMMAND,
        "decisions": ["0062"],
        "columns": ["what", "rows per second", "beside pyarrow", "peak memory"],
        "rows": rows,
        "note": f"Generated exports, batches of {BATCH_ROWS:,} rows, one core, the median of "
        f"{ROUNDS} runs in turn, each in a process of its own; the files were in memory. The bare "
        "loop is `iter_batches` over each file, and shuffles nothing. `datasets` was run once, on "
        f"{PEER_ROWS / 1e6:.0f} M rows, in a buffer on a twentieth of that; the others read all.",
    }
    RESULT.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
