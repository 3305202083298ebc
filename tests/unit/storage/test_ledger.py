"""The ledger: pages of batches, and a check that compares it with what the tables hold."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest_service.pipeline.counts import Counts
from ingest_service.pipeline.rows import quarantine_rows
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from lakehouse.cli.main import app
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_INTERACTIONS,
    RAW_QUARANTINE,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import batches
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.contract.test_sinks import interactions, outcomes, refs
from tests.unit.ingest_service.test_delta_recovery import die_after

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=3)


def key(batch_id: str, replay: int = 0, known_at: datetime = OLD, tenant: str = "acme") -> BatchKey:
    """A batch, by default too old to be asked about."""
    return BatchKey(tenant, DataType.INTERACTIONS, batch_id, known_at, "csv", replay)


def store(sink: DeltaSink, batch: BatchKey, stored: int = 2, quarantined: int = 1) -> None:
    """Commit a batch that also had a duplicate."""
    begun = sink.begin(batch)
    begun.append(interactions(batch, *(f"u{n}" for n in range(stored))))
    begun.append_companion(
        quarantine_rows(
            batch, [b"x"] * quarantined, refs(quarantined), [[]] * quarantined, SourceLayout()
        )
    )
    begun.commit(Counts(stored + quarantined + 1, stored, 1, quarantined))


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake of one tenant with three batches, the second replayed."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    sink = DeltaSink(Lake(settings))
    for n in range(3):
        store(sink, key(f"b{n}", known_at=OLD + timedelta(hours=n)))
    replay = key("b1", 1, NOW)
    begun = sink.begin(replay)
    begun.append(interactions(replay, "corrected"))
    begun.append_companion(outcomes(replay, "line:0000000002"))
    begun.commit(Counts(0, 1, quarantined=-1))
    store(sink, key("b3", tenant="other"))
    return settings


def problems(lake: LakeSettings) -> list[tuple[str, str]]:
    """What the check complains about."""
    return [(wrong.batch_id, wrong.problem) for wrong in check_ledger(Lake(lake)).wrong]


def test_pages_hold_every_batch_once_newest_first(lake: LakeSettings) -> None:
    tables = cache(Lake(lake).table)
    first = batches(tables, "acme", limit=2)
    second = batches(tables, "acme", limit=2, after=first[-1].cursor)
    last = batches(tables, "acme", limit=2, after=second[-1].cursor)

    assert [batch.batch_id for batch in (*first, *second)] == ["b2", "b1", "b0"]
    assert last == []
    replayed = first[1]
    assert (replayed.received, replayed.stored, replayed.duplicate) == (4, 3, 1)
    assert (replayed.quarantined, replayed.replays) == (0, 1)
    assert replayed.received_at == OLD + timedelta(hours=1)


@pytest.mark.parametrize("cursor", ["", "x", "1~", "1~b'; drop", "99999999999999999999~b", "~b"])
def test_cursor_of_no_page_is_refused(lake: LakeSettings, cursor: str) -> None:
    with pytest.raises(EtaError, match="cursor"):
        batches(cache(Lake(lake).table), "acme", limit=2, after=cursor)


def test_whole_ledger_adds_up(lake: LakeSettings) -> None:
    found = check_ledger(Lake(lake))
    assert (found.batches, found.received, found.wrong, found.unfinished) == (4, 16, (), 0)
    assert check_ledger(Lake(lake), tenant_id="other").batches == 1
    assert check_ledger(Lake(lake), since=date(2100, 1, 1)).batches == 0


def test_lost_rows_are_found_in_every_table(lake: LakeSettings) -> None:
    Lake(lake).table(RAW_INTERACTIONS).delete("batch_id = 'b0' and user_id = 'u1'")
    Lake(lake).table(RAW_QUARANTINE).delete("batch_id = 'b2'")
    Lake(lake).table(OPS_REPLAY_OUTCOMES).delete("batch_id = 'b1'")
    Lake(lake).table(OPS_INGEST_LEDGER).delete("batch_id = 'b3'")

    assert problems(lake) == [
        ("b0", "stored 2, raw holds 1"),
        ("b1", "quarantined 0, the quarantine holds 1"),
        ("b2", "quarantined 1, the quarantine holds 0"),
        ("b3", "raw or the quarantine has rows of it, the ledger has not"),
    ]


def test_tampered_entries_are_found(lake: LakeSettings) -> None:
    ledger = Lake(lake).table(OPS_INGEST_LEDGER)
    ledger.update(updates={"received": "9"}, predicate="batch_id = 'b0'")
    copied = ledger.to_pyarrow_table(filters=[("batch_id", "=", "b2")])
    from deltalake import write_deltalake

    write_deltalake(ledger, copied, mode="append")

    assert problems(lake) == [
        ("b0", "received 9, accounted for 4"),
        ("b2", "2 entries for 1 commits"),
    ]


@pytest.mark.parametrize("commits", [1, 2])
def test_batch_of_a_killed_process_does_not_count(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    die_after(commits, lake, monkeypatch)

    found = check_ledger(Lake(lake))
    assert (found.batches, found.wrong, found.unfinished) == (4, (), 1)
    assert "broken" not in {b.batch_id for b in batches(cache(Lake(lake).table), "acme", limit=9)}


def test_old_batch_of_a_killed_process_does_not_count_either(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_after(2, lake, monkeypatch)
    stamp = f"'{OLD:%Y-%m-%dT%H:%M:%S}Z'"
    for spec in (OPS_INGEST_LEDGER, RAW_QUARANTINE):
        Lake(lake).table(spec).update(
            updates={"known_at": f"arrow_cast({stamp}, 'Timestamp(Microsecond, Some(\"UTC\"))')"},
            predicate="batch_id = 'broken'",
        )

    found = check_ledger(Lake(lake))
    assert (found.batches, found.wrong, found.unfinished) == (4, (), 1)


def test_command_names_the_batch_and_fails(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    runner = CliRunner()
    clean = runner.invoke(app, ["ledger", "check"])
    Lake(lake).table(RAW_INTERACTIONS).delete("batch_id = 'b0'")
    broken = runner.invoke(app, ["ledger", "check", "--tenant", "acme"])
    listed = runner.invoke(app, ["ledger", "list", "--tenant", "acme", "--limit", "2"])

    assert (clean.exit_code, broken.exit_code) == (0, 1)
    assert "4 batches with 16 rows: all add up" in clean.output
    assert "b0\tstored 2, raw holds 0" in broken.output
    assert [line.split("\t")[0] for line in listed.output.splitlines()] == ["batch_id", "b2", "b1"]
