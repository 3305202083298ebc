"""Does a table stay fast after ten thousand micro-batches? `python -m benchmarks.stream_commits`.

Stores small micro-batches as the consumer does, table care included, and compares the time of a
commit and of opening the table between an early and a late stretch of commits. The consumer makes
two commits a second; here they come as fast as they go, so the log is cut by number alone, to the
length that it has at the consumer's pace.
"""

import argparse
import json
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any, Final

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.stream.avro import AvroReader
from ingest_service.stream.intake import Intake, Part
from ingest_service.stream.reading import MessageReader
from ingest_service.stream.sink import CLEAN_EVERY, Bounds, StreamSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.log_care import drop_read_log
from lakehouse.storage.stream_offsets import Partition
from lakehouse.storage.tables import ensure_tables, open_table

ROWS: Final = 20
EARLY: Final = (200, 400)
LATE: Final = 200


class _OneTenant:
    def begin(self) -> None:
        """Nothing changes here."""

    def settings(self, tenant_id: str) -> TenantSettings | None:  # noqa: ARG002
        """Return the defaults."""
        return TenantSettings()


def measure(folder: Path, commits: int) -> dict[str, Any]:
    """Store so many micro-batches; return medians and means in milliseconds, and ratios."""
    lake = LakeSettings(home=folder)
    ensure_tables(lake)
    delta = DeltaSink(lake)
    sink, tenants = StreamSink(delta), _OneTenant()
    intake = Intake(
        MessageReader(AvroReader(None), tenants.settings, 1 << 20),
        tenants,
        DedupeWindows(),
        DeltaHistory(delta),
        EmptySuppressionList(),
        lambda: datetime.now(UTC),
    )
    wanted = {
        Partition("interactions-raw", n): (DataType.INTERACTIONS, Bounds(0, 1 << 40, 1))
        for n in range(6)
    }
    claims = sink.take_over(wanted)
    commit, opening, work = [], [], []
    for number in range(commits):
        parts = [Part(c, _records(number, c.feed.partition.number)) for c in claims[:1]]
        parts = [Part(_at(part.claim, number), part.records) for part in parts]
        prepared = intake.prepare(parts)
        with prepared.held:
            began, worked = perf_counter(), process_time()
            sink.store(prepared.rows, prepared.moves, lambda: True)
            commit.append(perf_counter() - began)
            work.append(process_time() - worked)
            prepared.publish()
        sink.tend(prepared.rows)
        if number % CLEAN_EVERY == CLEAN_EVERY - 1:
            for spec in (RAW_INTERACTIONS, OPS_INGEST_LEDGER):
                drop_read_log(lake, spec, kept_seconds=0)
        began = perf_counter()
        open_table(lake, RAW_INTERACTIONS)
        opening.append(perf_counter() - began)
        if number % 500 == 499:
            newest = [1e3 * statistics.median(x[-200:]) for x in (commit, work, opening)]
            tell = "{} commits: {:.1f} ms, work {:.1f}, open {:.1f}".format(number + 1, *newest)
            print(tell, file=sys.stderr, flush=True)
    return {
        "commits": commits,
        "commit": _compare(commit, commits),
        "commit_processor": _compare(work, commits),
        "open": _compare(opening, commits),
    }


def _at(claim: Any, number: int) -> Any:
    from dataclasses import replace

    return replace(claim, offset=number * ROWS)


def _records(number: int, partition: int) -> list[Any]:
    found = []
    for row in range(number * ROWS, (number + 1) * ROWS):
        event: dict[str, Any] = {
            "user_id": f"u{row % 97}",
            "item_id": f"i{row % 31}",
            "interaction_type": "view",
        }
        event |= {"timestamp": 1_700_000_000_000 + row, "event_id": f"e{partition}-{row}"}
        found.append(
            SimpleNamespace(
                key=b"acme",
                value=json.dumps(event).encode(),
                offset=row,
                timestamp=0,
                headers=(),
            )
        )
    return found


def _compare(seconds: list[float], commits: int) -> dict[str, float]:
    early, late = seconds[slice(*EARLY)], seconds[commits - LATE :]
    return {
        "early_median_ms": round(1e3 * statistics.median(early), 2),
        "late_median_ms": round(1e3 * statistics.median(late), 2),
        "early_mean_ms": round(1e3 * statistics.mean(early), 2),
        "late_mean_ms": round(1e3 * statistics.mean(late), 2),
        "median_ratio": round(statistics.median(late) / statistics.median(early), 2),
        "mean_ratio": round(statistics.mean(late) / statistics.mean(early), 2),
    }


def main() -> int:
    """Measure, print, return 1 when the late stretch takes more than twice as long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_commits")
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eta-commits-") as folder:
        found = measure(Path(folder), options.commits)
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    ratios = (found["commit"]["median_ratio"], found["open"]["median_ratio"])
    return 0 if max(ratios) <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
