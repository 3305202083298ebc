"""Groups of events in Delta tables: what is done beside the commits, and what is not done again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from ingest_service.dedupe import stored_prints
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.pipeline.report import IngestReport
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.events.plain import plain_body
from ingest_service.readers.events.rows import EventRows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.sinks import compaction
from ingest_service.sinks.compaction import Compactor
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import RowsOrder
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import live_files, merge_small_files
from lakehouse.storage.tables import ensure_tables

LIMITS = EventLimits(100, 1_000)
MAPPING, SETTINGS = SourceMapping(), TenantSettings()
COLUMNS = JsonColumns.of(DataType.INTERACTIONS, MAPPING)
MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
_numbers = count()


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def sender(sink: DeltaSink, moment: datetime = MOMENT) -> Callable[..., IngestReport]:
    """Return a function that stores one event by its id, as a batch of its own."""
    ingest = IngestService(
        sink, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), lambda: moment
    )

    def send(event_id: str, tenant_id: str = "t", item: str = "i") -> IngestReport:
        event = {
            "event_id": event_id,
            "user_id": "u",
            "item_id": item,
            "interaction_type": "view",
            "timestamp": 1_767_225_600_000,
        }
        body = plain_body(json.dumps(event).encode(), DataType.INTERACTIONS, LIMITS)
        assert body is not None
        batch_id = f"20260501T000000000000-{next(_numbers):012x}"
        order = RowsOrder(
            tenant_id,
            DataType.INTERACTIONS,
            SourceMapping(),
            "contract",
            TenantSettings(),
            batch_id,
            "api",
        )
        report, _ = ingest.ingest_rows(order, lambda: EventRows([body], COLUMNS))
        return report

    return send


def files_of(lake: LakeSettings) -> int:
    return live_files(Lake(lake).table(RAW_INTERACTIONS)).height


def test_files_are_merged_beside_the_commits_and_no_row_is_known_less(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(stored_prints, "_read", lambda *args: read.append(args[1]))
    monkeypatch.setattr(compaction, "CHECK_EVERY", 1)
    monkeypatch.setattr(compaction, "SMALL_FILES", 3)
    monkeypatch.setattr(
        compaction, "merge_small_files", lambda *args: merge_small_files(*args, above=3)
    )
    sink = DeltaSink(Lake(lake))
    send = sender(sink)
    for number in range(8):
        assert send(f"e{number}").counts.stored == 1
    sink.close()

    assert files_of(lake) < 8
    assert Lake(lake).table(RAW_INTERACTIONS).count() == 8
    assert [send(f"e{number}").counts.duplicate for number in range(8)] == [1] * 8
    assert not read, "merged files were read again"


def test_a_merge_that_falls_behind_is_waited_for(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("CHECK_EVERY", 1), ("SMALL_FILES", 3), ("WAIT_FILES", 3)):
        monkeypatch.setattr(compaction, name, value)
    monkeypatch.setattr(
        compaction, "merge_small_files", lambda *args: merge_small_files(*args, above=3)
    )
    monkeypatch.setattr(Compactor, "_merge", lambda *_: None)
    send = sender(DeltaSink(Lake(lake)))
    for number in range(8):
        send(f"e{number}")
        assert files_of(lake) <= 4


def test_rows_that_another_process_has_stored_are_known(lake: LakeSettings) -> None:
    here, there = sender(DeltaSink(Lake(lake))), sender(DeltaSink(Lake(lake)))
    for number in range(4):
        assert here(f"e{number}").counts.stored == 1
        assert there(f"e{number}").counts.duplicate == 1
