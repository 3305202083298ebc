"""The service on a memory sink, and two services on one lake."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.dedupe import history
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.report import IngestReport
from ingest_service.service import IngestService
from ingest_service.sinks.base import Sink
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.memory import MemorySink
from ingest_service.upload import FileUpload, Watch, unwatched
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_CLICKSTREAM,
    RAW_INTERACTIONS,
    RAW_ITEMS,
)
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping, TenantSettings
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import NOBODY, EmptySuppressionList, Suppressed
from lakehouse.settings import LakeSettings
from lakehouse.storage.findings import FindingsStore
from lakehouse.storage.tables import ensure_tables, open_table
from tests.support.rows import HEADER, interactions_csv, lines

KEY = "tenant-secret"


def hashed(subject: str) -> str:
    """HMAC-SHA256 with Python's own library."""
    import hashlib
    import hmac

    return hmac.new(KEY.encode(), subject.encode(), hashlib.sha256).hexdigest()


class ListOf:
    """A suppression list that returns these states one after the other, then the last."""

    def __init__(self, *states: Suppressed) -> None:
        self._states = list(states)

    def current(self, tenant_id: str) -> Suppressed:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


class Ticks:
    """A clock that moves a second each time it is asked."""

    def __init__(self) -> None:
        self._now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


def service(
    sink: Sink,
    suppression: object = None,
    chunk_bytes: int = 200,
    lake: LakeSettings | None = None,
) -> IngestService:
    """A service with a new window and small chunks; in a lake it keeps all findings."""
    past = DeltaHistory(sink) if isinstance(sink, DeltaSink) else NoHistory()
    listed = suppression or EmptySuppressionList()
    findings = FindingsStore(lake) if lake else None
    return IngestService(sink, past, DedupeWindows(), listed, Ticks(), chunk_bytes, findings)  # type: ignore[arg-type]


def ingest(
    running: IngestService,
    folder: Path,
    content: str | bytes,
    batch_id: str = "b1",
    on_error: OnError = OnError.REJECT,
    data_type: DataType = DataType.INTERACTIONS,
    watch: Watch = unwatched,
    **options: Any,
) -> IngestReport:
    """Put a file on disk and take it in for tenant `acme`."""
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    mapping, tenant = SourceMapping(), TenantSettings()
    return running.ingest(
        FileUpload(path, "acme", data_type, mapping, tenant, batch_id, on_error, **options), watch
    )


EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["view", "like", "view"]), st.integers(0, 9)),
    min_size=1,
    max_size=30,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(EVENTS, min_size=1, max_size=3), st.sampled_from([64, 200, 10_000]))
def test_every_row_is_accounted_for(
    tmp_path: Path, files: list[list[tuple[int, str, int]]], chunk_bytes: int
) -> None:
    sink = MemorySink()
    suppressed = Suppressed(1, KEY, frozenset({hashed("u9")}))
    running = service(sink, ListOf(suppressed), chunk_bytes)
    known: dict[int, str] = {}
    for number, events in enumerate(files):
        body = "".join(
            f"e{event},u{user if event else 9},i1,{kind},1700000000000\n"
            for event, kind, user in [(e, k, 1) for e, k, _ in events]
        )
        report = ingest(running, tmp_path, f"event_id,{HEADER}{body}", f"b{number}")
        stored = duplicate = conflict = dropped = 0
        for event, kind, _ in events:
            if event == 0:
                dropped += 1
            elif event not in known:
                known[event] = kind
                stored += 1
            elif known[event] == kind:
                duplicate += 1
            else:
                conflict += 1
        counts = report.counts
        assert (counts.stored, counts.duplicate) == (stored, duplicate)
        assert (counts.quarantined, counts.suppressed) == (conflict, dropped)
        assert counts.received == len(events)
    tables = [table for _, table in sink.raw.get(DataType.INTERACTIONS, [])]
    assert sum(table.num_rows for table in tables) == len(known)
    assert sum(table.num_rows for _, table in sink.quarantined) == sum(
        counts.quarantined for _, counts in sink.ledger
    )


