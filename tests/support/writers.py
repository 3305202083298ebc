"""Several processes that write batches into one tenant, and what a watcher sees meanwhile."""

import multiprocessing
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import live_files
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions


@dataclass(frozen=True, slots=True)
class Watched:
    """What writing came to: exit codes, batch ids in raw, and the most live files ever seen."""

    exit_codes: list[int | None]
    batch_ids: list[str]
    most_files: int
    seconds: float


def write_at_once(
    lake: LakeSettings,
    processes: int,
    batches: int,
    through: LakeSettings | None = None,
    look_every: float = 0.05,
) -> Watched:
    """Let every process write its batches of one row, and count live files all the time.

    The processes reach the lake by the settings `through`.
    """
    ensure_tables(Lake(lake))
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write, args=(through or lake, n, batches)) for n in range(processes)
    ]
    started = time.perf_counter()
    for writer in writers:
        writer.start()
    watched = [Lake(lake).table(spec) for spec in (RAW_INTERACTIONS, OPS_INGEST_LEDGER)]
    most = 0
    while any(writer.is_alive() for writer in writers):
        for table in watched:
            table.update_incremental()
            most = max(most, live_files(table).height)
        time.sleep(look_every)
    seconds = time.perf_counter() - started
    stored = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["batch_id"])
    return Watched(
        [writer.exitcode for writer in writers], stored["batch_id"].to_pylist(), most, seconds
    )


def expected_ids(processes: int, batches: int) -> list[str]:
    """Every batch id once."""
    return sorted(f"own-{p}-{n:04}" for p in range(processes) for n in range(batches))


def _write(lake: LakeSettings, number: int, batches: int) -> None:
    sink = DeltaSink(Lake(lake))
    for n in range(batches):
        batch_id = f"own-{number}-{n:04}"
        key = BatchKey("acme", DataType.INTERACTIONS, batch_id, datetime.now(UTC), "csv")
        batch = sink.begin(key)
        batch.append(interactions(key, batch_id))
        batch.commit(Counts(1, 1))
