"""What is gathered of a tenant's quality, and what is left out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.contracts.tables import QUARANTINE, RAW_QUARANTINE
from lakehouse.control.database import ControlDatabase
from lakehouse.quality import quality_table
from lakehouse.quality.history import Reader
from lakehouse.quality.pages import report_html
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import (
    KEPT,
    BuildReport,
    NodeResult,
    read_build_reports,
    write_build_report,
)
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.quality_history import (
    plant_arrival,
    plant_gates,
    plant_measurements,
    plant_runs,
)

NOW = datetime.now(UTC)
TROUBLED = {"acme": True, "globex": False}
BUILD = BuildReport(
    run_id="run 1",
    tenant_id=None,
    command="build",
    started_at=NOW - timedelta(hours=1),
    seconds=2.0,
    is_success=True,
    nodes=(NodeResult("positives", "model", "success", 1.5),),
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeSettings:
    """A lake with the weeks of two tenants."""
    settings = LakeSettings(home=tmp_path_factory.mktemp("home"))
    database = ControlDatabase.open(settings.control_url)
    for name, trouble in TROUBLED.items():
        database.tenants.add(name)
        plant_measurements(settings, name, NOW, trouble=trouble)
        plant_arrival(settings, name, NOW - timedelta(hours=1))
    database.close()
    plant_gates(settings, TROUBLED, NOW)
    plant_runs(settings, TROUBLED, NOW)
    return settings


@pytest.fixture
def reader(lake: LakeSettings) -> Iterator[Reader]:
    database = ControlDatabase.open(lake.control_url)
    yield Reader(Lake(lake), database, clock=lambda: NOW)
    database.close()


def test_a_report_has_every_part_newest_where_it_says(reader: Reader) -> None:
    found = reader.report("acme")
    times = [measured.measured_at for measured in found.data_types[0].history]
    assert times == sorted(times)
    assert len(times) == 105
    assert found.score == pytest.approx(found.data_types[0].history[-1].score)
    assert found.data_types[0].freshness_hours == 1
    assert [gate.passed for gate in found.gates[:3]] == [False, True, True]
    assert [check.severity for check in found.gates[0].checks] == ["failure", "warning"]
    assert (found.runs[0].outcome, found.runs[1].outcome) == ("refused", "published")
    assert found.runs[0].reason == found.gates[0].checks[0].sentence
    assert [build.is_success for build in found.builds] == [True, True, False, True, True, True]
    assert found.unread == []
    globex = reader.report("globex")
    assert (globex.runs[0].outcome, globex.runs[0].reason) == ("published", None)
    assert "acme" not in globex.model_dump_json()


def test_the_overview_has_the_worst_tenant_first(reader: Reader) -> None:
    found = reader.overview(None)
    assert [(t.tenant_id, t.passed) for t in found.tenants] == [("acme", False), ("globex", True)]
    assert found.tenants[0].score == reader.report("acme").score
    assert [t.tenant_id for t in reader.overview("globex").tenants] == ["globex"]


def test_the_score_of_now_goes_down_with_the_age_of_the_newest_batch(reader: Reader) -> None:
    later = replace(reader, clock=lambda: NOW + timedelta(hours=11))  # twice the objective
    for now, then in zip(
        (later.report("acme"), *later.overview("acme").tenants),
        (reader.report("acme"), *reader.overview("acme").tenants),
        strict=True,
    ):
        assert now.score == pytest.approx(then.score / 2)


def test_only_so_many_days_are_looked_at(reader: Reader) -> None:
    found = replace(reader, days=3).report("acme")
    assert [len(kind.history) for kind in found.data_types] == [13, 4]
    assert len(found.gates) == 3
    later = replace(reader, clock=lambda: NOW + timedelta(days=40)).report("acme")
    assert (later.data_types, later.gates, later.builds) == ([], [], [])


def test_only_so_many_measurements_are_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = reader.report("acme").data_types[0]
    monkeypatch.setattr(quality_table, "MOST_ROWS", 10)
    newest = reader.report("acme").data_types[0]
    assert newest.history == everything.history[-10:]
    assert (newest.is_cut, everything.is_cut) == (True, False)


def test_what_another_tenant_asked_for_is_not_told(lake: LakeSettings, reader: Reader) -> None:
    assert reader.database is not None
    reader.database.runs.start("globex alone", {"tenant_id": "globex"})
    write_build_report(lake.home_dir, replace(BUILD, run_id="globex alone", tenant_id="globex"))
    own, others = reader.report("globex"), reader.report("acme")
    assert {"globex alone"} <= {run.run_id for run in own.runs}
    assert {"globex alone"} <= {build.run_id for build in own.builds}
    assert "globex" not in others.model_dump_json()


def test_damaged_files_are_left_out_and_a_damaged_table_is_named(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    plant_measurements(settings, "acme", NOW, trouble=False)
    plant_gates(settings, {"acme": False}, NOW)
    for kind in ("gate", "dbt"):
        folder = tmp_path / "reports" / kind
        folder.mkdir(exist_ok=True)
        for number, text in enumerate(("", "[]", '{"tenants": [{"tenant_id": "acme"}]}', "{")):
            (folder / f"{NOW:%Y%m%dT%H%M%S}.{number:06}Z.json").write_text(text)
    found = Reader(Lake(settings), None, clock=lambda: NOW).report("acme")
    assert (len(found.gates), found.builds, found.unread) == (13, [], [])
    log = tmp_path / "lake" / "ops" / "data_quality" / "_delta_log" / f"{0:020}.json"
    log.write_text("{")
    found = Reader(Lake(settings), None, clock=lambda: NOW).report("acme")
    assert found.unread == ["the measurements could not be read; the log says why"]
    assert len(found.gates) == 13


def test_nothing_yet_is_an_empty_report(tmp_path: Path) -> None:
    found = Reader(Lake(LakeSettings(home=tmp_path)), None).report("acme")
    assert (found.score, found.data_types, found.rejects, found.unread) == (None, [], [], [])


def test_commands_of_one_run_are_one_build_and_a_repeated_model_counts_as_it_ended_last(
    tmp_path: Path,
) -> None:
    failed = NodeResult("positives", "model", "error", 0.5)
    for minute, node in ((1, failed), (2, BUILD.nodes[0])):
        write_build_report(
            tmp_path,
            replace(BUILD, started_at=NOW - timedelta(minutes=9 - minute), nodes=(node,)),
        )
    (build,) = Reader(Lake(LakeSettings(home=tmp_path)), None).report("acme").builds
    assert (build.seconds, build.is_success, len(build.nodes)) == (4.0, True, 1)


def test_old_build_reports_are_dropped_by_the_next(tmp_path: Path) -> None:
    old = replace(BUILD, started_at=NOW - KEPT - timedelta(days=1))
    for report in (old, BUILD):
        write_build_report(tmp_path, report)
    found = read_build_reports(tmp_path, since=NOW - 2 * KEPT, limit=10)
    assert [report.started_at for report in found] == [BUILD.started_at]


def test_rejects_are_counted_by_reason_of_rows_that_came_lately(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    rows = [
        _rejected("u1", 2, ["missing_value"]),
        _rejected("u2", 2, ["missing_value", "bad_timestamp"]),
        _rejected("u3", 24 * 40, ["missing_value"]),
    ]
    write_deltalake(
        Lake(settings).table(RAW_QUARANTINE), pa.Table.from_pylist(rows, QUARANTINE), mode="append"
    )
    found = Reader(Lake(settings), None, clock=lambda: NOW).report("acme")
    assert [(r.code, r.rows, r.batches) for r in found.rejects] == [
        ("missing_value", 2, 1),
        ("bad_timestamp", 1, 1),
    ]


def test_a_report_as_a_file_holds_no_markup_of_a_tenants(reader: Reader) -> None:
    report = reader.report("acme")
    report.gates[0].checks[0].sentence = "</script><script>alert(1)</script>"
    text = report_html(report)
    assert text.count("<script") == text.count("</script>") == 2
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text
    document = text.partition('id="document">')[2].partition("</script>")[0]
    assert json.loads(document)["gates"][0]["checks"][0]["sentence"].startswith("</script>")


def _rejected(row: str, hours: float, codes: list[str]) -> dict[str, Any]:
    moment = NOW - timedelta(hours=hours)
    values = {
        "tenant_id": "acme",
        "ingest_date": moment.date(),
        "data_type": "interactions",
        "raw": b"secret",
        "reasons": [{"code": code, "field": "user_id", "message": "-"} for code in codes],
        "schema_version": 1,
        "layout": "{}",
        "attempt": 1,
        "source": "csv",
        "batch_id": f"batch {hours}".replace(" ", "-"),
        "source_ref": row,
        "known_at": moment,
    }
    return {name: values.get(name) for name in QUARANTINE.names}
