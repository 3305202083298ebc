"""A batch that dies between its commits, at every step."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import quarantine_rows
from ingest_service.sinks import delta
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sinks.recovery import recover
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions, refs

REASON = [[{"code": "conflicting_event", "field": "event_id", "message": "m"}]]


class Killed(BaseException):
    """Stands for the end of the process."""


def young(batch_id: str) -> BatchKey:
    """A batch of now."""
    return BatchKey("acme", DataType.INTERACTIONS, batch_id, datetime.now(UTC), "csv")


def begun(sink: DeltaSink, batch_id: str) -> DeltaBatch:
    """Begin a batch of one good and one quarantined row."""
    batch = sink.begin(young(batch_id))
    batch.append(interactions(young(batch_id), "u1"))
    batch.append_companion(
        quarantine_rows(young(batch_id), [b"x"], refs(1), REASON, SourceLayout())
    )
    return batch


def write(sink: DeltaSink, batch_id: str) -> bool:
    """Run such a batch."""
    return begun(sink, batch_id).commit(Counts(2, 1, quarantined=1))


def counts(lake: LakeSettings) -> list[int]:
    """Rows in quarantine, ledger and raw."""
    specs = (RAW_QUARANTINE, OPS_INGEST_LEDGER, RAW_INTERACTIONS)
    return [Lake(lake).table(spec).to_pyarrow_table().num_rows for spec in specs]


STEPS = pytest.mark.parametrize(
    ("commits", "left"),
    [
        pytest.param(0, [0, 0, 0], id="before quarantine"),
        pytest.param(1, [1, 0, 0], id="after quarantine"),
        pytest.param(2, [1, 1, 0], id="after ledger"),
    ],
)


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake with one whole batch."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    assert write(DeltaSink(Lake(settings)), "whole")
    return settings


def die_after(commits: int, lake: LakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run batch `broken` in a process that ends after so many commits."""
    real, done = delta.commit_files, []

    def dying(*arguments: Any) -> None:
        if len(done) == commits:
            raise Killed
        real(*arguments)
        done.append(1)

    monkeypatch.setattr(delta, "commit_files", dying)
    with pytest.raises(Killed):
        write(DeltaSink(Lake(lake)), "broken")
    monkeypatch.undo()


@STEPS
def test_unfinished_batch_is_removed_by_recovery_and_may_be_sent_again(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int, left: list[int]
) -> None:
    die_after(commits, lake, monkeypatch)
    assert counts(lake) == [1 + n for n in left]

    sink = DeltaSink(Lake(lake))
    assert recover(sink, timedelta(hours=1), lambda _tenant, _batch: False).removed == 0
    recovered = recover(sink, timedelta(hours=1), lambda _tenant, batch: batch == "broken")

    assert recovered.removed == (1 if commits else 0)
    assert counts(lake) == [1, 1, 1]
    assert write(sink, "again")
    assert counts(lake) == [2, 2, 2]


@STEPS
def test_unfinished_batch_sent_again_under_its_id_is_completed(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int, left: list[int]
) -> None:
    die_after(commits, lake, monkeypatch)

    assert write(DeltaSink(Lake(lake)), "broken")
    assert counts(lake) == [2, 2, 2]


def test_old_unfinished_batch_is_removed_without_knowing_its_process(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(2, lake, monkeypatch)

    assert recover(DeltaSink(Lake(lake)), timedelta(0), lambda _tenant, _batch: False).removed == 1
    assert counts(lake) == [1, 1, 1]


def test_attempt_that_was_given_up_cannot_be_stored_and_leaves_nothing(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = begun(DeltaSink(Lake(lake)), "slow")
    real = waiting._sink.commit_if

    def paused(*arguments: Any, **named: Any) -> bool:
        if arguments[0] is RAW_INTERACTIONS:
            assert (
                recover(DeltaSink(Lake(lake)), timedelta(0), lambda _tenant, _batch: False).removed
                == 1
            )
        return real(*arguments, **named)

    monkeypatch.setattr(waiting._sink, "commit_if", paused)
    with pytest.raises(EtaError, match="given up for dead"):
        waiting.commit(Counts(2, 1, quarantined=1))
    monkeypatch.undo()

    assert counts(lake) == [1, 1, 1]
    assert write(DeltaSink(Lake(lake)), "slow")
    assert counts(lake) == [2, 2, 2]


def test_second_attempt_replaces_the_counts_of_a_killed_one(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(2, lake, monkeypatch)
    again = DeltaSink(Lake(lake)).begin(young("broken"))
    assert again.commit(Counts(2, 0, duplicate=2))

    ledger = Lake(lake).table(OPS_INGEST_LEDGER).to_pyarrow_table().to_pylist()
    assert [row["duplicate"] for row in ledger if row["batch_id"] == "broken"] == [2]
    assert counts(lake) == [1, 2, 1]


def test_commit_that_fails_half_way_leaves_every_table_readable(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delta.commit_files

    def failing(*arguments: Any) -> None:
        if arguments[1] is OPS_INGEST_LEDGER:
            raise OSError
        real(*arguments)

    monkeypatch.setattr(delta, "commit_files", failing)
    batch = begun(DeltaSink(Lake(lake)), "broken")
    with pytest.raises(StorageError, match=r"ops\.ingest_ledger"):
        batch.commit(Counts(2, 1, quarantined=1))
    batch.abort()

    assert counts(lake) == [2, 1, 1]
