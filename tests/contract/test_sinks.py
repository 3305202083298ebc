"""One suite for every sink: what `Sink` and `SinkBatch` promise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.places import line_refs
from ingest_service.pipeline.rows import outcome_rows, quarantine_rows, raw_rows
from ingest_service.sinks.base import BatchKey, Sink
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.memory import MemorySink
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_INTERACTIONS,
    RAW_QUARANTINE,
    TableSpec,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.gcs import lake_on_gcs
from tests.support.s3 import lake_on_s3

NOW = datetime(2026, 5, 1, 12, 0, 0, 5, tzinfo=UTC)


@dataclass
class Backend:
    """A sink, how to open another one on the same store, and how to look at what it stored."""

    sink: Sink
    reopen: Callable[[], Sink]
    rows: Callable[[TableSpec], list[dict[str, Any]]]


def delta_backend(settings: LakeSettings) -> Backend:
    """Delta on disk or in an object store."""
    ensure_tables(Lake(settings))

    def rows(spec: TableSpec) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = Lake(settings).table(spec).to_pyarrow_table().to_pylist()
        return found

    return Backend(DeltaSink(Lake(settings)), lambda: DeltaSink(Lake(settings)), rows)


def memory_backend() -> Backend:
    """Lists in memory."""
    sink = MemorySink()

    def rows(spec: TableSpec) -> list[dict[str, Any]]:
        if spec is OPS_INGEST_LEDGER:
            return [
                {"stored": counts.stored, "batch_id": key.batch_id, "received": counts.received}
                for key, counts in sink.ledger
            ]
        tables = sink.raw.get(DataType.INTERACTIONS, [])
        if spec is not RAW_INTERACTIONS:
            tables = sink.quarantined if spec is RAW_QUARANTINE else sink.outcomes
        return [row for _, table in tables for row in table.to_pylist()]

    return Backend(sink, lambda: sink, rows)


@pytest.fixture(params=["memory", "delta", "s3", pytest.param("gs", marks=pytest.mark.nightly)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Every backend in turn."""
    if request.param == "memory":
        return memory_backend()
    if request.param == "delta":
        return delta_backend(LakeSettings(home=tmp_path))
    if request.param == "gs":
        url = request.getfixturevalue("gcs")
        return delta_backend(lake_on_gcs(url, tmp_path, f"sinks/{tmp_path.name}"))
    server = request.getfixturevalue("s3")
    return delta_backend(lake_on_s3(server, tmp_path, f"sinks/{tmp_path.name}"))


def key(batch_id: str = "b1", replay: int = 0) -> BatchKey:
    """A batch of tenant `acme`, or a replay of it."""
    return BatchKey("acme", DataType.INTERACTIONS, batch_id, NOW, "csv", replay)


def outcomes(batch: BatchKey, *places: str) -> pa.Table:
    """Outcomes of rows that a replay stores."""
    count = len(places)
    stored = pl.repeat("stored", count, eager=True)
    return outcome_rows(
        batch, pl.Series(places), stored, pl.repeat(value=False, n=count, eager=True)
    )


def interactions(batch: BatchKey, *users: str) -> pa.Table:
    """Raw rows of these users."""
    frame = pl.DataFrame(
        {
            "event_id": [f"e-{user}" for user in users],
            "user_id": list(users),
            "item_id": ["i1"] * len(users),
            "interaction_type": ["view"] * len(users),
            "event_time": pl.Series([NOW] * len(users), dtype=pl.Datetime("us", "UTC")),
            "rating": pl.Series([None] * len(users), dtype=pl.Float64),
            "device_type": pl.Series(["ios"] * len(users)),
            "location": pl.Series([None] * len(users), dtype=pl.String),
            "session_id": pl.Series([None] * len(users), dtype=pl.String),
        }
    )
    return raw_rows(RAW_INTERACTIONS, frame, refs(len(users)), batch)


def refs(count: int) -> pa.Array:
    """Locators of lines 2, 3, …"""
    return line_refs(pl.Series(range(2, count + 2), dtype=pl.Int64).to_numpy())


def test_committed_rows_are_there_with_everything(backend: Backend) -> None:
    batch = backend.sink.begin(key())
    batch.append(interactions(key(), "u1", "u2"))
    batch.append(interactions(key(), "u3"))
    reason = [[{"code": "conflicting_event", "field": "event_id", "message": "m"}]]
    batch.append_companion(quarantine_rows(key(), [b"x,\xff"], refs(1), reason, SourceLayout()))

    assert batch.commit(Counts(received=4, stored=3, quarantined=1))
    rows = backend.rows(RAW_INTERACTIONS)
    assert [row["user_id"] for row in rows] == ["u1", "u2", "u3"]
    assert rows[0]["context"] == {"device_type": "ios", "location": None, "session_id": None}
    assert (rows[0]["known_at"], rows[0]["batch_id"]) == (NOW, "b1")
    (kept,) = backend.rows(RAW_QUARANTINE)
    assert (kept["raw"], kept["reasons"]) == (b"x,\xff", reason[0])
    assert [entry["stored"] for entry in backend.rows(OPS_INGEST_LEDGER)] == [3]


