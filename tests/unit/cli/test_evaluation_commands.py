"""`eta evaluation`: what it asks the models for, what it prints and where."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli import evaluation
from lakehouse.cli.main import app
from lakehouse.contracts.tenant import EvaluationSettings, TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from tests.support.evaluation import evaluated, write_evaluation_tables

OWN = EvaluationSettings(
    train_until=datetime(2026, 4, 1, tzinfo=UTC),
    validation_until=datetime(2026, 4, 8, tzinfo=UTC),
    minimum_item_positives=3,
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was handed to dbt; the tables are there already."""
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ETA_DEBUG", raising=False)
    settings = LakeSettings()
    write_evaluation_tables(settings, {"acme": evaluated(60), "globex": evaluated(9)})
    database = ControlDatabase.open(settings.control_url)
    database.tenants.add("acme", settings=TenantSettings(evaluation=OWN))
    database.close()
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(evaluation, "build_with_progress", lambda _, **how: calls.append(how))
    return calls


def eta(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluation", *arguments])


def done(*arguments: str) -> Result:
    result = eta(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_make_asks_for_the_models_on_request_alone(asked: list[dict[str, Any]]) -> None:
    result = done("make", "--tenant", "acme", "--tenant", "globex", "--seed", "7")
    ((how,),) = [asked]
    assert how["select"] == ["tag:on_request"]
    assert how["variables"]["seed"] == 7
    wanted = how["variables"]["evaluation"]
    assert EvaluationSettings.model_validate(wanted["acme"]) == OWN, "the tenant's own setting"
    assert EvaluationSettings.model_validate(wanted["globex"]) == EvaluationSettings()
    acme, globex = result.stdout.split()
    assert acme in done("list", "--tenant", "acme").stdout
    assert globex in done("list").stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            ["--method", "leave-one-out"],
            EvaluationSettings(method="leave_one_out", minimum_item_positives=3),
            id="another method drops the tenant's moments",
        ),
        pytest.param(
            ["--train-until", "2026-05-01", "--minimum-user-positives", "5"],
            EvaluationSettings(
                train_until=datetime(2026, 5, 1, tzinfo=UTC),
                minimum_user_positives=5,
                minimum_item_positives=3,
            ),
            id="another moment",
        ),
        pytest.param(
            ["--validation-until", "2026-04-30T12:00:00"],
            OWN.model_copy(update={"validation_until": datetime(2026, 4, 30, 12, tzinfo=UTC)}),
            id="one of two moments",
        ),
    ],
)
def test_options_win_over_the_tenants_setting(
    asked: list[dict[str, Any]], options: list[str], expected: EvaluationSettings
) -> None:
    done("make", "--tenant", "acme", *options)
    wanted = asked[0]["variables"]["evaluation"]["acme"]
    assert EvaluationSettings.model_validate(wanted) == expected


def test_a_split_that_makes_no_sense_is_told_before_anything_runs(
    asked: list[dict[str, Any]],
) -> None:
    result = eta("make", "--tenant", "acme", "--train-share", "0.95")
    assert result.exit_code == 1
    assert "leave a share for the test" in result.stderr
    assert eta("make", "--tenant", "../acme").exit_code == 1
    assert eta("make", "--tenant", "acme", "--method", "random").exit_code == 2
    assert asked == []


def test_show_and_export_print_what_other_programs_read(
    asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert "eta evaluation make" in done("list").stderr
    snapshot = done("make", "--tenant", "acme").stdout.strip()
    shown = json.loads(done("show", "--tenant", "acme").stdout)
    assert shown["snapshot_id"] == snapshot
    assert shown["split"]["method"] == "time"
    folder = Path(done("export", "--tenant", "acme", "--format", "recbole").stdout.strip())
    assert (folder / "acme" / "acme.test.inter").is_file()
    to = tmp_path / "mine"
    done("export", "--tenant", "acme", snapshot, "--to", str(to))
    assert list(to.glob("evaluation_data/*/split=test/label=1.0/*.parquet"))
    result = eta("export", "--tenant", "acme", "20260501T120000000Z-00000000")
    assert result.exit_code == 1
    assert "eta evaluation list --tenant acme" in result.stderr
