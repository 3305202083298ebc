"""What tenants cost adds up to what was measured, and is of who caused it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from ingest_service.sinks.delta import DeltaSink
from lakehouse.cli.main import app
from lakehouse.quality.exporter import page
from lakehouse.quality.history import Reader
from lakehouse.quality.metrics import QualityMetrics
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import BuildReport, NodeResult
from lakehouse.storage.cost_reports import SHARED, CostReports, read_costs, write_costs, write_kept
from lakehouse.storage.lake import Lake
from lakehouse.storage.report_files import stamp
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.costs import kept_by_tenant, run_costs
from tests.support.quality import Plan, plant

NOW = datetime.now(UTC)
MODELS = ("staging/stg_items", "features/user_features", "training/training_data")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return new_lake(tmp_path_factory.mktemp("costs"))


def new_lake(home: Path) -> Lake:
    lake = Lake(LakeSettings(home=home))
    ensure_tables(lake)
    write("staging/stg_items", lake, acme=3, globex=1)
    write("features/user_features", lake, acme=5)
    write("training/training_data", lake, acme=50, globex=2000)
    write("features/user_features", lake, globex=7)  # version 1
    return lake


def write(path: str, lake: Lake, **rows: int) -> None:
    tenants = [name for name, count in rows.items() for _ in range(count)]
    numbers = [n * n % 9973 for n in range(len(tenants))]
    table = pa.table({"tenant_id": tenants, "n": numbers})
    write_deltalake(lake.location(path), table, partition_by=["tenant_id"], mode="append")


def report(seconds: dict[str, float], tests: float, processor: float | None = None) -> BuildReport:
    nodes = [NodeResult(name, "model", "success", took) for name, took in seconds.items()]
    nodes.append(NodeResult("primary_key_of_it", "test", "pass", tests))
    return BuildReport("run", None, "build", NOW, 1.0, True, nodes, processor)


def test_what_is_kept_is_of_who_has_it(lake: Lake) -> None:
    kept = kept_by_tenant(lake)
    assert {stage: one.rows for stage, one in kept["acme"].items()} == {
        "features": 5,
        "staging": 3,
        "training": 50,
    }
    files = sum(path.stat().st_size for name in MODELS for path in _files(lake, name))
    mine = [one for tenant, by in kept.items() for stage, one in by.items() if tenant != SHARED]
    assert sum(one.bytes for one in mine) == files


def _files(lake: Lake, name: str) -> list[Path]:
    return list(Path(lake.location(name)).glob("tenant_id=*/*.parquet"))


SECONDS = st.floats(0, 1e4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS, SECONDS, SECONDS), max_size=3), st.data())
def test_the_sum_is_what_was_measured(
    lake: Lake, runs: list[tuple[float, ...]], data: st.DataObject
) -> None:
    names = ("stg_items", "user_features", "training_data", "a_view")
    seen = data.draw(st.booleans())
    reports = [
        report(dict(zip(names, took[:4], strict=True)), took[4], sum(took) / 3 if seen else None)
        for took in runs
    ]
    since = {"staging.stg_items": data.draw(st.integers(-1, 0)), "features.user_features": 0}
    costs = run_costs(lake, since, reports)
    entries = [one for by in costs.values() for one in by.values()]
    measured = sum(sum(took) for took in runs)
    assert sum(one["seconds"] for one in entries) == pytest.approx(measured)
    if seen and measured:
        total = sum(one["processor_seconds"] for one in entries)
        assert total == pytest.approx(measured / 3)
    assert all("processor_seconds" not in one for one in entries) or seen


def test_a_run_costs_those_for_whom_it_wrote(lake: Lake) -> None:
    since = {"staging.stg_items": 0, "features.user_features": 0}
    told = report({"stg_items": 4.0, "user_features": 2.0, "training_data": 10.0, "a_view": 1}, 0)
    costs = run_costs(lake, since, [told])
    assert costs["globex"]["features"]["seconds"] == 2.0, "acme's file was there before"
    assert "features" not in costs["acme"]
    assert costs[SHARED]["staging"]["seconds"] == 4.0, "nothing was written for anybody"
    assert costs[SHARED]["views"]["seconds"] == 1.0
    training = {name: costs[name]["training"] for name in ("acme", "globex")}
    assert training["globex"]["seconds"] > training["acme"]["seconds"] > 0
    share = training["acme"]["bytes"] / sum(one["bytes"] for one in training.values())
    assert training["acme"]["seconds"] == pytest.approx(10 * share)


def test_a_table_made_anew_was_written_whole(lake: Lake) -> None:
    costs = run_costs(lake, {"features.user_features": 99}, [report({"user_features": 2.0}, 0)])
    assert {"acme", "globex"} <= costs.keys()
    assert sum(by["features"]["seconds"] for by in costs.values() if "features" in by) == 2.0


def test_reports_add_up_and_a_damaged_one_is_told(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"acme": {"training": {"bytes": 5, "seconds": 1.5, "processor_seconds": 1.0}}}
    for days in (1, 2, 40):
        write_costs(lake.home, NOW - timedelta(days=days), one)
    write_costs(lake.home, NOW - timedelta(days=1), one)  # the run ended a second time
    (lake.home / "reports/costs" / "99990101T000000.000000Z.json").write_text("{")
    summed = read_costs(lake.home, NOW - timedelta(days=30))
    assert summed.costs["acme"]["training"] == {
        "bytes": 10,
        "seconds": 3.0,
        "processor_seconds": 2.0,
    }
    assert (summed.runs, summed.unreadable) == (2, 1)

    reports = CostReports(lake.home)
    assert reports.sum(NOW - timedelta(days=30)) == summed == reports.sum(NOW - timedelta(days=30))
    more = {"acme": {"training": {"bytes": 1, "seconds": 0.5, "processor_seconds": 0.0}}}
    write_costs(lake.home, NOW - timedelta(days=1), more)
    write_costs(lake.home, NOW, more)
    found = reports.sum(NOW - timedelta(days=30)).costs["acme"]["training"]
    assert (found["bytes"], found["seconds"]) == (7, 2.5), "one was replaced, one is new"
    (lake.home / "reports/costs" / f"{stamp(NOW)}.json").unlink()
    write_costs(lake.home, NOW - timedelta(days=1), one)

    monkeypatch.setenv("ETA_HOME", str(lake.home))
    told = CliRunner().invoke(app, ["tenants", "costs"])
    assert told.exit_code == 0, told.output
    assert "NOT in these figures: 1 reports" in told.stderr
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert lines[0][:2] == ["tenant", "rows"]
    by_name = {line[0]: line[1:] for line in lines[1:]}
    assert by_name["acme"][0] == "58"
    assert by_name["all"][4:] == by_name["acme"][4:] == ["3.0", "2.0"]
    unknown = CliRunner().invoke(app, ["tenants", "costs", "--tenant", "nobody"])
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    found = json.loads(CliRunner().invoke(app, ["tenants", "costs", "--json"]).stdout)
    assert found["acme"]["training"]["written_bytes"] == 10


def test_sums_of_the_metrics_are_what_was_measured(tmp_path: Path) -> None:
    """Also of a tenant that has no gauges, and of what is nobody's."""
    lake = new_lake(tmp_path)
    told = report({"stg_items": 4.0, "training_data": 10.0, "a_view": 1.5}, 2.5, processor=9.0)
    home = lake.home
    plant(DeltaSink(lake), "b1", Plan(good=3))
    write_costs(home, NOW, run_costs(lake, {"staging.stg_items": 0}, [told]))
    kept = kept_by_tenant(lake)
    write_kept(home, kept)
    registry = CollectorRegistry()
    registry.register(QualityMetrics(lake))
    samples = [one for family in registry.collect() for one in family.samples]

    def total(name: str) -> float:
        return sum(one.value for one in samples if one.name == name)

    assert total("eta_tenant_seconds") == pytest.approx(18.0)
    assert total("eta_tenant_processor_seconds") == pytest.approx(9.0)
    every = sum(one.bytes for by in kept.values() for one in by.values())
    assert total("eta_tenant_kept_bytes") == every
    labels = {one.labels["tenant_id"] for one in samples if one.name == "eta_tenant_kept_bytes"}
    assert labels == {"acme", "(others)"}
    assert {"(shared)"} < {one.labels.get("tenant_id") for one in samples if "seconds" in one.name}
    assert total("eta_cost_reports_unreadable") == 0

    document = Reader(lake, None).report("acme")
    stages = {cost.stage: cost for cost in document.costs}
    assert list(stages) == ["raw", "ops", "staging", "features", "training"]
    assert stages["training"].kept_rows == 50
    assert stages["features"].seconds == 0, "no model of it ran"
    page(registry.collect())  # no label has to be escaped
    (home / "reports/kept.json").write_text("[]")
    assert "what it costs could not be read" in Reader(lake, None).report("acme").unread[0]
    assert registry.get_sample_value("eta_cost_reports_unreadable") == 1
    assert registry.get_sample_value("eta_quality_tenants") == 1, "the others go on"