def test_good_rows_are_stored_and_wrong_ones_kept_with_bytes_and_every_reason(
    tmp_path: Path,
) -> None:
    sink = MemorySink()
    good = "".join(f"u{n},i1,view,{1_700_000_000_000 + n}\n" for n in range(40))
    bad = ',i1,stare,soon\n"u\nx",i3,view,1\n'
    body = HEADER + good + bad + good + "u1,,view,1700000000000\n"
    report = ingest(service(sink), tmp_path, body, on_error=OnError.QUARANTINE)

    assert report.is_stored
    counts = report.counts
    assert (counts.received, counts.stored, counts.duplicate, counts.quarantined) == (83, 40, 40, 3)
    assert [(e.line, e.code) for e in report.errors.kept] == [
        (42, "missing_value"),
        (42, "unknown_interaction_type"),
        (42, "bad_timestamp"),
        (43, "timestamp_out_of_range"),
        (85, "missing_value"),
    ]
    kept = [row for _, table in sink.quarantined for row in table.to_pylist()]
    assert [(row["raw"], row["source_ref"]) for row in kept] == [
        (b",i1,stare,soon", "line:0000000042"),
        (b'"u\nx",i3,view,1', "line:0000000043"),
        (b"u1,,view,1700000000000", "line:0000000085"),
    ]
    assert [[reason["code"] for reason in row["reasons"]] for row in kept] == [
        ["missing_value", "unknown_interaction_type", "bad_timestamp"],
        ["timestamp_out_of_range"],
        ["missing_value"],
    ]


def test_file_of_wrong_rows_alone_is_a_batch_of_quarantined_rows(tmp_path: Path) -> None:
    sink = MemorySink()
    report = ingest(service(sink), tmp_path, lines(",,,", "u,,,"), "b1", OnError.QUARANTINE)

    assert (report.is_stored, report.counts.stored, report.counts.quarantined) == (True, 0, 2)
    assert [counts.quarantined for _, counts in sink.ledger] == [2]


def test_wrong_row_of_an_erased_person_is_kept_nowhere(tmp_path: Path) -> None:
    sink = MemorySink()
    running = service(sink, ListOf(Suppressed(1, KEY, frozenset({hashed("u1"), hashed("a9")}))))
    body = lines("u1,i1,stare,1700000000000", "u2,i1,stare,1700000000000")
    report = ingest(running, tmp_path, body, on_error=OnError.QUARANTINE)
    clicks = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    body = clicks + "".join(
        f"view,{user},{browser},s1,never\n" for user, browser in (("", "a9"), ("u2", "a1"))
    )
    seen = ingest(running, tmp_path, body, "b2", OnError.QUARANTINE, DataType.CLICKSTREAM)

    for counts in (report.counts, seen.counts):
        assert (counts.received, counts.suppressed, counts.quarantined) == (2, 1, 1)
    kept = b"".join(raw for _, table in sink.quarantined for raw in table["raw"].to_pylist())
    assert b"u1" not in kept
    assert b"a9" not in kept


def test_clickstream_is_stored_and_known_again_after_a_restart(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    body = (
        "event_name,anonymous_id,session_id,url,timestamp,properties\n"
        'page_view,a1,s1,/tea,1700000000000,"{""a"": 1}"\npage_view,a1,s1,,1700000000001,\n'
    )
    for batch_id in ("b1", "b2"):
        report = ingest(
            service(DeltaSink(lake)), tmp_path, body, batch_id, data_type=DataType.CLICKSTREAM
        )

    assert (report.counts.stored, report.counts.duplicate) == (0, 2)
    rows = open_table(lake, RAW_CLICKSTREAM).to_pyarrow_table().to_pylist()
    assert [(row["user_id"], row["url"], row["properties"]) for row in rows] == [
        (None, "/tea", '{"a": 1}'),
        (None, None, None),
    ]


def test_person_erased_while_the_file_is_read_is_not_stored(tmp_path: Path) -> None:
    sink = MemorySink()
    erased = Suppressed(2, KEY, frozenset({hashed("u1")}))
    running = service(sink, ListOf(NOBODY, erased))
    report = ingest(
        running, tmp_path, lines("u1,i1,view,1700000000000", "u2,i1,view,1700000000000")
    )

    assert (report.counts.stored, report.counts.suppressed) == (1, 1)
    ((_, rows),) = sink.raw[DataType.INTERACTIONS]
    assert rows.column("user_id").to_pylist() == ["u2"]


def test_list_that_never_rests_stores_nothing(tmp_path: Path) -> None:
    sink = MemorySink()
    states = [Suppressed(n, KEY, frozenset()) for n in range(20)]
    with pytest.raises(EtaError, match="kept changing"):
        ingest(service(sink, ListOf(*states)), tmp_path, interactions_csv(3))
    assert sink.ledger == []


def test_file_refused_late_stores_nothing_and_forgets_its_rows(tmp_path: Path) -> None:
    sink = MemorySink()
    running = service(sink)
    with pytest.raises(FileRefusedError) as caught:
        ingest(running, tmp_path, interactions_csv(50) + "u1,i1\n")
    report = ingest(running, tmp_path, interactions_csv(50))

    assert (caught.value.code, caught.value.line) == ("ragged_row", 52)
    assert report.counts.stored == 50


def test_fault_of_an_earlier_piece_is_told_before_a_later_one(tmp_path: Path) -> None:
    body = lines("u1,i1") + interactions_csv(5_000).removeprefix(HEADER) + "u\0,i1,view,1\n"
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(MemorySink(), chunk_bytes=64), tmp_path, body)
    assert caught.value.line == 2


