"""The gate: what is planted in one tenant fails that tenant by the check meant for it, no other."""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lakehouse.contracts.tables import RAW_ITEMS
from lakehouse.contracts.tenant import TenantSettings, TimeRange
from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.quality.gate import run_gate
from lakehouse.quality.outcomes import GateResult
from lakehouse.quality.soda import Finding, scan
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from tests.conftest import PROJECT_DIR
from tests.support.lake import NOON, Lake, interaction, item

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHECKS = PROJECT_DIR / "soda_checks"
CONFIGURATION = CHECKS / "configuration.yml"
TABLES = (
    "raw.interactions",
    "raw.items",
    "staging.stg_interactions",
    "staging.stg_items",
    "training.training_data",
    "training.training_counts",
)
ONE_SAMPLED = "negative_type = 'sampled' and draw_index = 1 and anchor_item_id = 'i0'"

# What is broken below raw, one tenant each: table, column and its new value (None: the rows go),
# which rows; and the check that is to tell.
BROKEN = {
    "gate-no-user": (
        ("staging.stg_interactions", "user_id", "null", "event_id = 'e0'"),
        "staged_user_id_is_given",
    ),
    "gate-no-item": (
        ("staging.stg_interactions", "item_id", "null", "event_id = 'v19'"),
        "staged_item_id_is_given",
    ),
    "gate-type": (
        ("staging.stg_interactions", "interaction_type", "'stare'", "event_id = 'v19'"),
        "staged_interaction_type_is_known",
    ),
    "gate-early": (
        (
            "staging.stg_interactions",
            "event_time",
            "timestamp '2019-12-31 23:59:59'",
            "event_id = 'v19'",
        ),
        "staged_event_time_is_in_range",
    ),
    "gate-twice": (
        ("staging.stg_interactions", "event_id", "'v18'", "event_id = 'v19'"),
        "staged_event_id_is_unique",
    ),
    "gate-unstaged": (
        ("staging.stg_interactions", None, None, "true"),
        "staged_rows_follow_the_raw_rows",
    ),
    "gate-catalogue-twice": (
        ("staging.stg_items", "event_id", "'i1'", "event_id = 'i2'"),
        "staged_catalogue_rows_are_unique",
    ),
    "gate-unbalanced": (
        ("training.training_data", None, None, ONE_SAMPLED),
        "labels_are_balanced",
    ),
    "gate-no-positives": (
        ("training.training_data", None, None, "true"),
        "wishes_make_positives",
    ),
    "gate-lost-positive": (
        ("training.training_data", None, None, "anchor_item_id = 'i0'"),
        "positives_are_as_many_as_counted",
    ),
    "gate-repeated": (
        ("training.training_data", "draw_index", "2", ONE_SAMPLED),
        "examples_are_unique",
    ),
    "gate-no-id": (
        ("training.training_data", "item_id", "null", ONE_SAMPLED),
        "example_ids_are_given",
    ),
    "gate-mislabelled": (
        ("training.training_data", "sampling_probability", "2", ONE_SAMPLED),
        "labels_agree_with_their_kind",
    ),
}
RAW_CHECKS = {
    "raw_user_id_is_given",
    "raw_item_id_is_given",
    "raw_interaction_type_is_known",
    "raw_event_time_is_in_range",
    "raw_catalogue_item_id_is_given",
}
FAILURES = {
    "gate-good": set(),
    "gate-no-catalogue": set(),
    "gate-own-range": set(),
    "gate-few-items": set(),
    "gate-part-catalogue": set(),
    "gate-range": {"raw_event_time_is_in_range", "staged_event_time_is_in_range"},
    "gate-orphans": {"items_are_in_the_catalogue"},
    "gate-raw": RAW_CHECKS,
    **{tenant: {check} for tenant, (_, check) in BROKEN.items()},
}
WARNINGS = {
    "gate-few-items": {"negatives_can_be_drawn"},
    "gate-part-catalogue": {"nearly_all_items_are_in_the_catalogue"},
}


def clicks(moment: datetime = NOON, items: int = 20) -> list[dict]:
    """Ten users who click on one item each, and one person who has seen everything before."""
    earlier = moment - timedelta(hours=2)
    return [
        *(
            interaction(f"e{n}", f"subject-{n}", f"i{n % items}", "click", moment)
            for n in range(10)
        ),
        *(interaction(f"v{n}", "subject-x", f"i{n}", "view", earlier) for n in range(items)),
    ]


def catalogue(first: int = 0) -> list[dict]:
    return [
        item(f"i{n}", available_from=NOON - timedelta(days=9)) for n in range(first, first + 20)
    ]