def test_nothing_is_visible_before_the_commit(backend: Backend) -> None:
    batch = backend.sink.begin(key())
    batch.append(interactions(key(), "u1"))

    assert backend.rows(RAW_INTERACTIONS) == []
    assert not batch.is_committed
    batch.abort()


def test_aborted_batch_leaves_nothing_and_may_be_aborted_twice(backend: Backend) -> None:
    batch = backend.sink.begin(key())
    batch.append(interactions(key(), "u1"))
    batch.abort()
    batch.abort()

    for spec in (RAW_INTERACTIONS, RAW_QUARANTINE, OPS_INGEST_LEDGER):
        assert backend.rows(spec) == []


def test_batch_without_rows_is_committed_all_the_same(backend: Backend) -> None:
    assert backend.sink.begin(key()).commit(Counts(received=5, stored=0, duplicate=5))
    assert backend.reopen().begin(key()).is_committed


def test_retried_batch_adds_nothing(backend: Backend) -> None:
    first = backend.sink.begin(key())
    first.append(interactions(key(), "u1"))
    assert first.commit(Counts(1, 1))
    retried = backend.reopen().begin(key())
    retried.append(interactions(key(), "u1"))

    assert retried.is_committed
    assert not retried.commit(Counts(1, 1))
    assert len(backend.rows(RAW_INTERACTIONS)) == 1
    assert len(backend.rows(OPS_INGEST_LEDGER)) == 1


def test_what_became_of_a_stored_batch_can_be_looked_up(backend: Backend) -> None:
    assert backend.sink.recorded(key()) is None
    batch = backend.sink.begin(key())
    batch.append(interactions(key(), "u1"))
    assert backend.sink.recorded(key()) is None
    batch.commit(Counts(3, 1, duplicate=2))

    assert backend.reopen().recorded(key()) == Counts(3, 1, duplicate=2)
    assert backend.sink.recorded(key("b2")) is None


def test_two_attempts_at_one_batch_at_once_store_it_once(backend: Backend) -> None:
    attempts = [backend.sink.begin(key()), backend.reopen().begin(key())]
    for attempt in attempts:
        attempt.append(interactions(key(), "u1"))
    results = [attempt.commit(Counts(1, 1)) for attempt in attempts]

    assert results == [True, False]
    assert len(backend.rows(RAW_INTERACTIONS)) == 1


def test_batches_of_other_ids_do_not_meet(backend: Backend) -> None:
    for name in ("b1", "b2"):
        batch = backend.sink.begin(key(name))
        batch.append(interactions(key(name), f"u-{name}"))
        batch.commit(Counts(1, 1))

    assert {row["user_id"] for row in backend.rows(RAW_INTERACTIONS)} == {"u-b1", "u-b2"}


def test_replay_amends_its_batch(backend: Backend) -> None:
    first = backend.sink.begin(key())
    first.append_companion(quarantine_rows(key(), [b"x"], refs(1), [[]], SourceLayout()))
    assert first.commit(Counts(received=1, stored=0, quarantined=1))
    replay = backend.sink.begin(key(replay=1))
    assert not replay.is_committed
    replay.append(interactions(key(replay=1), "u1"))
    replay.append_companion(outcomes(key(replay=1), "line:0000000002"))
    assert replay.commit(Counts(received=0, stored=1, quarantined=-1))

    assert backend.reopen().begin(key(replay=1)).is_committed
    assert [row["batch_id"] for row in backend.rows(RAW_INTERACTIONS)] == ["b1"]
    assert sorted(entry["stored"] for entry in backend.rows(OPS_INGEST_LEDGER)) == [0, 1]
    (outcome,) = backend.rows(OPS_REPLAY_OUTCOMES)
    assert (outcome["source_ref"], outcome["outcome"]) == ("line:0000000002", "stored")
    assert len(backend.rows(RAW_QUARANTINE)) == 1


def test_of_two_replays_at_once_one_is_stored(backend: Backend) -> None:
    assert backend.sink.begin(key()).commit(Counts(1, 0, quarantined=1))
    attempts = [backend.sink.begin(key(replay=1)), backend.reopen().begin(key(replay=1))]
    for attempt in attempts:
        attempt.append(interactions(key(replay=1), "u1"))
        attempt.append_companion(outcomes(key(replay=1), "line:0000000002"))
    results = [attempt.commit(Counts(0, 1, quarantined=-1)) for attempt in attempts]

    assert results == [True, False]
    for spec, count in ((RAW_INTERACTIONS, 1), (OPS_REPLAY_OUTCOMES, 1), (OPS_INGEST_LEDGER, 2)):
        assert len(backend.rows(spec)) == count


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="accounted"):
        Counts(received=3, stored=1, duplicate=1)
