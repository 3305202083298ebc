"""The gate: what is planted in one tenant fails that tenant by the check meant for it, no other."""

import json
import re
from pathlib import Path

import pytest
import yaml

from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.quality.figures import LAYERS
from lakehouse.quality.gate import run_gate
from lakehouse.quality.outcomes import GateResult
from lakehouse.quality.soda import WARNING, Finding
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from tests.conftest import PROJECT_DIR
from tests.support.gate import (
    BROKEN,
    FAILURES,
    WARNINGS,
    gate_settings,
    plant_below_raw,
    plant_in_raw,
)
from tests.support.lake import SessionLake

CHECKS = PROJECT_DIR / "soda_checks"


@pytest.fixture(scope="module")
def settings(lake: SessionLake, tmp_path_factory: pytest.TempPathFactory) -> LakeSettings:
    """The lake's settings with a control database: some tenants have thresholds of their own."""
    folder = tmp_path_factory.mktemp("gate")
    settings = LakeSettings(home=folder, lake_uri=lake.settings.lake)
    database = ControlDatabase.open(settings.control_url)
    for tenant, own in gate_settings().items():
        database.tenants.add(tenant, settings=own)
    database.close()
    return settings


@pytest.fixture(scope="module")
def results(lake: SessionLake, settings: LakeSettings, built: dict) -> dict[str, GateResult]:
    """Every tenant's verdict once the defects are planted; no build comes after them."""
    session = open_local_session(lake.settings)
    before = run_gate(settings, list(BROKEN))
    for tenant in BROKEN:
        assert before[tenant].passed, before[tenant].failures
    plant_below_raw(session)
    plant_in_raw(lake)
    return run_gate(settings, list(FAILURES))


@pytest.mark.parametrize("tenant", FAILURES)
def test_a_tenant_fails_by_the_checks_meant_for_it(
    results: dict[str, GateResult], tenant: str
) -> None:
    result = results[tenant]
    assert {outcome.check for outcome in result.failures} == FAILURES[tenant]
    assert {outcome.check for outcome in result.warnings} == WARNINGS.get(tenant, set())
    assert result.passed == (not FAILURES[tenant])


def test_every_check_of_a_tenant_has_failed_here_once() -> None:
    written = {
        check["failed rows"]["name"]
        for layer in LAYERS
        for checks in yaml.safe_load((CHECKS / layer / "tenants.yml").read_text()).values()
        for check in checks
    }
    failed = set().union(*FAILURES.values())
    warned = {f"{check}{WARNING}" for check in set().union(*WARNINGS.values())}
    assert written == failed | warned
    assert len(failed) > 20


def test_an_outcome_says_what_was_measured_what_is_expected_and_where_to_look(
    results: dict[str, GateResult],
) -> None:
    (outcome,) = results["gate-unbalanced"].failures
    assert (outcome.layer, outcome.table) == ("training", "training.training_data")
    assert (outcome.measured, outcome.threshold, outcome.expected) == (39, 40, "40")
    assert outcome.sentence == (
        "10 positives with 4 negatives each, less 0 that could not be drawn, promise 40 sampled "
        "negatives; the set holds 39."
    )
    assert outcome.see.startswith('uv run dbt show --inline "select ')
    (share,) = results["gate-part-catalogue"].warnings
    assert share.measured == pytest.approx(22 / 30)
    assert (share.threshold, share.expected) == (0.95, "at least 0.95")
    (fallen,) = results["gate-fallen"].failures
    assert fallen.measured == pytest.approx(8 / 42)
    assert (fallen.threshold, fallen.expected) == (0.2, "at least 0.2")


def test_the_user_who_dominates_is_shown_masked(results: dict[str, GateResult]) -> None:
    (failed,) = results["gate-one-user"].failures
    (warned,) = results["gate-warned-user"].warnings
    for outcome in (failed, warned):
        assert outcome.measured == pytest.approx(20 / 30)
        assert "20 of 30" in outcome.sentence
        assert [row["total_interactions"] for row in outcome.samples] == [20, 1, 1, 1, 1]
        assert re.fullmatch("u…[0-9a-f]{4}", outcome.samples[0]["user_id"])
    assert (warned.threshold, failed.threshold) == (0.2, 0.6)
    (item,) = results["gate-warned-item"].warnings
    assert (item.measured, item.threshold) == (pytest.approx(102 / 130), 0.5)
    assert re.fullmatch("i…[0-9a-f]{4}", item.samples[0]["item_id"])
    good = results["gate-good"].report["figures"]["features"]
    assert good["top_user_share"] is None  # of 30 events


