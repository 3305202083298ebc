"""Does a table stay fast after ten thousand micro-batches? `python -m benchmarks.stream_commits`.

Stores small micro-batches as the consumer does, table maintenance included, and compares the time
of a commit and of opening the table with those of a lake of 200 to 400 commits. The consumer makes
two commits a second; here they come as fast as they go, so the log is cut by number alone, to the
length that it has at the consumer's pace.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, Final

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.readers.avro import AvroReader
from ingest_service.readers.messages import MessageReader
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.intake import Intake
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.sink import CLEAN_EVERY, Bounds, StreamSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.log_maintenance import drop_read_log
from lakehouse.storage.stream_offsets import Partition
from lakehouse.storage.tables import ensure_tables

ROWS: Final = 20
EARLY: Final = 200
"""Commits of the young lake before it is measured."""
LATE: Final = 200


class _OneTenant:
    def begin(self) -> None:
        """Nothing changes here."""

    def settings(self, tenant_id: str) -> TenantSettings | None:  # noqa: ARG002
        """Return the defaults."""
        return TenantSettings()


class Stream:
    """A lake that takes micro-batches, with the times of its commits and of opening its table."""

    def __init__(self, folder: Path) -> None:
        self._lake = LakeSettings(home=folder)
        ensure_tables(Lake(self._lake))
        delta, tenants = DeltaSink(Lake(self._lake)), _OneTenant()
        self._sink = StreamSink(delta)
        self._intake = Intake(
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
        self._claim = self._sink.take_over(wanted)[0]
        self._number = 0
        self.commit: list[float] = []
        self.opening: list[float] = []

    def store(self) -> None:
        """Store a micro-batch as the consumer does, then open the table anew."""
        number, self._number = self._number, self._number + 1
        assignment = replace(self._claim, offset=number * ROWS)
        records = _records(number)
        prepared = self._intake.prepare(
            [PartitionBatch(assignment, records, records[-1].offset + 1)]
        )
        with prepared.held:
            began = perf_counter()
            self._sink.store(prepared.rows, prepared.ranges, lambda: True)
            self.commit.append(perf_counter() - began)
            prepared.publish()
        self._sink.compact(prepared.rows)
        if number % CLEAN_EVERY == CLEAN_EVERY - 1:
            for spec in (RAW_INTERACTIONS, OPS_INGEST_LEDGER):
                drop_read_log(Lake(self._lake), spec, kept_seconds=0)
        began = perf_counter()
        Lake(self._lake).table(RAW_INTERACTIONS)
        self.opening.append(perf_counter() - began)


def measure(folder: Path, commits: int) -> dict[str, Any]:
    """Compare the last stretch with the early one of another lake, batch by batch in turn.

    So both see the same load of the machine, which changes more in a quarter of an hour than
    what is measured.
    """
    old, young = Stream(folder / "old"), Stream(folder / "young")
    for number in range(commits - LATE):
        old.store()
        if number % 500 == 499:
            newest = [1e3 * statistics.median(x[-200:]) for x in (old.commit, old.opening)]
            tell = "{} commits: {:.1f} ms, open {:.1f}".format(number + 1, *newest)
            print(tell, file=sys.stderr, flush=True)
    for _ in range(EARLY):
        young.store()
    for _ in range(LATE):
        old.store()
        young.store()
    return {
        "commits": commits,
        "commit": _compare(young.commit[-LATE:], old.commit[-LATE:]),
        "open": _compare(young.opening[-LATE:], old.opening[-LATE:]),
    }


def _records(number: int) -> list[Any]:
    found = []
    for row in range(number * ROWS, (number + 1) * ROWS):
        event: dict[str, Any] = {
            "user_id": f"u{row % 97}",
            "item_id": f"i{row % 31}",
            "interaction_type": "view",
        }
        event |= {"timestamp": 1_700_000_000_000 + row, "event_id": f"e{row}"}
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


def _compare(early: list[float], late: list[float]) -> dict[str, float]:
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
