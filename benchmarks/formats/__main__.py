"""Processor time and peak memory of reading a file, per format, beside the same rows as CSV.

    python -m benchmarks.formats --workbook-rows 200000 --parquet-rows 5000000

Each file is read by a process of its own, through the whole pipeline but the writing (a dry run),
so that what differs is the reader. Files are made first and stay in `--folder` for the next time.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.formats.files import write_avro, write_csv, write_parquet, write_workbook
from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.privacy.suppression import EmptySuppressionList

WRITERS: Final[dict[str, Callable[[Path, int], None]]] = {
    "xlsx": write_workbook,
    "parquet": write_parquet,
    "avro": write_avro,
    "csv": write_csv,
}


def main() -> None:
    """Make the files, read each in a process of its own, print a line per file."""
    options = _options()
    if options.read is not None:
        print(json.dumps(_read(options.read)))
        return
    folder = Path(options.folder or tempfile.mkdtemp(prefix="eta-formats-"))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "xlsx": options.workbook_rows,
        "avro": options.workbook_rows,
        "parquet": options.parquet_rows,
    }
    print(f"files in {folder}; csv: the same rows as CSV")
    print(f"{'format':8} {'rows':>10} {'MB':>6} {'processor s':>11} {'us/row':>7} {'peak MB':>8}")
    for file_format, rows in wanted.items():
        for name in (file_format, "csv"):
            path = folder / f"{rows}.{name}"
            if not path.exists():
                WRITERS[name](path, rows)
            _tell(name, rows, path)


def _tell(name: str, rows: int, path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.formats", "--read", str(path)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(ended.stdout)
    seconds, size = found["seconds"], path.stat().st_size / 1e6
    print(
        f"{name:8} {rows:>10,} {size:>6.0f} {seconds:>11.2f} {seconds / rows * 1e6:>7.2f} "
        f"{found['peak_mb']:>8.0f}"
    )


def _read(path: Path) -> dict[str, float]:
    """Read a file in this process; processor seconds without the start, peak resident memory."""
    before = _processor_seconds()
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    clock = iter(moment + timedelta(seconds=n) for n in range(1_000))
    service = IngestService(
        MemorySink(), NoHistory(), DedupeWindows(), EmptySuppressionList(), lambda: next(clock)
    )
    report = service.ingest(
        FileUpload(
            path,
            "acme",
            DataType.INTERACTIONS,
            SourceMapping.model_validate({"timestamps": {"timestamp": {"unit": "iso"}}}),
            TenantSettings(),
            "b1",
            OnError.QUARANTINE,
            format=FileFormat.AUTO,
            is_dry=True,
        )
    )
    if report.counts.quarantined:
        raise SystemExit("rows of the benchmark are wrong")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": _processor_seconds() - before, "peak_mb": peak}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats", description=__doc__)
    parser.add_argument("--workbook-rows", type=int, default=200_000)
    parser.add_argument("--parquet-rows", type=int, default=5_000_000)
    parser.add_argument("--folder", help="where the files are kept; default: a new one")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