def plant_below_raw(session: "SparkSession") -> None:
    """Break every tenant of `BROKEN`, with one update and one delete per table."""
    updates, deletes = defaultdict(list), defaultdict(list)
    for tenant, ((table, column, value, which), _) in BROKEN.items():
        chosen = f"(tenant_id = '{tenant}' and {which})"
        if column is None:
            deletes[table].append(chosen)
        else:
            updates[table].append((column, value, chosen))
    deletes["training.training_counts"].append("tenant_id = 'gate-no-positives'")
    for table, changes in updates.items():
        columns = ", ".join(f"{c} = if({which}, {value}, {c})" for c, value, which in changes)
        rows = " or ".join(which for *_, which in changes)
        assert session.sql(f"update {table} set {columns} where {rows}").collect()[0][0] > 0
    for table, choices in deletes.items():
        assert session.sql(f"delete from {table} where {' or '.join(choices)}").collect()[0][0] > 0


def plant_in_raw(lake: Lake) -> None:
    """Rows that ingestion would refuse; no build comes after them."""
    bad = [
        interaction("no-user", user_id=""),
        interaction("no-item", item_id=""),
        interaction("no-type", interaction_type="stare"),
        interaction("no-time", event_time=datetime(2031, 1, 1, tzinfo=UTC)),
    ]
    lake.store("gate-raw", bad)
    lake.store_items("gate-raw", [item("", "nameless")])


@pytest.fixture(scope="module")
def settings(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> LakeSettings:
    """The lake's settings with a control database: some tenants have a range of their own."""
    folder = tmp_path_factory.mktemp("gate")
    settings = LakeSettings(home=folder, lake_uri=lake.settings.lake)
    ranges = {
        "gate-range": TimeRange(start=NOON, end=datetime(2027, 1, 1)),
        "gate-own-range": TimeRange(start=datetime(1990, 1, 1), end=datetime(2027, 1, 1)),
        "gate-good": TimeRange(),
        "gate-empty": TimeRange(),
    }
    database = ControlDatabase.open(settings.control_url)
    for tenant, time_range in ranges.items():
        database.tenants.add(tenant, settings=TenantSettings(time_range=time_range))
    database.close()
    return settings


@pytest.fixture(scope="module")
def restored(lake: Lake) -> Iterator[None]:
    """Afterwards the tables are as they were built, or other modules' builds would fail."""
    for tenant in FAILURES:
        moment = datetime(1998, 1, 1, tzinfo=UTC) if tenant == "gate-own-range" else NOON
        lake.store(tenant, clicks(moment, 3 if tenant == "gate-few-items" else 20))
        if tenant not in ("gate-no-catalogue", "gate-own-range", "gate-few-items"):
            first = {"gate-orphans": 15, "gate-part-catalogue": 4}.get(tenant, 0)
            lake.store(tenant, catalogue(first), spec=RAW_ITEMS, known_at=NOON)
    lake.build()
    session = open_local_session(lake.settings)
    versions = {
        name: session.sql(f"describe history {name} limit 1").collect()[0].version
        for name in TABLES
    }
    yield
    for name, version in versions.items():
        session.sql(f"restore table {name} to version as of {version}")


@pytest.fixture(scope="module")
def results(lake: Lake, settings: LakeSettings, restored: None) -> dict[str, GateResult]:
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
        for layer in ("raw", "staging", "training")
        for checks in yaml.safe_load((CHECKS / layer / "tenants.yml").read_text()).values()
        for check in checks
    }
    assert written == set().union(*FAILURES.values(), *WARNINGS.values())


def test_an_outcome_says_what_was_measured_what_is_expected_and_where_to_look(
    results: dict[str, GateResult],
) -> None:
    (outcome,) = results["gate-unbalanced"].failures
    assert (outcome.layer, outcome.table) == ("training", "training.training_data")
    assert (outcome.measured, outcome.expected) == (39, "40")
    assert outcome.sentence == (
        "10 positives with 4 negatives each, less 0 that could not be drawn, promise 40 sampled "
        "negatives; the set holds 39."
    )
    assert outcome.see.startswith('uv run dbt show --inline "select ')
    (share,) = results["gate-part-catalogue"].warnings
    assert share.measured == pytest.approx(22 / 30)


