"""`eta quality report` as text, as one HTML file and as JSON."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.cli.quality_text import sparkline
from lakehouse.control.database import ControlDatabase
from lakehouse.quality.document import QualityReport
from lakehouse.settings import LakeSettings
from tests.support.quality_history import (
    plant_arrival,
    plant_gates,
    plant_measurements,
    plant_runs,
)

REPORT = ("quality", "report", "--tenant", "acme")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    settings, now = LakeSettings(home=folder), datetime.now(UTC)
    database = ControlDatabase.open(settings.control_url)
    database.tenants.add("acme")
    database.tenants.add("new")
    database.close()
    plant_measurements(settings, "acme", now, trouble=True)
    plant_arrival(settings, "acme", now)
    plant_gates(settings, {"acme": True}, now)
    plant_runs(settings, {"acme": True}, now)
    return folder


@pytest.fixture
def eta(home: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ETA_HOME", str(home))
    return CliRunner()


def test_text_has_every_part(eta: CliRunner) -> None:
    done = eta.invoke(app, [*REPORT])
    assert done.exit_code == 0, done.output
    for text in ("Quality", "held back", "raw_event_time_is_in_range", "unique_join_rates_key"):
        assert text in done.stdout
    assert any(block in done.stdout for block in "▁▂▃▄▅▆")
    assert "\x1b[" not in done.stdout  # no colours for a pipe


def test_a_new_tenants_text_says_what_is_not_there(eta: CliRunner) -> None:
    done = eta.invoke(app, ["quality", "report", "--tenant", "new"])
    assert "nothing was received or measured" in done.stdout
    assert "no row is in quarantine" in done.stdout


def test_json_is_the_documents_own_and_html_one_file(eta: CliRunner, tmp_path: Path) -> None:
    done = eta.invoke(app, [*REPORT, "--format", "json"])
    assert QualityReport.model_validate_json(done.stdout).tenant_id == "acme"
    out = tmp_path / "report.html"
    done = eta.invoke(app, [*REPORT, "--format", "html", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("<!doctype html>")


def test_an_unknown_tenant_is_an_error(eta: CliRunner) -> None:
    done = eta.invoke(app, ["quality", "report", "--tenant", "nobody"])
    assert done.exit_code != 0


def test_a_sparkline_leaves_a_gap_where_nothing_was_measured() -> None:
    assert sparkline([95, None, 97.5, 100, 20], 95, 100) == "▁ ▅█▁"
