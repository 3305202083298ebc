"""Several processes write to one lake at once, some of them the same batches."""

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions

PROCESSES = 4
BATCHES = 10


def write(home: Path, number: int) -> None:
    """Write batches of this process's own and batches that every process writes."""
    sink = DeltaSink(Lake(LakeSettings(home=home)))
    for n in range(BATCHES):
        for batch_id in (f"own-{number}-{n}", f"shared-{n}"):
            key = BatchKey("acme", DataType.INTERACTIONS, batch_id, datetime.now(UTC), "csv")
            batch = sink.begin(key)
            batch.append(interactions(key, batch_id))
            batch.commit(Counts(1, 1))


def test_every_batch_is_stored_exactly_once(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(tmp_path, n)) for n in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    expected = {f"shared-{n}" for n in range(BATCHES)}
    expected |= {f"own-{p}-{n}" for p in range(PROCESSES) for n in range(BATCHES)}
    for spec in (RAW_INTERACTIONS, OPS_INGEST_LEDGER):
        stored = Lake(lake).table(spec).to_pyarrow_table().column("batch_id").to_pylist()
        assert sorted(stored) == sorted(expected)