def test_a_failure_has_up_to_five_rows_with_their_identifiers_masked(
    results: dict[str, GateResult],
) -> None:
    (twice,) = results["gate-twice"].failures
    (row,) = twice.samples
    assert row["row_count"] == 2
    assert re.fullmatch("e…[0-9a-f]{4}", row["event_id"])
    (orphans,) = results["gate-orphans"].failures
    assert len(orphans.samples) == 5
    (future,) = results["gate-future"].failures
    (row,) = future.samples
    assert row.keys() == {"event_id", "event_time", "known_at", "batch_id", "source_ref"}
    assert row["source_ref"].startswith("line:")
    assert row["event_time"] > row["known_at"]
    for result in results.values():
        assert all(outcome.samples for outcome in result.failures if outcome.measured != 0)


def test_each_command_to_see_more_is_a_statement_that_runs(
    lake: SessionLake, results: dict[str, GateResult]
) -> None:
    session = open_local_session(lake.settings)
    seen = set()
    for result in results.values():
        for outcome in (*result.failures, *result.warnings):
            statement = outcome.see.removeprefix('uv run dbt show --inline "').removesuffix('"')
            assert '"' not in statement
            assert f"'{result.tenant_id}'" in statement
            if outcome.check not in seen:
                session.sql(statement).collect()
            seen.add(outcome.check)


def test_the_report_on_disk_is_what_was_returned_and_names_nobody(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    path = settings.home_dir / results["gate-good"].report["report_file"]
    text = path.read_text()
    document = json.loads(text)
    assert document["tenants"] == [results[tenant].report for tenant in sorted(results)]
    assert document["passed"] is False
    assert document["tenants"][0]["figures"]["staging"]["interaction_count"] > 0
    identifiers = [f'"{letter}{n}"' for letter in "eiv" for n in range(20)]
    for identifier in ("subject-", "v19", "'i0'", *identifiers):
        assert identifier not in text


def without_age(result: GateResult) -> dict:
    figures = {layer: dict(row) for layer, row in result.report["figures"].items()}
    assert figures["raw"].pop("age_hours") >= 0
    return figures


def test_only_the_tenants_asked_for_are_measured(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    found = run_gate(settings, ["gate-good", "gate-good"])
    assert list(found) == ["gate-good"]
    assert found["gate-good"].passed
    assert without_age(found["gate-good"]) == without_age(results["gate-good"])
    assert run_gate(settings, []) == {}


def test_all_tenants_are_those_with_rows(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    found = run_gate(settings, layers=["raw"])
    assert set(FAILURES) <= set(found)
    assert "gate-empty" not in found
    for tenant in FAILURES:
        told = [outcome.check for outcome in found[tenant].failures]
        before = [o.check for o in results[tenant].failures if o.layer == "raw"]
        assert told == before


def test_a_tenant_without_rows_passes_and_an_unknown_one_is_an_error(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    assert run_gate(settings, ["gate-empty"])["gate-empty"].passed
    with pytest.raises(EtaError, match="no tenant 'gate-unheard-of'"):
        run_gate(settings, ["gate-empty", "gate-unheard-of"])
    with pytest.raises(EtaError, match="not valid"):
        run_gate(settings, ["x' or '1'='1"])


def test_a_missing_column_fails_every_tenant(
    lake: SessionLake, settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    session = open_local_session(lake.settings)
    name = "training.training_contents"
    version = session.sql(f"describe history {name} limit 1").collect()[0].version
    counts = session.table(name).drop("shortfall_count")
    counts.write.format("delta").mode("overwrite").option("overwriteSchema", "true").partitionBy(
        "tenant_id"
    ).saveAsTable(name)
    try:
        found = run_gate(settings, ["gate-good", "gate-no-user"])
    finally:
        session.sql(f"restore table {name} to version as of {version}")
    (outcome,) = found["gate-good"].failures
    assert outcome.check == "training_contents_have_their_columns"
    assert (outcome.layer, outcome.table) == ("training", name)
    assert outcome.measured == "shortfall_count is missing"
    assert {failure.check for failure in found["gate-no-user"].failures} == {
        "training_contents_have_their_columns",
        "staged_user_id_is_given",
    }
    assert set(found["gate-good"].report["figures"]) == {"raw", "staging", "features"}


def test_a_lake_that_was_never_built_is_an_error(tmp_path: Path) -> None:
    class Catalog:
        def tableExists(self, name: str) -> bool:  # noqa: N802
            return name.startswith(("raw.", "ops."))

    class Session:
        catalog = Catalog()

    with pytest.raises(EtaError, match=r"staging\.stg_interactions was never built"):
        run_gate(LakeSettings(home=tmp_path), session=Session())


def test_tables_of_another_shape_are_never_a_pass(
    lake: SessionLake, settings: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first layer cannot be measured and no tenant was ever added."""
    finding = Finding("columns", "raw", "raw.items", False, {"see": "look"}, measured="all wrong")
    monkeypatch.setattr("lakehouse.quality.gate.scan", lambda *_: (finding,))
    found = run_gate(settings)
    assert found.keys() == gate_settings().keys()
    assert not any(result.passed for result in found.values())
    nobody = LakeSettings(home=tmp_path, lake_uri=lake.settings.lake)
    with pytest.raises(EtaError, match=r"raw\.items: all wrong"):
        run_gate(nobody)