def test_error_of_the_sink_is_raised_and_nothing_is_remembered(tmp_path: Path) -> None:
    class Failing(MemorySink):
        def begin(self, batch):  # type: ignore[no-untyped-def]
            raise OSError

    running = service(Failing())
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011
            ingest(running, tmp_path, interactions_csv(3))


def test_rows_of_another_process_are_seen(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    first, second = service(DeltaSink(lake)), service(DeltaSink(lake))
    ingest(first, tmp_path, interactions_csv(30), "b1")
    overlap = ingest(second, tmp_path, interactions_csv(30, first=20), "b2").counts
    again = ingest(first, tmp_path, interactions_csv(60), "b3").counts

    assert (overlap.stored, overlap.duplicate) == (20, 10)
    assert (again.stored, again.duplicate) == (10, 50)
    assert open_table(lake, RAW_INTERACTIONS).to_pyarrow_table().num_rows == 60


def test_same_batch_sent_twice_is_stored_once(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    for _ in range(2):
        ingest(service(DeltaSink(lake)), tmp_path, interactions_csv(30), "b1")

    assert open_table(lake, RAW_INTERACTIONS).to_pyarrow_table().num_rows == 30
    assert open_table(lake, OPS_INGEST_LEDGER).to_pyarrow_table().num_rows == 1


def test_repeat_of_a_stored_batch_is_answered_from_what_is_kept(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    body = interactions_csv(30) + "".join(f"u{n} ,,view,{n}\n" for n in range(1_200))
    first = ingest(service(DeltaSink(lake), lake=lake), tmp_path, body, on_error=OnError.QUARANTINE)
    repeated = ingest(
        service(DeltaSink(lake), lake=lake),
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
    ensure_tables(lake)
    seen: list[tuple[int, int]] = []
    running = service(DeltaSink(lake), lake=lake)
    with pytest.raises(Enough):
        ingest(running, tmp_path, interactions_csv(50) + " u,,view,1\n", watch=stop)

    assert seen == sorted(seen)
    assert [path.name for path in Path(lake.lake).rglob("*.parquet*")] == []
    assert ingest(running, tmp_path, interactions_csv(50)).counts.stored == 50


def test_refused_file_leaves_no_data_files(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    report = ingest(service(DeltaSink(lake)), tmp_path, interactions_csv(60) + "u1,,view,1\n")

    assert not report.is_stored
    assert report.errors.kept[0].line == 62
    assert list(Path(lake.lake).rglob("*.parquet")) == []


def test_file_refused_late_leaves_no_data_files(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    with pytest.raises(FileRefusedError):
        ingest(service(DeltaSink(lake)), tmp_path, interactions_csv(5_000) + "u1,i1\n")

    assert list(Path(lake.lake).rglob("*.parquet")) == []


def test_files_of_this_process_are_not_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    running = service(DeltaSink(lake))
    monkeypatch.setattr(history, "_read", lambda *_: pytest.fail("a file was read"))
    for number in range(3):
        ingest(running, tmp_path, interactions_csv(30, first=number * 10), f"b{number}")

    assert open_table(lake, RAW_INTERACTIONS).to_pyarrow_table().num_rows == 50


@pytest.mark.parametrize("is_merged", [False, True])
def test_item_state_that_comes_back_is_news_also_after_a_restart(
    tmp_path: Path, is_merged: bool
) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    clock = Ticks()
    stored = []
    for number, price in enumerate(("1", "1", "2", "1", "1")):
        sink = DeltaSink(lake)
        running = IngestService(
            sink, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), clock
        )
        body = f"item_id,price\ni1,{price}\ni2,5\n"
        report = ingest(running, tmp_path, body, f"b{number}", data_type=DataType.ITEMS)
        stored.append(report.counts.stored)
        if is_merged:
            open_table(lake, RAW_ITEMS).optimize.compact()

    assert stored == [2, 0, 1, 1, 0]


def test_merged_files_bring_no_row_back_and_no_new_row_is_missed(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path)
    ensure_tables(lake)
    running, other = service(DeltaSink(lake)), service(DeltaSink(lake))
    ingest(running, tmp_path, interactions_csv(30), "b1")
    ingest(other, tmp_path, interactions_csv(30, first=30), "b2")
    open_table(lake, RAW_INTERACTIONS).optimize.compact()
    (merged,) = open_table(lake, RAW_INTERACTIONS).file_uris()
    report = ingest(running, tmp_path, interactions_csv(70), "b3")

    assert "part-b" not in merged
    assert (report.counts.stored, report.counts.duplicate) == (10, 60)
    assert running._windows.of("acme", DataType.INTERACTIONS).row_count == 70
