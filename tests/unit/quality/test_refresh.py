"""Measuring what came: windows add up, and nothing is counted twice or left out."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_DATA_QUALITY, OPS_INGEST_LEDGER
from lakehouse.contracts.tenant import DataType
from lakehouse.quality import refresh as refreshing
from lakehouse.quality.refresh import refresh
from lakehouse.settings import LakeSettings
from lakehouse.storage.data_quality import newest_quality, quality_rows
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import Day, merge_small_files
from lakehouse.storage.tables import ensure_tables
from tests.support.quality import Plan, correct, plant, recount
from tests.unit.ingest_service.test_delta_recovery import die_after

KEY = ("acme", "interactions")


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def later(**how: float) -> Callable[[], datetime]:
    """A clock that is ahead."""
    return lambda: datetime.now(UTC) + timedelta(**how)


def sums(lake: LakeSettings) -> dict[tuple[str, str], dict[str, int]]:
    """The sums over every row, per tenant and data type."""
    rows = quality_rows(cache(Lake(lake).table)).to_dicts()
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        total = found.setdefault((row["tenant_id"], row["data_type"]), {})
        for name, value in row.items():
            if name.endswith("_count") and not name.startswith("staging"):
                total[name] = total.get(name, 0) + value
    return found


def newest(lake: LakeSettings, tenant: str = "acme") -> dict[str, Any]:
    """The newest row of the tenant's interactions."""
    (row,) = newest_quality(cache(Lake(lake).table), tenant).to_dicts()
    return row


def version(lake: LakeSettings) -> int:
    return int(Lake(lake).table(OPS_DATA_QUALITY).version())


def assert_recounted(lake: LakeSettings) -> None:
    """Sums over all rows, and the shares of the newest, are what DuckDB counts."""
    expected = recount(lake)
    found = sums(lake)
    assert found.keys() == expected.keys()
    latest = {
        (r["tenant_id"], r["data_type"]): r
        for r in newest_quality(cache(Lake(lake).table)).to_dicts()
    }
    for key, row in expected.items():
        for name, value in row.items():
            if name.endswith("_count"):
                assert found[key][name] == value, (key, name)
            elif name.endswith("_percent"):
                assert latest[key][name] == pytest.approx(value), (key, name)


@pytest.mark.parametrize("seed", range(3))
def test_windows_add_up_to_a_recount(lake: LakeSettings, seed: int) -> None:
    chance, sink = random.Random(seed), DeltaSink(Lake(lake))
    held: list[Any] = []
    for number in range(14):
        step = chance.choice(["batch", "batch", "retry", "correct", "one", "all", "merge"])
        tenant = chance.choice(["acme", "other"])
        if step == "batch":
            parts = ("good", "duplicate", "suppressed", "incomplete", "invalid", "inconsistent")
            plan = Plan(**{name: chance.randrange(4) for name in (*parts, "both")})
            held.append((plant(sink, f"b{number}", plan, tenant=tenant), plan))
        elif step == "retry":
            plant(sink, f"b{number}", Plan(duplicate=5), tenant=tenant)
        elif step == "correct" and held and held[-1][1].quarantined:
            batch, plan = held.pop()
            correct(sink, batch, 1, ["line:0000000002"])
        elif step == "one":
            refresh(Lake(lake), f"run {number}", tenant_id=tenant)
        elif step == "all":
            refresh(Lake(lake), f"run {number}")
        elif step == "merge":
            today = datetime.now(UTC).date().isoformat()
            merge_small_files(Lake(lake), OPS_INGEST_LEDGER, Day(tenant, today), above=1)
    plant(sink, "last", Plan(good=9, invalid=1))
    plant(sink, "last other", Plan(good=9), tenant="other")
    refresh(Lake(lake), "last run")
    assert_recounted(lake)


