"""A run in steps does what `prepare` does in one; nothing new is nothing to do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase, RunLocked
from lakehouse.control.failed_tests import FailedTest, note_failed
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training import run_steps
from lakehouse.training.freshness import waiting_tenants
from lakehouse.training.prepare import Verdict
from lakehouse.training.publish import current_snapshot
from lakehouse.training.run_metrics import exposition
from lakehouse.training.run_parameters import RunParameters, read_parameters
from tests.support.clickstream import PRODUCT, event, store_events
from tests.support.lake import NOON, SessionLake, interaction
from tests.support.training import (
    PARAMETERS,
    WATERMARKS,
    examples,
    write_table,
    write_training_tables,
)

NORMAL = RunParameters()


@dataclass
class Told:
    passed: bool
    report: dict[str, Any]


@dataclass
class Steps:
    """The steps of one run, with a gate that refuses `failing`."""

    settings: LakeSettings
    database: ControlDatabase
    failing: set[str] = field(default_factory=set)
    asked: list[Sequence[str] | None] = field(default_factory=list)

    def begin(self, run_id: str, **given: Any) -> run_steps.Plan:
        return run_steps.begin(self.settings, self.database, run_id, read_parameters(given))

    def gate(self, tenants: Sequence[str] | None) -> Mapping[str, Verdict]:
        self.asked.append(tenants)
        failure = {"check": "too_few", "sentence": "acme has too few rows"}
        return {
            name: Told(
                name not in self.failing,
                {"checked_at": "now", "failures": [failure] * (name in self.failing)},
            )
            for name in tenants or ()
        }

    def check(self, run_id: str, *, is_final: bool = True) -> Mapping[str, Verdict]:
        return run_steps.check(
            self.settings, self.database, run_id, self.gate, lambda: NOON, is_final=is_final
        )

    def publish(self, run_id: str) -> Any:
        return run_steps.publish_checked(self.settings, self.database, run_id, lambda: NOON)

    def end(self, run_id: str, *, is_success: bool = True) -> str:
        return run_steps.end(self.settings, self.database, run_id, is_success=is_success)

    def whole(self, run_id: str) -> str:
        self.begin(run_id)
        self.check(run_id)
        self.publish(run_id)
        return self.end(run_id)


@pytest.fixture
def steps(settings: LakeSettings) -> Iterator[Steps]:
    (settings.project / "dbt_project.yml").write_text("name: eta\n")
    ensure_tables(Lake(settings))
    with closing(ControlDatabase.open(settings.control_url)) as database:
        yield Steps(settings, database)


def test_the_steps_publish_those_that_passed_and_hold_the_others_back(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5), "globex": examples(6)})
    steps.failing = {"acme"}
    steps.begin("r")
    steps.check("r")
    done = steps.publish("r")
    assert steps.asked == [["acme", "globex"]]
    assert [made.tenant_id for made in done.new] == ["globex"]
    assert done.new[0].gate == {"passed": True, "checked_at": "now"}
    assert done.refused == {"acme": "acme has too few rows"}
    assert steps.end("r") == "refused"
    assert steps.database.run_lock.holder() is None
    text = exposition(steps.database.runs.list())
    assert 'eta_run_tenants{outcome="refused"} 1.0' in text
    assert 'eta_model_rows{model="training.training_data"}' in text
    assert "acme" not in text


def test_what_was_not_checked_is_not_published(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.begin("r")
    with pytest.raises(EtaError, match="not what this run has checked"):
        steps.publish("r")
    steps.check("r")
    write_training_tables(steps.settings, {"acme": examples(7)})  # somebody ran the models
    with pytest.raises(EtaError, match="not what this run has checked"):
        steps.publish("r")
    assert current_snapshot(Lake(steps.settings), "acme") is None
    steps.check("r")
    assert [made.tenant_id for made in steps.publish("r").new] == ["acme"]


def test_rows_that_fail_a_test_refuse_a_tenant_whose_set_did_not_change(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.begin("r")
    steps.check("r")
    steps.publish("r")
    steps.end("r")
    steps.begin("r2", full_refresh=True)
    failed = FailedTest("primary_key", ["staging.stg_items"], {"acme": 2})
    note_failed(steps.database.runs, "r2", failed)
    steps.check("r2")
    assert steps.asked == [["acme"], []]
    done = steps.publish("r2")
    assert (done.unchanged, done.refused) == (
        (),
        {"acme": "The dbt test primary_key found 2 rows."},
    )


def test_publishing_again_after_a_kill_keeps_what_was_published(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.begin("r")
    steps.check("r")
    steps.publish("r")
    steps.begin("r")
    steps.check("r")
    steps.publish("r")
    assert steps.asked == [["acme"]]  # nothing had changed the second time
    assert set(steps.database.runs.get("r").notes[run_steps.PUBLICATION]["new"]) == {"acme"}


def test_nothing_new_is_nothing_to_do(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    assert steps.begin("first").reason == "no run was completed before"
    steps.end("first", is_success=False)
    assert steps.begin("second").is_needed  # the first did not come to its end
    steps.end("second", is_success=False)
    assert steps.whole("third") == "succeeded"
    plan = steps.begin("fourth")
    assert (plan.is_needed, plan.tenants) == (False, [])
    assert steps.end("fourth") == "succeeded"
    assert not steps.begin("fifth").is_needed
    assert steps.begin("fifth", full_refresh=True) == plan.__class__(
        True, "asked for: full_refresh=True", None, {}, full_refresh=True
    )


@pytest.mark.parametrize("what", ["rows", "models", "table"])
def test_whatever_changed_makes_a_run_needed(steps: Steps, what: str) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.whole("first")
    if what == "rows":
        SessionLake(steps.settings).store("globex", [interaction("e1")])
    elif what == "models":
        (steps.settings.project / "dbt_project.yml").write_text("name: eta # newer\n")
    else:
        rows = pa.table({"tenant_id": ["acme"], "user_id": ["u1"]})
        write_table(steps.settings, "training/positives", rows, PARAMETERS)
    plan = steps.begin("second")
    assert plan.is_needed
    expected = {"rows": ["globex"], "models": None, "table": []}
    assert plan.tenants == expected[what]


def test_rows_that_come_while_a_run_is_on_its_way_are_the_next_ones(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.begin("first")
    SessionLake(steps.settings).store("acme", [interaction("e1")])
    steps.check("first")
    steps.publish("first")
    steps.end("first")
    assert steps.begin("second").tenants == ["acme"]


def test_an_early_check_asks_about_the_tenants_with_new_rows(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    steps.whole("first")
    SessionLake(steps.settings).store("globex", [interaction("e1")])
    steps.begin("second")
    steps.check("second", is_final=False)
    assert steps.asked[-1] == ["globex"]


def test_two_runs_at_once_are_refused(steps: Steps) -> None:
    steps.begin("first")
    with pytest.raises(RunLocked):
        steps.begin("second")
    with pytest.raises(RunLocked):
        steps.check("second")
    assert steps.begin("first").is_needed


def test_a_backfill_finds_the_tenants_by_the_day_of_arrival(steps: Steps) -> None:
    lake = SessionLake(steps.settings)
    for tenant_id, day in (("acme", 1), ("globex", 2), ("initech", 2)):
        known_at = datetime(2026, 5, day, 23, 59, tzinfo=UTC)
        lake.store(tenant_id, [interaction("e1")], known_at=known_at)
    one = steps.begin("r", start_date="2026-05-01", end_date="2026-05-01")
    assert (one.tenants, one.tenant_id, one.full_refresh) == (["acme"], "acme", False)
    assert one.variables == {"tenant_id": "acme"}
    steps.end("r")
    both = steps.begin("r2", start_date="2026-05-02")
    assert (both.tenants, both.tenant_id) == (["globex", "initech"], None)
    assert both.full_refresh
    steps.end("r2")
    asked = steps.begin("r3", start_date="2026-05-02", tenant_id="initech")
    assert asked.variables == {"tenant_id": "initech"}
    steps.end("r3")
    assert not steps.begin("r4", start_date="2026-06-01").is_needed


def test_a_backfill_of_one_tenant_or_of_none_hides_no_new_rows_of_others(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    lake = SessionLake(steps.settings)
    lake.store("acme", [interaction("e1")], known_at=NOON)
    steps.whole("first")
    lake.store("globex", [interaction("e1")], known_at=NOON + timedelta(days=1))
    day = NOON.date().isoformat()
    assert steps.begin("none", start_date="2020-01-01", end_date="2020-01-01").tenants == []
    assert steps.end("none") == "succeeded"
    assert steps.begin("one", start_date=day, end_date=day).tenant_id == "acme"
    steps.check("one")
    steps.publish("one")
    assert steps.end("one") == "succeeded"
    plan = steps.begin("next")
    assert (plan.is_needed, plan.tenants) == (True, ["globex"])


def test_runs_of_a_backfill_that_wait_for_each_other_recompute_once(steps: Steps) -> None:
    write_training_tables(steps.settings, {"acme": examples(5)})
    lake = SessionLake(steps.settings)
    for tenant_id in ("acme", "globex"):
        lake.store(tenant_id, [interaction("e1")], known_at=NOON)
    asked_at = datetime.now(UTC)

    def begin(run_id: str, asked_at: datetime, **given: Any) -> run_steps.Plan:
        parameters = read_parameters({"start_date": NOON.date().isoformat(), **given})
        return run_steps.begin(
            steps.settings, steps.database, run_id, parameters, asked_at=asked_at
        )

    assert begin("one", asked_at).full_refresh
    steps.check("one")
    steps.publish("one")
    steps.end("one")
    two = begin("two", asked_at)
    assert not two.is_needed
    assert two.reason.endswith("; one has recomputed them since this run was asked for")
    steps.end("two")
    assert begin("later", datetime.now(UTC)).is_needed  # asked for after the first had begun
    steps.end("later", is_success=False)
    assert not begin("narrow", asked_at, tenant_id="acme").is_needed
    steps.end("narrow")
    assert begin("as of", asked_at, cutoff="2026-05-01T00:00:00Z").is_needed
    steps.end("as of", is_success=False)
    (steps.settings.project / "dbt_project.yml").write_text("name: eta # newer\n")
    assert begin("newer", asked_at).is_needed


@pytest.mark.parametrize(
    "given",
    [
        {"tenant_id": "a'; drop table x"},
        {"tenant_id": "acme\n"},
        {"tenant_id": "../acme"},
        {"start_date": "yesterday"},
        {"start_date": "2026-05-02", "end_date": "2026-05-01"},
        {"end_date": "2026-05-01"},
        {"cutoff": "now'"},
        {"full_refresh": "perhaps"},
        {"tenants": "acme"},
    ],
    ids=str,
)
def test_parameters_are_checked(given: dict[str, Any]) -> None:
    with pytest.raises(EtaError) as error:
        read_parameters(given)
    assert "drop table" not in str(error.value)


def test_a_cutoff_is_told_in_utc() -> None:
    given = read_parameters({"cutoff": "2026-05-01T12:00:00+02:00", "tenant_id": ""})
    assert given.variables == {"cutoff": "2026-05-01T10:00:00+00:00"}
    assert read_parameters({"cutoff": "2026-05-01"}).variables == {
        "cutoff": "2026-05-01T00:00:00+00:00"
    }


def test_where_there_is_no_lake_nobody_is_said_to_be_fresh(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match=f"no table raw.interactions in the lake {tmp_path}"):
        waiting_tenants(LakeSettings(home=tmp_path), NOON)


def test_rows_wait_until_they_are_read_and_published(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, now = SessionLake(steps.settings), NOON + timedelta(hours=10)
    assert waiting_tenants(steps.settings, now) == []
    lake.store("acme", [interaction("e1")], known_at=NOON)
    waiting = waiting_tenants(steps.settings, now)
    assert [(w.tenant_id, w.since, w.hours) for w in waiting] == [("acme", NOON, 10.0)]
    assert "not read" in waiting[0].why

    monkeypatch.setitem(WATERMARKS, "eta.watermark.raw.interactions", "1")
    write_training_tables(steps.settings, {"acme": examples(5)})
    built = waiting_tenants(steps.settings, now)
    assert [(w.tenant_id, w.hours) for w in built] == [("acme", 10.0)]
    assert "not published" in built[0].why

    steps.whole("first")
    assert waiting_tenants(steps.settings, now) == []
    lake.store("globex", [interaction("e1")], known_at=NOON)
    later = waiting_tenants(steps.settings, datetime.now(UTC))
    assert [w.tenant_id for w in later] == ["globex"]
    assert later[0].hours < 1  # it came now, whatever time it carries


def test_a_clickstream_waits_where_it_is_mapped_and_only_there(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, now = SessionLake(steps.settings), NOON + timedelta(hours=10)
    told = {"clickstream": {"preset": "segment"}}
    lake.set_tenant("acme", TenantSettings.model_validate(told))
    for tenant in ("acme", "globex"):
        store_events(lake, tenant, [event("e1", "Product Viewed", PRODUCT)], known_at=NOON)
    waiting = waiting_tenants(steps.settings, now)
    assert [(w.tenant_id, w.since) for w in waiting] == [("acme", NOON)]

    for name in ("interactions", "clickstream"):
        monkeypatch.setitem(WATERMARKS, f"eta.watermark.raw.{name}", "2")
    write_training_tables(steps.settings, {"acme": examples(5)})
    built = waiting_tenants(steps.settings, now)
    assert [(w.tenant_id, w.since) for w in built] == [("acme", NOON)]
    assert "not published" in built[0].why
    steps.whole("first")
    assert waiting_tenants(steps.settings, now) == []
    store_events(lake, "acme", [event("e2", "Product Viewed", PRODUCT)], known_at=NOON)
    assert [w.tenant_id for w in waiting_tenants(steps.settings, datetime.now(UTC))] == ["acme"]


def test_a_completed_run_that_is_begun_again_looks_anew(steps: Steps) -> None:
    """As when an operator clears a run in the scheduler: its id stays."""
    write_training_tables(steps.settings, {"acme": examples(5)})
    assert steps.whole("r") == "succeeded"
    assert steps.begin("r").reason == "nothing is new since the last run"
    assert steps.end("r") == "succeeded"
    write_training_tables(steps.settings, {"acme": examples(7)})
    assert steps.begin("r").is_needed
