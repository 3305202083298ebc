"""A batch that dies between its commits, at every step."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_service.rows import quarantine_rows
from ingest_service.sinks import delta
from ingest_service.sinks.base import BatchKey, Counts
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.tables import ensure_tables, open_table
from tests.contract.test_sinks import interactions, refs

REASON = [[{"code": "conflicting_event", "field": "event_id", "message": "m"}]]


class Killed(BaseException):
    """Stands for the end of the process."""


def young(batch_id: str) -> BatchKey:
    """A batch of now."""
    return BatchKey("acme", DataType.INTERACTIONS, batch_id, datetime.now(UTC), "csv")


def write(sink: DeltaSink, batch_id: str) -> bool:
    """Run a batch of one good and one quarantined row."""
    batch = sink.begin(young(batch_id))
    batch.append(interactions(young(batch_id), "u1"))
    batch.quarantine(quarantine_rows(young(batch_id), [b"x"], refs(1), REASON))
    return batch.commit(Counts(2, 1, quarantined=1))


def counts(lake: LakeSettings) -> list[int]:
    """Rows in quarantine, ledger and raw."""
    specs = (RAW_QUARANTINE, OPS_INGEST_LEDGER, RAW_INTERACTIONS)
    return [open_table(lake, spec).to_pyarrow_table().num_rows for spec in specs]


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
    ensure_tables(settings)
    assert write(DeltaSink(settings), "whole")
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
        write(DeltaSink(lake), "broken")
    monkeypatch.undo()


@STEPS
def test_unfinished_batch_is_removed_by_recovery_and_may_be_sent_again(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int, left: list[int]
) -> None:
    die_after(commits, lake, monkeypatch)
    assert counts(lake) == [1 + n for n in left]

    sink = DeltaSink(lake)
    assert sink.recover(timedelta(hours=1), lambda _tenant, _batch: False) == 0
    recovered = sink.recover(timedelta(hours=1), lambda _tenant, batch: batch == "broken")

    assert recovered == (1 if commits else 0)
    assert counts(lake) == [1, 1, 1]
    assert write(sink, "again")
    assert counts(lake) == [2, 2, 2]


@STEPS
def test_unfinished_batch_sent_again_under_its_id_is_completed(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int, left: list[int]
) -> None:
    die_after(commits, lake, monkeypatch)

    assert write(DeltaSink(lake), "broken")
    assert counts(lake) == [2, 2, 2]


def test_old_unfinished_batch_is_removed_without_knowing_its_process(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(2, lake, monkeypatch)

    assert DeltaSink(lake).recover(timedelta(0), lambda _tenant, _batch: False) == 1
    assert counts(lake) == [1, 1, 1]