def test_nothing_new_writes_nothing_and_a_run_measures_once(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "b1", Plan(good=3))
    assert refresh(Lake(lake), "first").height == 1
    before = version(lake)
    assert refresh(Lake(lake), "second").is_empty()
    assert refresh(Lake(lake), "third", tenant_id="acme").is_empty()
    assert version(lake) == before
    plant(sink, "b2", Plan(good=3))
    assert refresh(Lake(lake), "first").is_empty()
    assert refresh(Lake(lake), "fourth")["received_count"].to_list() == [3]


def test_ten_percent_of_invalid_rows_bring_the_score_to_ninety(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "clean", Plan(good=100))
    refresh(Lake(lake), "clean")
    assert newest(lake)["score"] == pytest.approx(100)
    plant(sink, "bad", Plan(good=80, invalid=20))
    refresh(Lake(lake), "bad")
    row = newest(lake)
    assert (row["validity_percent"], row["score"]) == (pytest.approx(90), pytest.approx(90))
    assert (row["received_count"], row["invalid_count"]) == (100, 20)


def test_file_sent_twice_lowers_nothing(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "b1", Plan(good=10))
    plant(sink, "b2", Plan(duplicate=10))
    refresh(Lake(lake), "run")
    row = newest(lake)
    assert (row["uniqueness_percent"], row["retried_count"], row["duplicate_count"]) == (
        100,
        10,
        10,
    )


