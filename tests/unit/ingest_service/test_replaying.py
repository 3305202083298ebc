"""Replays of quarantined rows: killed at every step, two at once, and what they leave alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.readers.quarantined import read_edited
from ingest_service.sinks import delta
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sources.replay import ReplayedBatch, Replayer, ReplayOrder
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.tables import OPS_REPLAY_OUTCOMES, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import EmptySuppressionList, Suppressed
from lakehouse.settings import LakeSettings
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.quarantine_export import export_rows
from lakehouse.storage.tables import ensure_tables
from tests.support.rows import lines
from tests.support.tables import avro, parquet
from tests.unit.ingest_service.test_delta_recovery import Killed
from tests.unit.ingest_service.test_service import KEY, ListOf, hashed, ingest, service

MENDED = TenantSettings(
    sources={"default": SourceMapping(values={"interaction_type": {"stare": "view"}})}
)
BODY = lines(
    "u1,i1,view,1700000000000",
    "u2,i1,stare,1700000000000",
    "u3,i1,stare,soon",
    "u1,i1,stare,1700000000000",
    "u4,i1,stare,1700000000000,more",
)


def as_parquet(row: dict[str, Any]) -> bytes:
    """A row as a Parquet file."""
    return parquet(pa.Table.from_pylist([row]))


def as_avro(row: dict[str, Any]) -> bytes:
    """A row as an Avro file."""
    record = {"type": "record", "name": "More", "fields": [{"name": "hash", "type": "bytes"}]}
    kind = record if isinstance(row["more"], dict) else "bytes"
    return avro({"item_id": "string", "price": "string", "more": kind}, [row])


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake with a batch of one good row and four in quarantine."""
    settings = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(settings))
    report = ingest(service(DeltaSink(Lake(settings))), tmp_path, BODY, on_error=OnError.QUARANTINE)
    assert (report.counts.stored, report.counts.quarantined) == (1, 4)
    return settings


def replay(lake: LakeSettings, suppression: Any = None, **order: Any) -> list[ReplayedBatch]:
    """Replay in a process of its own, as far as handles and windows go."""
    sink = DeltaSink(Lake(lake))
    listed = suppression or EmptySuppressionList()
    replayer = Replayer(
        sink, sink.table, DeltaHistory(sink), DedupeWindows(), listed, lambda: datetime.now(UTC)
    )
    return replayer.replay(ReplayOrder("acme", **{"settings": MENDED, **order}))


def users(lake: LakeSettings) -> list[str]:
    """The users of all raw rows."""
    found: list[str] = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table()["user_id"].to_pylist()
    return sorted(found)


def open_places(lake: LakeSettings) -> list[str]:
    """The lines that are still in quarantine."""
    pieces = Quarantine(cache(Lake(lake).table), "acme").rows()
    return [ref for piece in pieces for ref in piece["source_ref"].to_list()]


def test_what_is_good_now_lands_and_the_rest_stays(lake: LakeSettings) -> None:
    (found,) = replay(lake)

    assert (found.tried, found.stored, found.duplicate, found.still_open) == (4, 1, 1, 2)
    assert found.still_open_by_code == {"bad_timestamp": 1, "unreadable": 1}
    assert users(lake) == ["u1", "u2"]
    assert open_places(lake) == ["line:0000000004", "line:0000000006"]
    (again,) = replay(lake)
    assert (again.tried, again.stored) == (2, 0)
    assert Lake(lake).table(RAW_QUARANTINE).to_pyarrow_table().num_rows == 4
    outcomes = Lake(lake).table(OPS_REPLAY_OUTCOMES).to_pyarrow_table()
    assert sorted(outcomes["outcome"].to_pylist()) == ["duplicate", "stored"]
    assert check_ledger(Lake(lake)).wrong == ()


