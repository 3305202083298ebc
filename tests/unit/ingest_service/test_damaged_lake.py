"""Damage of a table or a file is named, hurts few, is never taken for emptiness."""

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest_service import readiness
from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.recovery import recover
from lakehouse.cli.main import app
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    RAW_QUARANTINE,
    TableSpec,
)
from lakehouse.settings import LakeSettings
from lakehouse.storage import acknowledged
from lakehouse.storage.damage import DamagedError
from lakehouse.storage.faults import StorageError
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.repair import repair_tables
from lakehouse.storage.tables import ensure_tables
from tests.unit.ingest_service.test_events_on_delta import sender as sender_at


def sender(sink: DeltaSink) -> Callable[..., IngestReport]:
    """Return a function that stores one event now."""
    return sender_at(sink, datetime.now(UTC))


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake with two events of `t` and one of `other`, each a batch."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    send = sender(DeltaSink(Lake(settings)))
    for event, tenant in (("e1", "t"), ("e2", "t"), ("e3", "other")):
        send(event, tenant)
    return settings


def data_file(lake: LakeSettings, spec: TableSpec, tenant: str = "t") -> Path:
    """A tenant's oldest data file."""
    folder = Path(lake.lake, spec.path)
    return min(
        folder.glob(f"tenant_id={tenant}/*/*.parquet"), key=lambda path: path.stat().st_mtime
    )


def newest_entry(lake: LakeSettings, spec: TableSpec) -> Path:
    """The newest entry of a table's log."""
    return max(Path(lake.lake, spec.path, "_delta_log").glob("*.json"))


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = pytest.mark.parametrize("spoil", [damage_missing, damage_empty, damage_cut])


@DAMAGES
def test_a_damaged_data_file_stops_its_tenant_alone_and_is_named(
    lake: LakeSettings, spoil: Callable[[Path], None]
) -> None:
    path = data_file(lake, RAW_INTERACTIONS)
    content = path.read_bytes()
    spoil(path)
    sink = DeltaSink(Lake(lake))

    done = recover(sink, timedelta(0), lambda *_: True)
    assert (done.removed, done.lost) == (0, [])
    assert any(path.name in damage for damage in done.damage)

    send = sender(sink)
    assert send("e3", "other").counts.duplicate == 1  # the others' history is whole
    for _ in range(3):  # it is not known whether e1 is new, however often that is asked
        with pytest.raises(DamagedError, match=path.name) as refused:
            send("e1", "t")
        assert "tenant t" in refused.value.message

    found = check_ledger(Lake(lake))
    assert [(one.table, one.tenant_id) for one in found.damage] == [("raw.interactions", "t")]
    assert found.damage[0].file.endswith(path.name)
    assert [(one.tenant_id, one.problem) for one in found.wrong] == [("t", "stored 1, raw holds 0")]
    assert found.lost == 1

    path.write_bytes(content)
    assert [send(event, "t").counts.duplicate for event in ("e1", "e2")] == [1, 1]
    assert check_ledger(Lake(lake)).is_clean


@pytest.mark.parametrize("spec", [RAW_QUARANTINE, OPS_INGEST_LEDGER])
def test_a_damaged_file_beside_raw_does_not_stop_the_start(
    lake: LakeSettings, spec: TableSpec
) -> None:
    sender(DeltaSink(Lake(lake)))("e1", "t", item="another")  # a conflict: goes to quarantine
    path = data_file(lake, spec)
    path.unlink()
    sink = DeltaSink(Lake(lake))

    assert any(path.name in one for one in recover(sink, timedelta(0), lambda *_: True).damage)
    assert sender(sink)("e4", "t").counts.stored == 1
    found = check_ledger(Lake(lake))
    assert [one.table for one in found.damage] == [spec.full_name]
    assert {one.tenant_id for one in found.wrong} == {"t"}


@pytest.mark.parametrize("spec", [RAW_INTERACTIONS, RAW_ITEMS, RAW_QUARANTINE, OPS_INGEST_LEDGER])
def test_half_a_commit_is_of_its_table_alone(lake: LakeSettings, spec: TableSpec) -> None:
    entry = newest_entry(lake, spec)
    content = entry.read_bytes()
    damage_cut(entry)
    sink = DeltaSink(Lake(lake))
    times = iter(range(0, 1_000, 10)).__next__
    looked = readiness.Readiness(lake, sink, lambda: None, clock=times)
    assert [one.code for one in looked.problems()][-1] == "starting"
    looked.observe_lost(False)

    done = recover(sink, timedelta(0), lambda *_: True)
    assert any(entry.name in damage for damage in done.damage)
    assert (done.removed, done.lost) == (0, [])
    assert [one.part for one in looked.problems()] == [spec.full_name]
    send = sender(sink)
    if spec in (RAW_INTERACTIONS, OPS_INGEST_LEDGER):
        with pytest.raises(StorageError, match=entry.name):
            send("e4", "t")
    else:
        assert send("e4", "t").counts.stored == 1
    found = check_ledger(Lake(lake))
    assert [(one.table, one.file) for one in found.damage] == [
        (spec.full_name, f"_delta_log/{entry.name}")
    ]
    assert not found.is_clean

    entry.write_bytes(content)
    assert send("e5", "t").counts.stored == 1
    assert not looked.problems()
    assert check_ledger(Lake(lake)).is_clean