def test_yesterdays_rows_do_not_hide_todays(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    old = datetime.now(UTC) - timedelta(days=2)
    plant(sink, "good", Plan(good=1_000), known_at=old)
    others = plant(sink, "others", Plan(good=8, invalid=2), tenant="other", known_at=old)
    refresh(Lake(lake), "two days ago", clock=later(days=-2))
    bad = plant(sink, "bad", Plan(good=5, invalid=5))
    correct(sink, others, 1, ["line:0000000002"])
    refresh(Lake(lake), "now")
    assert newest(lake)["validity_percent"] == pytest.approx(50)
    assert newest(lake, "other")["validity_percent"] == pytest.approx(90)
    # what is corrected a week later belongs to the delivery that it corrects
    correct(sink, bad, 1, ["line:0000000002"])
    refresh(Lake(lake), "in a week", clock=later(days=7))
    row = newest(lake)
    assert row["validity_percent"] == pytest.approx(60)
    assert (row["received_count"], row["quarantined_count"], row["invalid_count"]) == (0, -1, -1)
    assert row["freshness_hours"] == pytest.approx(7 * 24, abs=0.1)
    assert row["score"] == pytest.approx(100 * 0.6 * 6 / row["freshness_hours"])


def test_batch_that_is_under_way_is_counted_once_it_is_stored(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "before", Plan(good=1))
    with monkeypatch.context() as patch:
        die_after(2, lake, patch)
    plant(sink, "after", Plan(good=2))
    refresh(Lake(lake), "whole")
    assert sums(lake)[KEY]["received_count"] == 1
    plant(sink, "later", Plan(good=4))
    refresh(Lake(lake), "changes")
    assert sums(lake)[KEY]["received_count"] == 1
    # an hour later it is known to be dead
    refresh(Lake(lake), "in two hours", clock=later(hours=2))
    assert sums(lake)[KEY]["received_count"] == 7
    assert sums(lake)[KEY]["quarantined_count"] == 0


def test_log_that_was_shortened_is_counted_from_the_beginning(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "b1", Plan(good=3, invalid=1))
    refresh(Lake(lake), "first")
    for number in range(4):
        plant(sink, f"more {number}", Plan(good=1, duplicate=1))
    log = Path(Lake(lake).location(OPS_INGEST_LEDGER)) / "_delta_log"
    Lake(lake).table(OPS_INGEST_LEDGER).create_checkpoint()
    for entry in sorted(log.glob("*.json"))[:4]:
        entry.unlink()
    assert refresh(Lake(lake), "second")["received_count"].to_list() == [8]
    assert_recounted(lake)


def test_two_at_once_count_nothing_twice(
    lake: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "b1", Plan(good=3))
    refresh(Lake(lake), "before")
    plant(sink, "b2", Plan(good=4))
    real = refreshing._Measurement._commit
    ran_between = []

    def slow(self: Any, *arguments: Any) -> None:
        if self._run_id == "mine" and not ran_between:
            ran_between.append(refresh(Lake(lake), "other", tenant_id="acme"))
        real(self, *arguments)

    monkeypatch.setattr(refreshing._Measurement, "_commit", slow)
    mine = refresh(Lake(lake), "mine")
    assert ran_between[0]["received_count"].to_list() == [4]
    assert mine.is_empty()
    assert_recounted(lake)


def test_what_staging_and_the_catalogue_tell(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    plant(sink, "b1", Plan(good=100))
    refresh(Lake(lake), "before the models")
    write_model(lake, "ops/staging_counts", tenant_id="acme", duplicate_count=4, conflict_count=2)
    write_model(lake, "ops/join_rates", tenant_id="acme", join_rate=0.5)
    refresh(Lake(lake), "after")
    row = newest(lake)
    assert (row["staging_duplicate_count"], row["staging_conflict_count"]) == (4, 2)
    assert row["uniqueness_percent"] == pytest.approx(96)
    assert (row["consistency_percent"], row["join_rate"]) == (pytest.approx(98), None)

    # a catalogue comes: now its join rate counts; nothing of staging is counted again
    plant(sink, "items", Plan(good=3), data_type=DataType.ITEMS)
    refresh(Lake(lake), "with a catalogue")
    rows = {r["data_type"]: r for r in newest_quality(cache(Lake(lake).table), "acme").to_dicts()}
    assert rows["interactions"]["join_rate"] == 0.5
    assert rows["interactions"]["consistency_percent"] == pytest.approx(49)
    assert rows["interactions"]["staging_conflict_count"] == 0
    assert rows["items"]["consistency_percent"] == pytest.approx(100)
    assert refresh(Lake(lake), "nothing").is_empty()


def test_the_models_flags_are_measured_as_shares_of_all_interactions(lake: LakeSettings) -> None:
    plant(DeltaSink(Lake(lake)), "b1", Plan(good=8))
    plant(DeltaSink(Lake(lake)), "b2", Plan(good=1), data_type=DataType.ITEMS)
    counts = {"rate_count": 2, "uniformity_count": 0, "agent_count": 6, "flagged_count": 7}
    write_model(
        lake, "ops/join_rates", tenant_id="acme", join_rate=0.5, interaction_count=8, **counts
    )
    refresh(Lake(lake), "first")
    rows = {r["data_type"]: r for r in newest_quality(cache(Lake(lake).table), "acme").to_dicts()}
    names = [f"{flag}_flagged_percent" for flag in ("rate", "uniformity", "agent")]
    assert [rows["interactions"][name] for name in names] == [25.0, 0.0, 75.0]
    assert [rows["items"][name] for name in names] == [None, None, None]
    assert rows["interactions"]["score"] == pytest.approx(50, abs=0.1), "no part of the score"
    assert refresh(Lake(lake), "nothing new").is_empty()
    write_model(
        lake, "ops/join_rates", tenant_id="other", join_rate=1.0, interaction_count=4, **counts
    )
    assert refresh(Lake(lake), "another").select("tenant_id", names[0]).rows() == [("other", 50.0)]
    table = f"{lake.lake}/ops/join_rates"
    write_deltalake(table, DeltaTable(table).to_pyarrow_table().slice(1), mode="overwrite")
    assert refresh(Lake(lake), "counts are gone").is_empty(), "what was measured stays"


def write_model(lake: LakeSettings, path: str, **row: Any) -> None:
    """A table of the models with one row."""
    table = pa.Table.from_pylist([row])
    write_deltalake(f"{lake.lake}/{path}", table, mode="append")
