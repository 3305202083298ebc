"""The service on a lake, and two services on one."""

from pathlib import Path

import pytest

from ingest_service.dedupe import stored_prints
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.ingest import IngestService
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
)
from lakehouse.contracts.tenant import DataType, OnError
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.ingesting import Ticks, ingest, service
from tests.support.rows import interactions_csv


def test_clickstream_is_stored_and_known_again_after_a_restart(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    body = (
        "event_name,anonymous_id,session_id,url,timestamp,properties\n"
        'page_view,a1,s1,/tea,1700000000000,"{""a"": 1}"\npage_view,a1,s1,,1700000000001,\n'
    )
    for batch_id in ("b1", "b2"):
        report = ingest(
            service(DeltaSink(Lake(lake))), tmp_path, body, batch_id, data_type=DataType.CLICKSTREAM
        )

    assert (report.counts.stored, report.counts.duplicate) == (0, 2)
    rows = Lake(lake).table(RAW_CLICKSTREAM).to_pyarrow_table().to_pylist()
    assert [(row["user_id"], row["url"], row["properties"]) for row in rows] == [
        (None, "/tea", '{"a": 1}'),
        (None, None, None),
    ]


def test_rows_of_another_process_are_seen(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    first, second = service(DeltaSink(Lake(lake))), service(DeltaSink(Lake(lake)))
    ingest(first, tmp_path, interactions_csv(30), "b1")
    overlap = ingest(second, tmp_path, interactions_csv(30, first=20), "b2").counts
    again = ingest(first, tmp_path, interactions_csv(60), "b3").counts

    assert (overlap.stored, overlap.duplicate) == (20, 10)
    assert (again.stored, again.duplicate) == (10, 50)
    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 60


def test_same_batch_sent_twice_is_stored_once(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    for _ in range(2):
        ingest(service(DeltaSink(Lake(lake))), tmp_path, interactions_csv(30), "b1")

    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 30
    assert Lake(lake).table(OPS_INGEST_LEDGER).to_pyarrow_table().num_rows == 1


def test_repeat_of_a_stored_batch_is_answered_from_what_is_kept(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    body = interactions_csv(30) + "".join(f"u{n} ,,view,{n}\n" for n in range(1_200))
    first = ingest(
        service(DeltaSink(Lake(lake)), lake=lake), tmp_path, body, on_error=OnError.QUARANTINE
    )
    repeated = ingest(
        service(DeltaSink(Lake(lake)), lake=lake),
        tmp_path,
        body,
        on_error=OnError.QUARANTINE,
        is_repeat=True,
    )

    assert repeated.counts == first.counts
    assert (repeated.errors.total, repeated.errors.rows) == (2_400, 1_200)
    for kept, told in ((repeated.errors, first.errors), (repeated.warnings, first.warnings)):
        assert (kept.kept, kept.by_code) == (told.kept, told.by_code)


def test_reading_that_is_stopped_stores_nothing(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(bytes_read: int, rows: int) -> None:
        seen.append((bytes_read, rows))
        if rows >= 20:
            raise Enough

    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    seen: list[tuple[int, int]] = []
    running = service(DeltaSink(Lake(lake)), lake=lake)
    with pytest.raises(Enough):
        ingest(running, tmp_path, interactions_csv(50) + " u,,view,1\n", watch=stop)

    assert seen == sorted(seen)
    assert [path.name for path in Path(lake.lake).rglob("*.parquet*")] == []
    assert ingest(running, tmp_path, interactions_csv(50)).counts.stored == 50


def test_refused_file_leaves_no_data_files(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    report = ingest(service(DeltaSink(Lake(lake))), tmp_path, interactions_csv(60) + "u1,,view,1\n")

    assert not report.is_stored
    assert report.errors.kept[0].line == 62
    assert list(Path(lake.lake).rglob("*.parquet")) == []


def test_file_refused_late_leaves_no_data_files(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    with pytest.raises(FileRefusedError):
        ingest(service(DeltaSink(Lake(lake))), tmp_path, interactions_csv(5_000) + 'u1,"i1\n')

    assert list(Path(lake.lake).rglob("*.parquet")) == []


def test_files_of_this_process_are_not_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    running = service(DeltaSink(Lake(lake)))
    monkeypatch.setattr(stored_prints, "_read", lambda *_: pytest.fail("a file was read"))
    for number in range(3):
        ingest(running, tmp_path, interactions_csv(30, first=number * 10), f"b{number}")

    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 50


@pytest.mark.parametrize("is_merged", [False, True])
def test_item_state_that_comes_back_is_news_also_after_a_restart(
    tmp_path: Path, is_merged: bool
) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    clock = Ticks()
    stored = []
    for number, price in enumerate(("1", "1", "2", "1", "1")):
        sink = DeltaSink(Lake(lake))
        running = IngestService(
            sink, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), clock
        )
        body = f"item_id,price\ni1,{price}\ni2,5\n"
        report = ingest(running, tmp_path, body, f"b{number}", data_type=DataType.ITEMS)
        stored.append(report.counts.stored)
        if is_merged:
            Lake(lake).table(RAW_ITEMS).optimize.compact()

    assert stored == [2, 0, 1, 1, 0]


def test_merged_files_bring_no_row_back_and_no_new_row_is_missed(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(Lake(lake))
    running, other = service(DeltaSink(Lake(lake))), service(DeltaSink(Lake(lake)))
    ingest(running, tmp_path, interactions_csv(30), "b1")
    ingest(other, tmp_path, interactions_csv(30, first=30), "b2")
    Lake(lake).table(RAW_INTERACTIONS).optimize.compact()
    (merged,) = Lake(lake).table(RAW_INTERACTIONS).file_uris()
    report = ingest(running, tmp_path, interactions_csv(70), "b3")

    assert "part-b" not in merged
    assert (report.counts.stored, report.counts.duplicate) == (10, 60)
    assert running._windows.of("acme", DataType.INTERACTIONS).row_count == 70
