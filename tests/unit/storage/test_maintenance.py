"""Few files and short logs: what compaction, log cleanup and vacuum do and what they spare."""

import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks import compaction
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.cli.main import app
from lakehouse.contracts.tables import RAW_INTERACTIONS, TableSpec
from lakehouse.contracts.tenant import DataType
from lakehouse.settings import LakeSettings
from lakehouse.storage import maintenance, merging
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.maintenance import (
    CHECK_EVERY,
    Day,
    clean_tables,
    merge_ended_days,
    merge_small_files,
    table_health,
    vacuum,
)
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions
from tests.support.power_cut import disk_of

TODAY = datetime.now(UTC)
MONTHS_AGO = (TODAY - timedelta(days=90)).timestamp()


def write(lake: LakeSettings, count: int, first: int = 0, known_at: datetime = TODAY) -> None:
    """Commit batches of one row."""
    sink = DeltaSink(Lake(lake))
    for n in range(first, first + count):
        key = BatchKey("acme", DataType.INTERACTIONS, f"b{n}", known_at, "csv")
        batch = sink.begin(key)
        batch.append(interactions(key, f"u{n}"))
        batch.commit(Counts(1, 1))


def users(lake: LakeSettings) -> list[str]:
    """The users in raw."""
    found = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["user_id"])
    return sorted(found["user_id"].to_pylist())


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """An empty lake."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def test_writer_keeps_its_days_files_within_the_bound(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SMALL_FILES", 8)
    monkeypatch.setattr(compaction, "merge_small_files", partial(merge_small_files, above=8))
    for n in range(20):
        write(lake, 1, n)
    files = Lake(lake).table(RAW_INTERACTIONS).file_uris()
    assert len(files) == 20  # a sink of one batch never looks

    write(lake, CHECK_EVERY, 20)
    for health in table_health(Lake(lake)):
        assert health.files <= 1 + CHECK_EVERY, health
    assert len(users(lake)) == 20 + CHECK_EVERY
    assert check_ledger(Lake(lake)).wrong == ()


def test_merging_changes_no_row_and_says_so_in_the_log(lake: LakeSettings) -> None:
    write(lake, 5)
    table = Lake(lake).table(RAW_INTERACTIONS)
    before = table.to_pyarrow_table().sort_by("event_id")
    day = Day("acme", TODAY.date().isoformat())
    assert merge_small_files(Lake(lake), RAW_INTERACTIONS, day, above=5) is None
    merged = merge_small_files(Lake(lake), RAW_INTERACTIONS, day, above=4)

    assert merged is not None
    assert (merged.files_before, merged.files_after) == (5, 1)
    table.update_incremental()
    assert table.to_pyarrow_table().sort_by("event_id").equals(before)
    log = Path(Lake(lake).location(RAW_INTERACTIONS)) / "_delta_log"
    text = (log / f"{table.version():020}.json").read_text()
    actions = [json.loads(line) for line in text.splitlines()]
    changes = [next(iter(a.values())).get("dataChange") for a in actions if "commitInfo" not in a]
    assert changes == [False] * 6
    (stats,) = [json.loads(a["add"]["stats"]) for a in actions if "add" in a]
    assert set(stats["minValues"]) == {"event_time", "known_at"}  # no identifier in the log


def test_ended_days_become_one_file_and_today_is_left_alone(lake: LakeSettings) -> None:
    yesterday = TODAY - timedelta(days=1)
    write(lake, 3, 0, yesterday)
    write(lake, 3, 3)
    merged = merge_ended_days(Lake(lake), TODAY.date())

    assert {(m.table, m.files_before, m.files_after) for m in merged} == {
        ("raw.interactions", 3, 1),
        ("ops.ingest_ledger", 3, 1),
    }
    assert merge_ended_days(Lake(lake), TODAY.date()) == []
    assert merge_ended_days(Lake(lake), date(2100, 1, 1), "other") == []
    assert len(Lake(lake).table(RAW_INTERACTIONS).file_uris()) == 4
    assert users(lake) == [f"u{n}" for n in range(6)]


def test_old_log_entries_go_and_the_table_stays_readable(lake: LakeSettings) -> None:
    write(lake, 12)
    log = Path(Lake(lake).location(RAW_INTERACTIONS)) / "_delta_log"
    for entry in log.glob("*.json"):
        os.utime(entry, (MONTHS_AGO, MONTHS_AGO))
    assert len(list(log.glob("*.json"))) == 13
    clean_tables(Lake(lake), {})

    assert len(list(log.glob("*.json"))) <= 1
    assert users(lake) == sorted(f"u{n}" for n in range(12))
    write(lake, 1, 12)
    assert len(users(lake)) == 13


def test_vacuum_takes_old_orphans_and_leaves_what_is_young_or_live(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(lake, 3)
    table = Lake(lake).table(RAW_INTERACTIONS)
    folder = Path(table.file_uris()[0].removeprefix("file://")).parent
    young, old = folder / "part-young-0.parquet", folder / "part-old-0.parquet"
    for orphan in (young, old):
        orphan.write_bytes(b"left by a killed process")
    os.utime(old, (MONTHS_AGO, MONTHS_AGO))
    table.optimize.compact()
    vacuum(table)
    assert (young.exists(), old.exists()) == (True, False)
    assert len(list(folder.glob("part-b*"))) == 3  # removed a moment ago

    # As if a month had passed since the files were merged.
    young.unlink()
    monkeypatch.setattr(maintenance, "KEPT_HOURS", 0)
    real = type(table).vacuum
    monkeypatch.setattr(
        type(table),
        "vacuum",
        lambda self, **given: real(self, enforce_retention_duration=False, **given),
    )
    time.sleep(0.01)
    vacuum(Lake(lake).table(RAW_INTERACTIONS))
    assert list(folder.glob("part-b*")) == []
    assert users(lake) == ["u0", "u1", "u2"]


def test_commands(lake: LakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    write(lake, 3, 0, TODAY - timedelta(days=1))
    runner = CliRunner()
    compacted = runner.invoke(app, ["tables", "compact"])
    health = runner.invoke(app, ["tables", "health"])
    cleaned = runner.invoke(app, ["tables", "clean", "--dry-run"])
    monkeypatch.setattr("lakehouse.cli.tables.SMALL_FILES", 0)
    crowded = runner.invoke(app, ["tables", "health"])

    assert [r.exit_code for r in (compacted, health, cleaned, crowded)] == [0, 0, 0, 1]
    assert "raw.interactions\tacme" in compacted.output
    assert "raw.interactions\t1\t" in health.output
    assert "raw.interactions\t0\t" in cleaned.output


def test_merged_files_are_on_disk_before_the_log_names_them(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(lake, 5)
    real, named = merging.commit_files, []
    with disk_of(Path(lake.lake), monkeypatch) as disk:

        def commit(table: DeltaTable, spec: TableSpec, files: Any, *rest: Any, **more: Any) -> None:
            for file in files:
                path = Path(lake.lake, spec.path, file.path)
                assert disk.lengths[path.stat().st_ino] == file.size
                assert path.name in disk.entries[path.parent]
                named.append(path)
            real(table, spec, files, *rest, **more)

        monkeypatch.setattr(merging, "commit_files", commit)
        day = Day("acme", TODAY.date().isoformat())
        merged = merge_small_files(Lake(lake), RAW_INTERACTIONS, day, above=1)
    assert merged is not None
    assert (merged.files_before, merged.files_after, len(named)) == (5, 1, 1)
    assert users(lake) == [f"u{n}" for n in range(5)]
