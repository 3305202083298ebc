"""A file sent twice, and once more after a restart: what is stored again, and what it takes.

`uv run python -m benchmarks.resent --rows 3000000`; in another checkout the same command is the
pair. Processor seconds of this process and its peak of memory so far, in MB, per sending.
"""

import argparse
import json
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ingest_service.clock import RisingClock
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

SENDINGS = ("first", "again", "after a restart")


def main() -> None:
    """Send and print a line per sending."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path, lake = Path(folder) / "clicks.csv", Lake(LakeSettings(home=Path(folder) / "home"))
        _write(path, rows)
        ensure_tables(lake)
        service = _started(lake)
        for number, name in enumerate(SENDINGS):
            service = _started(lake) if number == len(SENDINGS) - 1 else service
            print(json.dumps({"sending": name, **_sent(service, path, f"b{number}")}), flush=True)


def _started(lake: Lake) -> IngestService:
    sink = DeltaSink(lake)
    clock = RisingClock(lambda: datetime.now(UTC))
    return IngestService(sink, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), clock)


def _sent(service: IngestService, path: Path, batch_id: str) -> dict[str, float]:
    begin = time.process_time()
    upload = FileUpload(
        path,
        "acme",
        DataType.INTERACTIONS,
        SourceMapping(),
        TenantSettings(),
        batch_id,
        OnError.REJECT,
    )
    counts = service.ingest(upload).counts
    return {
        "stored": counts.stored,
        "duplicate": counts.duplicate,
        "processor_seconds": round(time.process_time() - begin, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _write(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("user_id,item_id,interaction_type,timestamp\n")
        file.writelines(
            f"u{n * 7919 % 400_009},i{n * 104_729 % 50_021},view,{1_700_000_000_000 + n * 137}\n"
            for n in range(rows)
        )


if __name__ == "__main__":
    main()
