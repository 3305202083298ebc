"""Where the local Spark and Airflow refuse to start, and what they say."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.dev.airflow import airflow_environment
from lakehouse.dev.servers import Server
from lakehouse.dev.spark import start_spark
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETA_AIRFLOW_ENVIRONMENT", str(tmp_path / "none"))
    return LakeSettings()


def test_a_taken_port_is_named(settings: LakeSettings) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EtaError, match=f"port {port} of 127.0.0.1 is taken"):
            start_spark(settings, "connect", port)


def test_a_missing_airflow_says_how_to_get_it(settings: LakeSettings) -> None:
    done = CliRunner().invoke(app, ["dev", "airflow", "up"])
    assert done.exit_code == 1
    assert "uv sync --locked --only-group airflow" in done.output


def test_what_does_not_run_has_a_status_of_its_own(settings: LakeSettings) -> None:
    for group in ("airflow", "spark"):
        done = CliRunner().invoke(app, ["dev", group, "status"])
        assert (done.exit_code, "No server" in done.output) == (1, True)
        assert CliRunner().invoke(app, ["dev", group, "down"]).exit_code == 0


def test_airflow_listens_on_this_machine_alone(settings: LakeSettings, tmp_path: Path) -> None:
    spark = Server("spark", 1, "0", {"remote": "sc://127.0.0.1:1"}, "")
    found = airflow_environment(settings, tmp_path, 8085, 3, spark)
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert found["ETA_SPARK_REMOTE"] == "sc://127.0.0.1:1"
    assert "ADMINS" not in "".join(found)  # nobody enters without the password
