"""`python -m benchmarks.ingest --rows 1000000`: rows per second, peak memory and the ratio.

Each repeat runs the bare way and the service once, in turn, on new files of the same make; the
figures are those of the median. The service has had one small upload before, as a service has.
Processor time is given too: it says how much is left to gain when the machine has other work.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx

from benchmarks.ingest.files import write_interactions
from benchmarks.ingest.service import TENANT, Service, running_service

WARM_UP_ROWS = 20_000


def main() -> None:
    """Run the benchmark and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        print(json.dumps(_run(Path(folder), options.rows, options.repeats), indent=2))


def _run(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    bare, served, bare_peaks, bare_cpu = [], [], [], []
    with running_service(folder / "home") as service:
        warm_up = folder / "warm.csv"
        write_interactions(warm_up, WARM_UP_ROWS, seed=0)
        _upload(service, warm_up, WARM_UP_ROWS)
        idle, worked = service.rss_mb, service.cpu_seconds
        for repeat in range(repeats):
            file = folder / "rows.csv"
            write_interactions(file, rows, seed=repeat + 1)
            figures = _bare(file, folder / f"bare{repeat}")
            bare.append(figures["seconds"])
            bare_cpu.append(figures["cpu"])
            bare_peaks.append(figures["peak_rss_mb"])
            served.append(_upload(service, file, rows))
        peak, worked = service.peak_rss_mb, service.cpu_seconds - worked
    return {
        "rows": rows,
        "repeats": repeats,
        "ratio": round(median(bare) / median(served), 3),
        "ratio_of_best": round(min(bare) / min(served), 3),
        "service": {
            "seconds": [round(s, 3) for s in served],
            "rows_per_second": round(rows / median(served)),
            "cpu_seconds_per_file": round(worked / repeats, 2),
            "idle_rss_mb": round(idle),
            "peak_rss_mb": round(peak),
        },
        "bare_polars_and_delta_rs": {
            "seconds": [round(s, 3) for s in bare],
            "rows_per_second": round(rows / median(bare)),
            "cpu_seconds_per_file": round(sum(bare_cpu) / repeats, 2),
            "peak_rss_mb": round(max(bare_peaks)),
        },
    }


def _bare(file: Path, table: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest.bare", str(file), str(table)],
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _upload(service: Service, file: Path, rows: int) -> float:
    started = perf_counter()
    with file.open("rb") as body:
        answer = httpx.post(
            f"{service.url}/internal/data/upload-csv",
            params={"tenant_id": TENANT, "data_type": "interactions"},
            headers={"Authorization": f"Bearer {service.key}"},
            files={"file": body},
            timeout=600,
        )
    seconds = perf_counter() - started
    answer.raise_for_status()
    if answer.json().get("rows_accepted") != rows:
        raise RuntimeError(f"not every row was stored: {answer.text[:500]}")
    return seconds


if __name__ == "__main__":
    main()