def test_each_command_to_see_more_is_a_statement_that_runs(
    lake: Lake, results: dict[str, GateResult]
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
    for identifier in ("subject-", "v19", "'i0'", '"i0"'):
        assert identifier not in text


def test_only_the_tenants_asked_for_are_measured(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    found = run_gate(settings, ["gate-good", "gate-good"])
    assert list(found) == ["gate-good"]
    assert found["gate-good"].passed
    assert found["gate-good"].report["figures"] == results["gate-good"].report["figures"]
    assert run_gate(settings, []) == {}


def test_all_tenants_are_those_with_rows(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    found = run_gate(settings)
    assert set(FAILURES) <= set(found)
    assert "gate-empty" not in found
    for tenant in FAILURES:
        assert found[tenant].failures == results[tenant].failures


def test_a_tenant_without_rows_passes_and_an_unknown_one_is_an_error(
    settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    assert run_gate(settings, ["gate-empty"])["gate-empty"].passed
    with pytest.raises(EtaError, match="no tenant 'gate-unheard-of'"):
        run_gate(settings, ["gate-empty", "gate-unheard-of"])
    with pytest.raises(EtaError, match="not valid"):
        run_gate(settings, ["x' or '1'='1"])


def test_a_missing_column_fails_every_tenant(
    lake: Lake, settings: LakeSettings, results: dict[str, GateResult]
) -> None:
    session = open_local_session(lake.settings)
    name = "training.training_counts"
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
    assert outcome.check == "training_counts_have_their_columns"
    assert (outcome.layer, outcome.table) == ("training", name)
    assert outcome.measured == "shortfall_count is missing"
    assert {failure.check for failure in found["gate-no-user"].failures} == {
        "training_counts_have_their_columns",
        "staged_user_id_is_given",
    }
    assert set(found["gate-good"].report["figures"]) == {"raw", "staging"}


@pytest.fixture
def scanned(lake: Lake, tmp_path: Path) -> Callable[..., object]:
    """Runs one check on a view of as many tenants as are asked for."""
    session = open_local_session(lake.settings)

    def run(condition: str, tenants: int = 1) -> object:
        session.range(tenants).selectExpr(
            "concat('t', id) as tenant_id", "id as number"
        ).createOrReplaceTempView("gate_scanned")
        check = {"name": "scanned", "fail condition": condition}
        file = tmp_path / "tenants.yml"
        file.write_text(json.dumps({"checks for gate_scanned": [{"failed rows": check}]}))
        return scan(session, [file], CONFIGURATION)

    yield run
    session.catalog.dropTempView("gate_scanned")


def test_all_failed_tenants_are_known_also_beyond_the_pages_that_soda_reads(scanned) -> None:
    (finding,) = scanned("number >= 10", tenants=260)
    assert len({row["tenant_id"] for row in finding.rows}) == len(finding.rows) == 250


def test_what_soda_cannot_evaluate_is_an_error_and_says_nothing_of_the_data(
    scanned, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(EtaError, match=r"could not be run.*scanned") as raised,
    ):
        scanned("cast(concat('secret-', number) as int) / no_such_column > 0")
    assert "secret-" not in str(raised.value) + caplog.text


def test_no_check_at_all_is_an_error(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("checks for gate_scanned: []\n")
    with pytest.raises(EtaError, match="could not be run"):
        scan(open_local_session(lake.settings), [tmp_path / "empty.yml"], CONFIGURATION)


def test_a_scan_leaves_the_environment_as_it_was(
    scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soda.common.env_helper import EnvHelper

    (tmp_path / ".env").write_text("ETA_HOME=/elsewhere\nGATE_INTRUDER=1\n")
    monkeypatch.setattr("dotenv.main.find_dotenv", lambda *_, **__: str(tmp_path / ".env"))
    EnvHelper.reset()
    before = dict(os.environ)
    assert scanned("number < 0") == ()
    assert dict(os.environ) == before


def test_a_lake_that_was_never_built_is_an_error(tmp_path: Path) -> None:
    class Catalog:
        def tableExists(self, name: str) -> bool:  # noqa: N802
            return name.startswith("raw.")

    class Session:
        catalog = Catalog()

    with pytest.raises(EtaError, match=r"staging\.stg_interactions was never built"):
        run_gate(LakeSettings(home=tmp_path), session=Session())


def test_tables_of_another_shape_are_never_a_pass(
    lake: Lake, settings: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first layer cannot be measured and no tenant was ever added."""
    finding = Finding("columns", "raw", "raw.items", False, {"see": "look"}, measured="all wrong")
    monkeypatch.setattr("lakehouse.quality.gate.scan", lambda *_: (finding,))
    found = run_gate(settings)
    assert [result.passed for result in found.values()] == [False] * 4
    nobody = LakeSettings(home=tmp_path, lake_uri=lake.settings.lake)
    with pytest.raises(EtaError, match=r"raw\.items: all wrong"):
        run_gate(nobody)
