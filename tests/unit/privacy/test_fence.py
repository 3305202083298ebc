"""No commit overtakes an erasure: what was read under an older list is never stored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import quarantine_rows
from ingest_service.sinks.base import OutdatedError
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.sink import FencedError
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.privacy.fence import raise_fence
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions, key, refs
from tests.unit.ingest_service.test_stream_sink import Process

TABLES = (RAW_INTERACTIONS, RAW_QUARANTINE, OPS_INGEST_LEDGER)


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path / "home", project_dir=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def asked_a_moment_before(lake: LakeSettings, after: int) -> Callable[[], bool]:
    """The answer is yes, and the erasure comes between the `after`-th answer and its commit."""
    answers: list[bool] = []

    def is_current() -> bool:
        answers.append(len(answers) < after)
        if len(answers) == after:
            raise_fence(Lake(lake))
        return answers[-1]

    return is_current


@pytest.mark.parametrize("is_first", [True, False], ids=["a new id", "any id"])
@pytest.mark.parametrize("after", [1, 3], ids=["before the quarantine's", "before raw's"])
def test_a_request_between_question_and_commit_stops_the_commit(
    lake: LakeSettings, is_first: bool, after: int
) -> None:
    batch = DeltaSink(Lake(lake)).begin(replace(key(), is_first=is_first))
    batch.append(interactions(key(), "u1"))
    reason = [[{"code": "conflicting_event", "field": "event_id", "message": "m"}]]
    batch.append_companion(quarantine_rows(key(), [b"u1,x"], refs(1), reason, SourceLayout()))
    with pytest.raises(OutdatedError):
        batch.commit(Counts(2, 1, quarantined=1), asked_a_moment_before(lake, after))
    for spec in TABLES:
        assert Lake(lake).table(spec).to_pyarrow_table().num_rows == 0
    assert not list(Path(lake.lake, "raw/interactions").glob("tenant_id=*/*/*.parquet")), (
        "no orphans"
    )


def test_messages_of_a_topic_are_stopped_as_well(lake: LakeSettings) -> None:
    consumer = Process(lake)
    consumer.take_over(0)
    prepared = consumer.prepare(3, 0)
    with prepared.held, pytest.raises(FencedError):
        consumer.sink.store(prepared.rows, prepared.ranges, asked_a_moment_before(lake, 2))
    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 0
    consumer.take_over(0)
    consumer.store(consumer.prepare(3, 0))
    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 3


def test_a_batch_whose_list_did_not_change_passes_the_fence(lake: LakeSettings) -> None:
    batch = DeltaSink(Lake(lake)).begin(key())
    batch.append(interactions(key(), "u1"))
    raise_fence(Lake(lake))
    assert batch.commit(Counts(1, 1), lambda: True)
    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 1
