"""What a dbt command starts before its first statement."""

import os

import pytest
from dbt.cli.main import dbtRunner

from lakehouse.training import plugin
from tests.conftest import PROJECT_DIR


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[str]:
    """The targets for which a Spark was asked, in dbt commands on this project."""
    asked: list[str] = []
    monkeypatch.setattr(
        "lakehouse.training.targets.prepare_target",
        lambda settings, name, **how: asked.append(name),
    )
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    return asked


def dbt(*arguments: str):
    folder = ("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR))
    return dbtRunner().invoke(["--quiet", "--warn-error", *arguments, *folder])


def test_ls_starts_no_spark_and_the_project_parses_without_a_warning(started: list[str]) -> None:
    outcome = dbt("ls", "--select", "tag:leak", "--resource-type", "test")
    assert outcome.success, outcome.exception
    assert len(outcome.result) == 2
    assert started == []


@pytest.mark.parametrize(
    ("command", "needs_spark"),
    [
        *((name, False) for name in ("ls", "list", "parse", "deps", "clean", "init", "serve")),
        *((name, True) for name in ("run", "show", "freshness", "snapshot", "generate", "debug")),
    ],
)
def test_spark_is_for_commands_that_ask_it_something(
    started: list[str], monkeypatch: pytest.MonkeyPatch, command: str, needs_spark: bool
) -> None:
    class Flags:
        WHICH = command
        TARGET = "dev"
        VARS = None

    monkeypatch.setattr("dbt.flags.get_flags", Flags)
    monkeypatch.setattr("lakehouse.storage.lake.Lake.restrict", lambda self: None)
    monkeypatch.setattr("lakehouse.training.targets.hand_over_lake", lambda *given: None)
    recorded: list[str] = []
    monkeypatch.setattr(
        "lakehouse.training.build_recording.record_build",
        lambda settings, name, given: recorded.append(name),
    )
    plugin.prepare_command("somebody_elses")
    assert started == []
    plugin.prepare_command("eta")
    assert bool(started) is needs_spark
    assert recorded == (["run"] if command == "run" else [])
    monkeypatch.setitem(os.environ, "ETA_DBT_SCHEMA", "dev_anna")
    plugin.prepare_command("eta")
    assert recorded == (["run"] if command == "run" else []), "somebody's own build is no report"