@pytest.mark.parametrize("spec", [RAW_INTERACTIONS, OPS_INGEST_LEDGER])
def test_an_acknowledged_batch_that_is_gone_is_lost_and_keeps_its_evidence(
    lake: LakeSettings, spec: TableSpec
) -> None:
    damage_empty(newest_entry(lake, spec))  # delta-rs takes it for a commit of nothing

    done = recover(DeltaSink(Lake(lake)), timedelta(0), lambda *_: True)
    assert done.removed == 0
    found = check_ledger(Lake(lake))
    assert [one.tenant_id for one in found.wrong] == ["other"]
    if spec is RAW_INTERACTIONS:
        assert found.lost == 1
        assert len(done.lost) == 1
        assert Lake(lake).table(OPS_INGEST_LEDGER).count() == 3


def test_a_loss_is_told_by_the_command_until_it_is_given_up(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    damage_empty(newest_entry(lake, RAW_INTERACTIONS))
    batch = check_ledger(Lake(lake)).wrong[0].batch_id
    run = CliRunner().invoke

    told = run(app, ["ledger", "check"])
    assert told.exit_code == 1
    assert batch in told.output
    assert run(app, ["ledger", "give-up", "--tenant", "t", "--batch", batch]).exit_code == 1
    assert run(app, ["ledger", "give-up", "--tenant", "other", "--batch", batch]).exit_code == 0
    assert run(app, ["ledger", "check"]).exit_code == 0
    assert recover(DeltaSink(Lake(lake)), timedelta(0), lambda *_: True).removed == 1
    assert sender(DeltaSink(Lake(lake)))("e3", "other").counts.stored == 1
    assert check_ledger(Lake(lake)).is_clean


def test_the_command_names_a_damaged_table_and_goes_on(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    entry = newest_entry(lake, RAW_ITEMS)
    damage_cut(entry)

    told = CliRunner().invoke(app, ["ledger", "check"])

    assert told.exit_code == 1
    assert f"raw.items: _delta_log/{entry.name}" in told.output
    assert "What to do" in told.output
    assert "3 batches with 3 rows" in told.output


def test_lines_of_acknowledgements_that_were_cut_off_count_for_nothing(
    lake: LakeSettings,
) -> None:
    (path,) = Path(lake.lake, acknowledged.FOLDER).glob("*.csv")
    whole = path.read_bytes()
    for end in range(len(whole) - 30, len(whole)):
        path.write_bytes(whole[:end])
        found = check_ledger(Lake(lake))
        assert found.is_clean
        assert found.batches == 3
    assert json.dumps(whole.decode()).count("e1") == 0  # ids of batches, none of events


@DAMAGES
def test_repair_takes_out_what_is_damaged_and_the_rest_goes_on(
    lake: LakeSettings, spoil: Callable[[Path], None]
) -> None:
    spoil(data_file(lake, RAW_INTERACTIONS))
    damage_cut(newest_entry(lake, OPS_INGEST_LEDGER))

    seen = repair_tables(Lake(lake), dry_run=True)
    assert seen == repair_tables(Lake(lake), dry_run=True)
    assert [one.table for one in repair_tables(Lake(lake), dry_run=False)] == [
        one.table for one in seen
    ]
    assert repair_tables(Lake(lake), dry_run=False) == []

    found = check_ledger(Lake(lake))
    assert not found.damage
    assert found.lost == 1  # e1; of e3 the ledger's entry is gone, its row is not
    assert [one.tenant_id for one in found.wrong] == ["other", "t"]
    send = sender(DeltaSink(Lake(lake)))
    assert [send(event, "t").counts.stored for event in ("e1", "e2")] == [1, 0]


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "storage_full"), (errno.EROFS, "storage_read_only")]
)
@pytest.mark.parametrize("name", ["the lake", "the log of raw.items", "the control database"])
def test_a_process_that_cannot_write_is_not_ready_and_says_why(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, number: int, code: str, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    broken = {"the lake": Path(lake.lake), "the log of raw.items": None}.get(name)
    if name == "the log of raw.items":
        broken = Path(lake.lake, RAW_ITEMS.path, "_delta_log")
    real = readiness._try_to_write

    def write(folder: Path, size: int) -> None:
        refuse() if folder == broken else real(folder, size)

    times = iter(range(0, 1_000, 10)).__next__
    ping = refuse if broken is None else lambda: None
    looked = readiness.Readiness(lake, DeltaSink(Lake(lake)), ping, clock=times)
    looked.observe_lost(False)
    monkeypatch.setattr(readiness, "_try_to_write", write)
    (found,) = looked.problems()
    assert (found.code, found.part) == (code, name)
    assert found.remedy

    monkeypatch.undo()
    if broken is not None:
        assert not looked.problems()
    looked.observe_lost(True)
    assert [one.code for one in looked.problems()][-1] == "lost"
    assert not list(Path(lake.lake).rglob(".ready-*"))


def test_acknowledgements_that_cannot_be_read_keep_every_evidence(lake: LakeSettings) -> None:
    damage_empty(newest_entry(lake, RAW_INTERACTIONS))
    (path,) = Path(lake.lake, acknowledged.FOLDER).glob("*.csv")
    path.rename(path.with_name("away"))
    path.symlink_to("nowhere")

    done = recover(DeltaSink(Lake(lake)), timedelta(0), lambda *_: True)
    assert (done.removed, len(done.damage)) == (0, 1)
    assert not check_ledger(Lake(lake)).is_clean
    assert Lake(lake).table(OPS_INGEST_LEDGER).count() == 3

    path.unlink()
    path.write_bytes(b"\xff\x00\x01,damaged\n" + path.with_name("away").read_bytes())
    assert check_ledger(Lake(lake)).lost == 1


def test_a_log_whose_beginning_is_gone_is_named(lake: LakeSettings) -> None:
    first = min(Path(lake.lake, RAW_INTERACTIONS.path, "_delta_log").glob("*.json"))
    first.unlink()
    (damage,) = check_ledger(Lake(lake)).damage
    assert (damage.file, damage.problem) == (f"_delta_log/{first.name}", "is missing")
