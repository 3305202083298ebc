"""A job takes the lock of the models once, whatever it calls, and others learn who holds it."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.control.database import ControlDatabase
from lakehouse.control.run_lock import RunLock
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training import plugin
from lakehouse.training.publish import current_snapshot
from lakehouse.training.writing import given_settings, handing_over, writing_models
from tests.support.training import examples, write_training_tables


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ETA_DEBUG", raising=False)
    return LakeSettings()


@pytest.fixture
def held_as(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids under which the lock was taken."""
    ids: list[str] = []
    taken = RunLock.hold

    def hold(lock: RunLock, run_id: str, **how: bool) -> None:
        ids.append(run_id)
        taken(lock, run_id, **how)

    monkeypatch.setattr(RunLock, "hold", hold)
    return ids


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Lake]:
    """The lakes whose models were shown the tenants' settings, once for each time."""
    lakes: list[Lake] = []
    monkeypatch.setattr(
        "lakehouse.training.tenant_settings.publish_tenant_settings",
        lambda lake, tenants, now: lakes.append(lake),
    )
    return lakes


class Dbt:
    """Calls the plugin as dbt does, and builds nothing."""

    def __init__(self, **_: Any) -> None:
        pass

    def invoke(self, command: list[str]) -> Any:
        plugin.prepare_command("eta")
        return SimpleNamespace(success=True, exception=None, result=[])


@pytest.fixture
def dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = SimpleNamespace(WHICH="build", TARGET="thrift", VARS=None)  # starts no Spark
    monkeypatch.setattr("dbt.flags.get_flags", lambda: flags)
    monkeypatch.setattr("dbt.cli.main.dbtRunner", Dbt)
    monkeypatch.setattr("lakehouse.training.targets.hand_over_lake", lambda *given: None)
    monkeypatch.setattr("lakehouse.training.build_recording.record_build", lambda *given: None)


@pytest.mark.usefixtures("dbt")
def test_prepare_takes_the_lock_once_and_hands_settings_over_once(
    settings: LakeSettings,
    held_as: list[str],
    shown: list[Lake],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lakehouse.jobs.prepare.run_gate", lambda *given, failed: {})
    write_training_tables(settings, {"acme": examples(5)})
    result = CliRunner().invoke(app, ["prepare"])
    assert "acme: NOT published" in result.stderr, result.stderr
    [run_id] = held_as
    assert run_id.startswith("eta prepare ")
    [lake] = shown
    assert lake.location() == settings.lake
    with closing(ControlDatabase.open(settings.control_url)) as database:
        assert database.run_lock.holder() is None
        assert [run.run_id for run in database.runs.list()] == [run_id]


@pytest.mark.usefixtures("dbt", "shown")
def test_what_a_job_calls_has_its_settings(settings: LakeSettings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"dbt_schema": "dev_anna"})
    with handing_over(other):
        assert given_settings() is other
    assert given_settings().dbt_schema == "default"


def test_a_second_process_is_told_who_holds_the_lock(settings: LakeSettings) -> None:
    with (
        closing(ControlDatabase.open(settings.control_url)) as database,
        writing_models(settings, "eta prepare of somebody", database),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lakehouse.cli", "prepare"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    sentence = (
        f"Error: the run 'eta prepare of somebody' (process {os.getpid()} on "
        f"{socket.gethostname()}) writes the models, since "
    )
    assert done.stderr.startswith(sentence)
    assert "What to do: wait until it has ended" in done.stderr


@pytest.mark.usefixtures("dbt", "shown")
def test_without_soda_a_set_is_published_and_said_to_be_unchecked(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.jobs.prepare.has_extra", lambda extra: extra != "quality")
    write_training_tables(settings, {"acme": examples(5)})
    result = CliRunner().invoke(app, ["prepare"])
    assert result.exit_code == 0, result.stderr
    assert "acme: published UNCHECKED" in result.stderr
    assert "NOT CHECKED: Soda's checks are not installed" in result.stderr
    assert "uv pip install 'eta-lakehouse[quality]' --override" in result.stderr
    published = current_snapshot(Lake(settings), "acme")
    assert published is not None
    assert published.gate is None