def test_rows_that_could_not_be_written_do_not_leave_the_quarantine(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("the storage is full", remedy="make room")

    with monkeypatch.context() as patches:
        patches.setattr(DeltaBatch, "append", full)
        with pytest.raises(StorageError):
            replay(lake)
    assert (users(lake), len(open_places(lake))) == (["u1"], 4)
    assert check_ledger(Lake(lake)).wrong == ()


@pytest.mark.parametrize("commits", [0, 1, 2])
def test_killed_replay_changes_nothing_and_is_done_by_the_next(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    real, done = delta.commit_files, []

    def dying(*arguments: Any) -> None:
        if len(done) == commits:
            raise Killed
        real(*arguments)
        done.append(1)

    monkeypatch.setattr(delta, "commit_files", dying)
    with pytest.raises(Killed):
        replay(lake)
    monkeypatch.undo()
    assert check_ledger(Lake(lake)).wrong == ()
    assert (users(lake), len(open_places(lake))) == (["u1"], 4)

    assert [batch.stored for batch in replay(lake)] == [1]
    assert [batch.stored for batch in replay(lake)] == [0]
    assert (users(lake), len(open_places(lake))) == (["u1", "u2"], 2)
    assert check_ledger(Lake(lake)).wrong == ()


def test_of_two_replays_at_once_each_row_lands_once(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, others = delta.commit_files, []

    def overtaken(table: Any, spec: Any, *rest: Any) -> None:
        if spec is RAW_INTERACTIONS and not others:
            others.append(1)
            assert [batch.stored for batch in replay(lake)] == [1]
        real(table, spec, *rest)

    monkeypatch.setattr(delta, "commit_files", overtaken)
    assert [batch.stored for batch in replay(lake)] == [0]

    assert users(lake) == ["u1", "u2"]
    assert check_ledger(Lake(lake)).wrong == ()


def test_rows_of_an_erased_person_are_dropped(lake: LakeSettings) -> None:
    erased = Suppressed(1, KEY, frozenset({hashed("u2"), hashed("u3")}))
    (found,) = replay(lake, ListOf(erased))

    assert (found.stored, found.duplicate, found.suppressed) == (0, 1, 2)
    assert users(lake) == ["u1"]
    assert check_ledger(Lake(lake)).wrong == ()


def test_edited_rows_alone_are_tried(lake: LakeSettings, tmp_path: Path) -> None:
    exported = tmp_path / "bad.csv"
    assert export_rows(Quarantine(cache(Lake(lake).table), "acme").rows(), exported) == 4
    assert exported.stat().st_mode & 0o077 == 0
    header, *rows = exported.read_text().splitlines()
    assert rows[3] == "b1,6,ragged_row (),u4,i1,stare,1700000000000,more"
    kept = [header, rows[3].removesuffix(",more").replace("stare", "like")]
    exported.write_text("\n".join(kept) + "\n")
    (found,) = replay(lake, settings=TenantSettings(), edited=read_edited(exported))

    assert (found.tried, found.stored) == (1, 1)
    assert users(lake) == ["u1", "u4"]
    assert len(open_places(lake)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("user_id\nu1\n", "does not begin with", id="another file"),
        pytest.param("", "does not begin with", id="empty file"),
        pytest.param("eta_batch,eta_line,eta_reasons,a\nb,2,x\n", "line 2 .* fewer", id="short"),
        pytest.param(
            "eta_batch,eta_line,eta_reasons,a\nb,2,x,1\nb,02,x,2\n", "line 3 .* earlier", id="twice"
        ),
        pytest.param('eta_batch,eta_line,eta_reasons,a\nb,2,x,"1\n', "not CSV", id="open quote"),
    ],
)
def test_edited_file_with_a_fault_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(EtaError, match=message):
        read_edited(path)


def test_a_row_that_names_columns_is_no_row_in_a_replay(lake: LakeSettings, tmp_path: Path) -> None:
    """The header that names of a mapping stand for is not known any more."""
    names = SourceMapping(
        names=["user_id", "item_id"],
        constants={"interaction_type": "view", "timestamp": "1700000000000"},
    )
    path = tmp_path / "rows.csv"
    path.write_text("K1,A7\na,b\nK1,A7\n")
    own = TenantSettings(sources={"default": names})
    quarantine = OnError.QUARANTINE
    upload = FileUpload(path, "acme", DataType.INTERACTIONS, names, own, "b2", quarantine)
    assert service(DeltaSink(Lake(lake))).ingest(upload).counts.quarantined == 1
    (found,) = replay(lake, batch_id="b2", settings=own)
    assert (found.stored, found.still_open_by_code) == (0, {"repeated_header": 1})
    rows = TenantSettings(sources={"default": names.model_copy(update={"header_rows": "none"})})
    (found,) = replay(lake, batch_id="b2", settings=rows)
    assert (found.stored, found.still_open) == (1, 0)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("write", [as_parquet, as_avro])
def test_bytes_that_are_no_text_do_not_become_their_base64(
    lake: LakeSettings, tmp_path: Path, write: Callable[[dict[str, Any]], bytes], nested: bool
) -> None:
    value = {"hash": b"\xff\xfe"} if nested else b"\xff\xfe"
    path = tmp_path / "rows"
    path.write_bytes(write({"item_id": "i", "price": "x", "more": value}))
    wanted = "attributes" if nested else "title"
    first = SourceMapping(columns={wanted: "more"} if nested else {})
    upload = FileUpload(
        *(path, "acme", DataType.ITEMS, first, TenantSettings(), "b2", OnError.QUARANTINE),
        format=FileFormat.AUTO,
    )
    assert service(DeltaSink(Lake(lake))).ingest(upload).counts.quarantined == 1
    reads = SourceMapping(columns={wanted: "more", "price": "none"}, constants={"price": "1"})
    settings = TenantSettings(sources={"default": reads})
    (found,) = replay(lake, batch_id="b2", settings=settings)
    assert (found.stored, found.still_open_by_code) == (0, {"unreadable": 1})
    export = tmp_path / "edited.csv"
    export_rows(Quarantine(cache(Lake(lake).table), "acme", "b2").rows(), export)
    (found,) = replay(lake, batch_id="b2", settings=settings, edited=read_edited(export))
    assert (found.stored, found.still_open_by_code) == (0, {"unreadable": 1})
    others = SourceMapping(columns={"price": "none"}, constants={"price": "1"})
    (found,) = replay(lake, batch_id="b2", settings=TenantSettings(sources={"default": others}))
    assert found.stored == (0 if nested else 1)


def test_mapping_that_is_gone_is_told_for_its_batch(lake: LakeSettings) -> None:
    (found,) = replay(lake, mapping="gone")
    assert found.refusal is not None
    assert "no source mapping" in found.refusal
    assert (found.tried, found.still_open) == (4, 4)
    assert found.still_open_by_code == {"unreadable": 1}


def test_line_that_a_stray_quote_makes_doubtful_waits_for_an_edit(
    lake: LakeSettings, tmp_path: Path
) -> None:
    # The second line has all columns, and may be text of the field that the first one opens.
    doubtful = 'd1,"i1,view,1700000000000', "d2,i1,view,1700000000000"
    body = lines(*doubtful, 'd3,"i1",view,1700000000000')
    report = ingest(
        service(DeltaSink(Lake(lake))), tmp_path, body, batch_id="b2", on_error=OnError.QUARANTINE
    )
    assert (report.counts.stored, report.counts.quarantined) == (1, 2)
    (found,) = replay(lake, batch_id="b2")
    assert (found.tried, found.stored, found.still_open) == (2, 0, 2)
    assert "d2" not in users(lake)

    export = tmp_path / "edited.csv"
    export_rows(Quarantine(cache(Lake(lake).table), "acme", "b2").rows(), export)
    export.write_text(export.read_text().splitlines()[0] + "\nb2,3,,d2,i1,view,1700000000000\n")
    (edited,) = replay(lake, edited=read_edited(export))
    assert edited.stored == 1
    assert "d2" in users(lake)


def test_a_row_that_contradicts_a_stored_one_stays_open_when_the_window_has_forgotten_that(
    tmp_path: Path,
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    header = "event_id,user_id,item_id,interaction_type,timestamp\n"
    said = [f"same{n},u,{item},view,1700000000000\n" for n in range(8) for item in ("i1", "i2")]
    body = header + "".join(said)
    running = service(DeltaSink(Lake(lake)))
    ingest(running, tmp_path, body, on_error=OnError.QUARANTINE)
    more = "".join(f"e{number},u,i,view,1700000000000\n" for number in range(50))
    ingest(running, tmp_path, header + more, "b2")
    sink = DeltaSink(Lake(lake))
    windows, nobody = DedupeWindows(10), EmptySuppressionList()
    replayer = Replayer(
        sink, sink.table, DeltaHistory(sink), windows, nobody, lambda: datetime.now(UTC)
    )
    for _ in range(2):
        (done,) = replayer.replay(ReplayOrder("acme", MENDED))
        assert (done.stored, done.still_open_by_code) == (0, {"conflicting_event": 8})
