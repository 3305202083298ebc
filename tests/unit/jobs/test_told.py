"""Jobs are told to OpenLineage by what they did; a destination that is away changes nothing."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.jobs.prepare import prepare
from lakehouse.jobs.tell import erasures_told
from lakehouse.lineage.delivery import lineage_of
from lakehouse.privacy.worker import Progress
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import BuildReport, NodeResult, write_build_report
from lakehouse.storage.lake import Lake
from lakehouse.training.publish import current_snapshot
from lakehouse.training.run_metrics import exposition
from lakehouse.training.run_parameters import RunParameters, read_parameters
from tests.support.lineage import ends, events_of
from tests.support.training import examples, write_table, write_training_tables

FEATURES = "features.user_features"
READ = {"eta.read.staging.stg_items": "0@2026-03-01 12:00:00.000", "eta.read.raw.items": "3@x"}


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def settings(tmp_path: Path, events: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    (tmp_path / "dbt_project.yml").write_text("name: eta\nvars: {seed: 42}\n")
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", events.as_uri())

    def gate(_: LakeSettings, tenants: Sequence[str], **_how: Any) -> dict[str, Any]:
        return {one: SimpleNamespace(passed=one == "acme", report={}) for one in tenants}

    monkeypatch.setattr("lakehouse.jobs.prepare.run_gate", gate)
    monkeypatch.setattr("lakehouse.jobs.prepare.measure_afterwards", lambda *_, **__: None)
    return LakeSettings()


def built(settings: LakeSettings, **_: Any) -> None:
    """What a run of the models leaves: tables that say what they have read, and a report."""
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    rows = pa.table({"tenant_id": ["acme"], "user_id": ["u-4711"]})
    write_table(settings, FEATURES.replace(".", "/"), rows, {})
    table = Lake(settings).table(FEATURES)
    table.alter.set_table_properties(READ, raise_if_not_exists=False)


def reported(settings: LakeSettings, status: str) -> None:
    with closing(ControlDatabase.open(settings.control_url)) as database:
        [run] = database.runs.list()
        node = NodeResult("user_features", "model", status, 1.5)
        write_build_report(
            settings.home_dir,
            BuildReport(run.run_id, None, "build", datetime.now(UTC), 2.0, True, [node]),
        )


def test_a_run_tells_its_models_and_what_it_published(settings: LakeSettings, events: Path) -> None:
    def build(settings: LakeSettings, **_: Any) -> None:
        built(settings)
        reported(settings, "success")

    prepare(settings, RunParameters(), build=build)
    found = events_of(events)
    assert "u-4711" not in events.read_text()
    begun, ended = [event for event in found if event["job"]["name"] == "models"]
    assert (begun["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert begun["run"]["runId"] == ended["run"]["runId"]
    assert {one["name"] for one in ended["inputs"]} >= {"raw.interactions", "raw.items"}
    assert {FEATURES, "training.training_data"} <= {one["name"] for one in ended["outputs"]}
    [model] = ends(found, "model.user_features")
    assert {one["name"]: one["facets"]["version"]["datasetVersion"] for one in model["inputs"]} == {
        "staging.stg_items": "0", "raw.items": "3"
    }  # fmt: skip
    [output] = model["outputs"]
    assert output["facets"]["version"]["datasetVersion"] == "2"
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert [one["name"] for one in output["facets"]["schema"]["fields"]] == ["tenant_id", "user_id"]
    assert model["run"]["facets"]["parent"]["run"]["runId"] == ended["run"]["runId"]
    assert {one["namespace"] for event in ends(found, "model") for one in event["outputs"]} == {
        "eta"
    }
    [set_] = ends(found, "publish.training_set")  # globex did not pass
    assert set_["job"]["namespace"] == "eta/acme"
    held = current_snapshot(Lake(settings), "acme")
    assert held is not None
    [snapshot] = set_["outputs"]
    assert snapshot["facets"]["version"]["datasetVersion"] == held.snapshot_id
    assert snapshot["outputFacets"]["outputStatistics"]["rowCount"] == held.counts.rows
    assert {one["name"]: one["facets"]["version"]["datasetVersion"] for one in set_["inputs"]} == {
        name: str(pinned.version) for name, pinned in held.pinned.items()
    }
    assert "globex" not in events.read_text()


def test_a_run_without_news_tells_no_model(settings: LakeSettings, events: Path) -> None:
    prepare(settings, RunParameters(), build=built)
    before = len(events_of(events))
    prepare(settings, RunParameters(), build=lambda *_, **__: None)
    later = events_of(events)[before:]
    assert {event["job"]["name"] for event in later} == {"models"}
    assert later[-1]["outputs"] == []


def test_a_run_of_one_tenant_does_not_say_what_it_cannot_know(
    settings: LakeSettings, events: Path
) -> None:
    prepare(settings, read_parameters({"tenant_id": "acme"}), build=built)
    found = events_of(events)
    [model] = ends(found, "model.user_features")
    assert {one["name"] for one in model["inputs"]} == {"staging.stg_items", "raw.items"}
    assert not any("version" in one["facets"] for one in model["inputs"])
    for one in (*model["inputs"], *model["outputs"]):
        [subset] = (kind["subset"] for name, kind in one.items() if name.endswith("putFacets"))
        [condition] = (kind for name, kind in subset.items() if name.endswith("Condition"))
        assert condition["partitions"] == [{"dimensions": {"tenant_id": "acme"}}]


def test_a_failed_model_is_told_without_what_dbt_says(settings: LakeSettings, events: Path) -> None:
    def build(settings: LakeSettings, **_: Any) -> None:
        built(settings)
        reported(settings, "error")
        raise EtaError("user_features: cannot cast 'u-4711'", remedy="read dbt.log")

    with pytest.raises(EtaError):
        prepare(settings, RunParameters(), build=build)
    found = events_of(events)
    assert "u-4711" not in events.read_text()
    failed = {event["job"]["name"] for event in found if event["eventType"] == "FAIL"}
    assert failed == {"model.user_features", "models"}
    [model] = [one for one in ends(found, "model.user_features") if one["eventType"] == "FAIL"]
    message = "the model user_features failed: dbt's log says why"
    assert model["run"]["facets"]["errorMessage"]["message"] == message
    assert not ends(found, "publish")


def test_a_server_that_is_away_changes_no_run_and_is_counted(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", "http://127.0.0.1:9")  # nobody listens there
    published = prepare(LakeSettings(), RunParameters(), build=built)
    assert [manifest.tenant_id for manifest in published.new] == ["acme"]
    with closing(ControlDatabase.open(settings.control_url)) as database:
        [run] = database.runs.list()
        assert run.state == "refused"  # as globex did not pass
        text = exposition([run])
    assert 'eta_run_lineage_runs{outcome="failed"} 1.0' in text
    assert 'eta_run_lineage_runs{outcome="delivered"} 0.0' in text


def test_an_export_is_told_and_not_where_it_went(
    settings: LakeSettings, events: Path, tmp_path: Path
) -> None:
    prepare(settings, RunParameters(), build=built)
    folder = tmp_path / "for anna"
    done = CliRunner().invoke(app, ["export", "--tenant", "acme", "--to", str(folder)])
    assert done.exit_code == 0, done.stderr
    [event] = ends(events_of(events), "export.")
    assert (event["job"]["namespace"], event["job"]["name"]) == ("eta/acme", "export.parquet")
    [snapshot], [export] = event["inputs"], event["outputs"]
    assert snapshot["name"] == "training_set"
    version = snapshot["facets"]["version"]["datasetVersion"]
    assert version == export["facets"]["version"]["datasetVersion"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    held = export["outputFacets"]["outputStatistics"]
    assert (held["fileCount"], held["size"]) == (len(files), sum(p.stat().st_size for p in files))
    assert "for anna" not in events.read_text()
    refused = CliRunner().invoke(app, ["export", "--tenant", "acme", "--to", str(folder)])
    assert refused.exit_code == 1
    assert len(ends(events_of(events), "export.")) == 1


def test_an_erasure_is_told_by_the_tables_that_it_changed(
    settings: LakeSettings, events: Path
) -> None:
    prepare(settings, RunParameters(), build=built)
    with lineage_of(settings) as lineage, erasures_told(lineage, settings) as done:
        Lake(settings).table(FEATURES).delete("tenant_id = 'acme'")
        done.append(Progress("acme", ("request-1",), ()))
        done.append(Progress("globex", (), ("request-2",)))
    [event] = ends(events_of(events), "erasure")
    assert event["job"]["namespace"] == "eta/acme"
    [read], [written] = event["inputs"], event["outputs"]
    assert (read["name"], read["facets"]["version"]["datasetVersion"]) == (FEATURES, "2")
    assert (written["name"], written["facets"]["version"]["datasetVersion"]) == (FEATURES, "3")
    assert "request-" not in events.read_text()
