"""Rows that are a year old leave: counted, whole days at a time, and the table stays readable."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import quarantine_rows
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.retention import RawTiers, RetentionPolicy
from lakehouse.contracts.tables import OPS_REMOVALS, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType
from lakehouse.dev.servers import Server
from lakehouse.retention import expiry
from lakehouse.retention.expiry import drop_expired_files, expire_rows
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.maintenance import merge_ended_days
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions, refs
from tests.support.s3 import lake_on_s3

NOW = datetime.now(UTC)
SHORT = {"short": RetentionPolicy(raw_interactions=RawTiers(delete_days=100))}


def store(lake: LakeSettings, tenant: str, batch_id: str, days_ago: int) -> None:
    """A batch of two stored rows, one quarantined, one duplicate."""
    known_at = NOW - timedelta(days=days_ago)
    key = BatchKey(tenant, DataType.INTERACTIONS, batch_id, known_at, "csv", 0)
    batch = DeltaSink(Lake(lake)).begin(key)
    batch.append(interactions(key, f"{batch_id}-1", f"{batch_id}-2"))
    batch.append_companion(quarantine_rows(key, [b"x"], refs(1), [[]], SourceLayout()))
    batch.commit(Counts(4, 2, 1, 1))


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    store(settings, "acme", "old", 366)
    store(settings, "acme", "edge", 365)
    store(settings, "acme", "new", 0)
    store(settings, "short", "short-old", 101)
    store(settings, "short", "short-new", 99)
    return settings


def batches_in(lake: LakeSettings) -> list[str]:
    rows = Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table(columns=["batch_id"])
    return sorted(set(rows["batch_id"].to_pylist()))


def files_of(lake: LakeSettings, tenant: str) -> set[Path]:
    return set(Path(Lake(lake).location(RAW_INTERACTIONS)).glob(f"tenant_id={tenant}/*/*.parquet"))


def test_old_days_leave_by_each_tenant_s_policy_and_the_ledger_adds_up(lake: LakeSettings) -> None:
    due = expire_rows(Lake(lake), SHORT, NOW, dry_run=True)
    assert len(batches_in(lake)) == 5
    gone = expire_rows(Lake(lake), SHORT, NOW)
    assert gone == due
    assert {(e.table, e.tenant_id, e.rows) for e in gone} == {
        ("raw.interactions", "acme", 2),
        ("raw.interactions", "short", 2),
        ("raw.quarantine", "acme", 1),
        ("raw.quarantine", "short", 1),
    }
    assert batches_in(lake) == ["edge", "new", "short-new"]
    check = check_ledger(Lake(lake))
    assert (check.wrong, check.batches) == ((), 5)
    assert expire_rows(Lake(lake), SHORT, NOW) == []


def test_files_stay_for_readers_of_older_versions_and_go_a_day_later(lake: LakeSettings) -> None:
    before = Lake(lake).table(RAW_INTERACTIONS).version()
    kept = {file for file in files_of(lake, "acme") if "old" not in file.name}
    expire_rows(Lake(lake), {}, NOW)
    assert drop_expired_files(Lake(lake), NOW + timedelta(hours=23)) == 0
    location = Lake(lake).location(RAW_INTERACTIONS)
    assert DeltaTable(location, version=before).to_pyarrow_table().num_rows == 10
    assert (
        drop_expired_files(Lake(lake), NOW + timedelta(hours=25)) == 2
    )  # raw's and the quarantine's
    assert files_of(lake, "acme") == kept
    assert batches_in(lake) == ["edge", "new", "short-new", "short-old"]
    assert Lake(lake).table(RAW_INTERACTIONS).to_pyarrow_table().num_rows == 8
    assert Lake(lake).table(RAW_QUARANTINE).to_pyarrow_table().num_rows == 4


def test_readers_of_changes_hear_nothing_of_it(lake: LakeSettings) -> None:
    before = Lake(lake).table(RAW_INTERACTIONS).version()
    expire_rows(Lake(lake), {}, NOW)
    table = Lake(lake).table(RAW_INTERACTIONS)
    assert table.version() == before + 1
    changes = table.load_cdf(starting_version=before + 1).read_all()
    assert changes.num_rows == 0


def test_killed_before_its_commit_nothing_has_left_and_the_next_one_counts_once(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(expiry, "commit_files", die)
    with pytest.raises(KeyboardInterrupt):
        expire_rows(Lake(lake), {}, NOW)
    assert Lake(lake).table(OPS_REMOVALS).to_pyarrow_table().num_rows == 1
    assert check_ledger(Lake(lake)).wrong == ()
    monkeypatch.undo()
    expire_rows(Lake(lake), {}, NOW)
    assert check_ledger(Lake(lake)).wrong == ()
    counts = Lake(lake).table(OPS_REMOVALS).to_pyarrow_table()["row_count"].to_pylist()
    assert sorted(counts) == [1, 2]


def test_a_file_that_is_rewritten_meanwhile_is_counted_anew(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, calls = expiry.commit_files, 0

    def after_an_erasure(*arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            table = Lake(lake).table(RAW_INTERACTIONS)
            table.delete("user_id = 'old-1' and tenant_id = 'acme'")
        commit(*arguments, **named)

    monkeypatch.setattr(expiry, "commit_files", after_an_erasure)
    (of_raw, _) = expire_rows(Lake(lake), {}, NOW)
    assert of_raw.rows == 1
    removed = Lake(lake).table(OPS_REMOVALS).to_pyarrow_table().to_pylist()
    counts = {row["table_name"]: row["row_count"] for row in removed}
    assert counts == {"raw.interactions": 1, "raw.quarantine": 1}


def test_it_goes_on_beside_writers_and_merges(lake: LakeSettings) -> None:
    store(lake, "acme", "old2", 366)
    merge_ended_days(Lake(lake), NOW.date())
    expire_rows(Lake(lake), {}, NOW)
    store(lake, "acme", "newer", 0)
    assert batches_in(lake) == ["edge", "new", "newer", "short-new", "short-old"]
    assert check_ledger(Lake(lake)).wrong == ()


def test_it_is_the_same_on_s3(s3: Server, tmp_path: Path) -> None:
    lake = lake_on_s3(s3, tmp_path, "expiry")
    ensure_tables(Lake(lake))
    store(lake, "acme", "old", 366)
    store(lake, "acme", "new", 0)
    assert [e.rows for e in expire_rows(Lake(lake), {}, NOW)] == [2, 1]
    assert drop_expired_files(Lake(lake), NOW + timedelta(hours=25)) == 2
    assert batches_in(lake) == ["new"]
    assert check_ledger(Lake(lake)).wrong == ()
