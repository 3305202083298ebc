"""The yardstick: read the CSV with polars, write it with delta-rs, check nothing."""

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

import polars as pl
from deltalake import write_deltalake


def main() -> None:
    """Read `argv[1]`, write to `argv[2]`, print the figures as JSON."""
    source, target = Path(sys.argv[1]), sys.argv[2]
    started, worked = perf_counter(), process_time()
    write_deltalake(target, pl.read_csv(source))
    seconds, cpu = perf_counter() - started, process_time() - worked
    status = Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_rss_mb": int(peak) / 1024}))


if __name__ == "__main__":
    main()
