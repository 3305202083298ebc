"""A table handle that breaks costs one request at most, whenever and however it breaks."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import batches
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions
from tests.support.fragile import Fuse, PanicException, fragile_handles
from tests.unit.ingest_service.test_events_on_delta import sender

KINDS = (DeltaError, CommitFailedError, TableNotFoundError, OSError, RuntimeError, PanicException)


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path, sync=False)
    ensure_tables(Lake(settings))
    return settings


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_request_succeeds_whichever_call_of_a_handle_broke(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    fuse, numbers = Fuse(error=kind), count()
    stored: list[str] = []
    with fragile_handles(monkeypatch, fuse):
        send = sender(DeltaSink(Lake(lake)))
        for event in ("first", "second"):
            send(event)
        calls = fuse.calls
        assert calls > 10
        for at in range(1, calls + 1, 2 if kind is DeltaError else 5):
            fuse.at, fuse.calls = at, 0
            send = sender(DeltaSink(Lake(lake)))
            for _ in range(2):
                event = f"e{next(numbers)}"
                with suppress(StorageError):
                    send(event)
                    stored.append(event)
            fuse.at = 0
            event = f"e{next(numbers)}"
            assert send(event).counts.stored == 1, f"call {at}"
            stored.append(event)
            fuse.broken.clear()

    assert {send(event).counts.duplicate for event in stored} == {1}
    assert not check_ledger(Lake(lake)).wrong


def careful(sink: DeltaSink, batch_id: str) -> bool:
    """Store a row as an upload does: it looks up whether the batch is stored."""
    key = BatchKey("t", DataType.INTERACTIONS, batch_id, datetime.now(UTC), "csv")
    batch = sink.begin(key)
    batch.append(interactions(key, "u"))
    return batch.commit(Counts(1, 1)) and sink.recorded(key) == Counts(1, 1)


def test_uploads_and_readers_open_a_broken_handle_again(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse = Fuse(error=DeltaError)
    with fragile_handles(monkeypatch, fuse):
        sink = DeltaSink(Lake(lake))
        assert careful(sink, "clean")
        for at in range(1, fuse.calls + 1):
            fuse.at, fuse.calls = at, 0
            assert careful(sink, f"b{at}"), f"call {at}"
            fuse.at = 0
            found = sink.reading(lambda: batches(sink.table, "t", limit=1))
            assert [one.batch_id for one in found] == [f"b{at}"]


def test_a_table_that_cannot_be_opened_is_refused_by_name_and_used_again_when_it_can(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = DeltaSink(Lake(lake))
    real = Lake.table

    def broken(self: Lake, spec: Any) -> Any:
        if spec is OPS_INGEST_LEDGER:
            raise DeltaError("damaged")
        return real(self, spec)

    monkeypatch.setattr(Lake, "table", broken)
    with pytest.raises(StorageError, match=r"ops\.ingest_ledger") as told:
        careful(sink, "b1")
    assert told.value.retry_after > 0
    assert sink.table(RAW_INTERACTIONS).version() == 0

    monkeypatch.undo()
    assert careful(sink, "b1")
