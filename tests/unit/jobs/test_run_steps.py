"""A scheduler's run by its commands: begin, check, publish, end."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.control.database import ControlDatabase
from lakehouse.jobs import run_steps
from lakehouse.settings import LakeSettings
from tests.support.lineage import ends, events_of
from tests.support.training import examples, write_training_tables


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    (tmp_path / "dbt_project.yml").write_text("name: eta\nvars: {seed: 42}\n")
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETA_RUN_ID", "dag/1")
    monkeypatch.delenv("ETA_DEBUG", raising=False)
    settings = LakeSettings()
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    return settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How the gate was asked; it refuses globex."""
    found: list[dict[str, Any]] = []
    about = {"table": "training_data", "measured": 6, "expected": 9, "see": "eta status"}
    failure = {"check": "few", "sentence": "globex has too few rows", **about}

    def gate(_: LakeSettings, tenants: Sequence[str] | None, **how: Any) -> dict[str, Any]:
        found.append(how)
        names = tenants or ["acme", "globex"]
        return {
            name: SimpleNamespace(
                passed=name == "acme",
                report={"failures": [failure] * (name != "acme"), "report_file": "gate.json"},
            )
            for name in names
        }

    monkeypatch.setattr(run_steps, "run_gate", gate)
    return found


def runs(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["runs", *arguments])


def printed(*arguments: str) -> Any:
    result = runs(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_run_in_steps(settings: LakeSettings, asked: list[dict[str, Any]]) -> None:
    assert printed("begin")["is_needed"]
    assert printed("check", "--early") == ["globex"]
    assert asked[0]["layers"] == ("raw", "staging")
    assert asked[0]["parameters"]["seed"] == 42
    assert printed("check") == ["globex"]
    done = printed("publish")
    assert list(done["new"]) == ["acme"]
    assert done["refused"] == {"globex": "globex has too few rows"}
    assert runs("verdict", "--tenant", "globex").exit_code == 1
    ended = runs("end")
    assert "The run refused." in ended.stderr
    assert (settings.home_dir / "metrics" / "eta_runs.prom").is_file()


def test_another_run_waits_and_is_told_for_whom(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_steps, "_POLL_SECONDS", 0.01)
    database = ControlDatabase.open(settings.control_url)
    database.run_lock.hold("somebody's")
    try:
        result = runs("begin")
        assert result.exit_code == 75  # by which a scheduler knows that it may ask again
        assert 'the run "somebody\'s" writes the models' in result.stderr
        waited = runs("begin", "--wait", "0.0001")
        assert waited.stderr.startswith('Waiting: the run "somebody\'s" writes the models')
    finally:
        database.close()


def test_a_run_that_is_late_is_noted_and_one_that_was_not_is_not(
    settings: LakeSettings, asked: list[dict[str, Any]]
) -> None:
    printed("begin")
    assert "and has not" in runs("late", "--deadline", "2026-01-01T00:00:00").stderr
    runs("end")
    assert "had ended in time" in runs("late", "--deadline", "2099-01-01T00:00:00").stderr


def test_the_steps_of_a_run_are_told_as_one(
    settings: LakeSettings,
    asked: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv("ETA_OPENLINEAGE_URL", events.as_uri())
    for step in ("begin", "check", "publish", "end"):
        runs(step)
    found = events_of(events)
    models = [event for event in found if event["job"]["name"] == "models"]
    assert [event["eventType"] for event in models] == ["START", "COMPLETE"]
    [run_id] = {event["run"]["runId"] for event in models}
    [published] = ends(found, "publish")
    assert published["run"]["facets"]["parent"]["run"]["runId"] == run_id
    told = (settings.home_dir / "metrics" / "eta_runs.prom").read_text()
    assert 'eta_run_lineage_runs{outcome="delivered"} 3.0' in told
