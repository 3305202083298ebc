"""A local Airflow with the project's DAGs: its four parts as plain processes on 127.0.0.1.

`airflow standalone` would start the same parts, and leave them behind when it is killed; here each
has its process id, its log and its end of its own.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakehouse.dev.servers import (
    Server,
    find_server,
    free_port,
    is_listening,
    start_server,
    stop_server,
)
from lakehouse.dev.spark import start_spark
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.warm.place import stop_all

DEFAULT_PORT: Final = 8085
DEFAULT_WORKERS: Final = 3

_PARTS: Final = {
    "airflow-api": ("api-server",),
    "airflow-scheduler": ("scheduler", "--skip-serve-logs"),
    "airflow-dags": ("dag-processor",),
    "airflow-triggerer": ("triggerer", "--skip-serve-logs"),
}
NAMES: Final = tuple(_PARTS)
_USER: Final = "admin"
_MIGRATION_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class LocalAirflow:
    """Where the user interface is, and who may enter."""

    url: str
    user: str
    password: str
    home: Path


def start_airflow(
    settings: LakeSettings,
    *,
    port: int | None = None,
    workers: int = DEFAULT_WORKERS,
    dags: Path | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> LocalAirflow:
    """Start Airflow and the shared Spark that its tasks use; parts that run are left alone.

    Needs the graph of models (`write_graph`). `workers` tasks run at once; `dags` is another folder
    than the project's. Raises `EtaError` when
    Airflow is not installed, the port is taken, or a part does not start.
    """
    command = airflow_command(settings)
    home = settings.dev_dir / "airflow"
    running = find_server("airflow-api", settings.dev_dir / "airflow-api")
    if running is None and port is not None and is_listening(port):
        raise EtaError(
            f"port {port} of 127.0.0.1 is taken",
            remedy="name another one with --port, or --port 0 for any that is free",
        )
    port = int(running.addresses["port"]) if running else port or free_port()
    on_step("Starting Spark")
    spark = start_spark(settings, "connect")
    environment = airflow_environment(settings, home, port, workers, spark)
    if dags is not None:
        environment |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "PYTHONPATH": environment["AIRFLOW__CORE__DAGS_FOLDER"],
        }
    home.mkdir(parents=True, exist_ok=True)
    if running is None:
        on_step("Preparing Airflow's database")
        _prepare(command, ["db", "migrate"], environment, home)
        if settings.spark_pool:
            pool = ["pools", "set", settings.spark_pool, str(workers), "Models of eta"]
            _prepare(command, pool, environment, home)
    for name, arguments in _PARTS.items():
        on_step(f"Starting {name}")
        _start_part(settings, name, [str(command), *arguments], environment, port)
    return LocalAirflow(f"http://127.0.0.1:{port}", _USER, _password(home), home)


def stop_airflow(settings: LakeSettings) -> list[str]:
    """End the parts that run here, with the tasks they have started; return their names."""
    order = ("airflow-scheduler", *(name for name in NAMES if name != "airflow-scheduler"))
    stopped = [name for name in order if stop_server(name, settings.dev_dir / name)]
    stop_all(settings.home_dir)
    return stopped


def airflow_command(settings: LakeSettings) -> Path:
    """Return the `airflow` of the project's Airflow environment; raise `EtaError` without one."""
    environment = settings.airflow_environment or settings.checkout / ".venv-airflow"
    command = environment / "bin" / "airflow"
    if not command.is_file():
        raise EtaError(
            f"there is no Airflow in {environment}",
            remedy="UV_PROJECT_ENVIRONMENT=.venv-airflow uv sync --locked --only-group airflow, "
            "or name its environment with ETA_AIRFLOW_ENVIRONMENT",
        )
    return command


def airflow_environment(
    settings: LakeSettings, home: Path, port: int, workers: int, spark: Server
) -> dict[str, str]:
    """Return the variables by which Airflow finds the DAGs, and the DAGs the lake and Spark."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.checkout / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(workers),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
        "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "DBT_TARGET": "connect",
        "ETA_ENVIRONMENT": sys.prefix,
        "ETA_HOME": str(settings.home_dir),
        "ETA_PROJECT_DIR": str(settings.project),
        "ETA_SPARK_REMOTE": spark.addresses["remote"],
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _prepare(command: Path, arguments: list[str], environment: dict[str, str], home: Path) -> None:
    done = subprocess.run(
        [str(command), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_MIGRATION_SECONDS,
        check=False,
    )
    log = home / f"{arguments[0]}.log"
    log.write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        raise EtaError("Airflow's database could not be prepared", remedy=f"read {log}")


def _start_part(
    settings: LakeSettings, name: str, command: list[str], environment: dict[str, str], port: int
) -> None:
    def is_ready() -> bool:
        return name != "airflow-api" or _answers(port)

    is_api = name == "airflow-api"
    start_server(
        name,
        settings.dev_dir / name,
        command,
        addresses={"url": f"http://127.0.0.1:{port}", "port": str(port)} if is_api else {},
        is_ready=is_ready,
        environment=environment,
    )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(  # a fixed scheme and host
            f"http://127.0.0.1:{port}/api/v2/version", timeout=2
        ) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _password(home: Path) -> str:
    """The password that Airflow has made for its one user; the file is its owner's alone."""
    path = home / "simple_auth_manager_passwords.json.generated"
    path.chmod(0o600)
    passwords: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return passwords[_USER]
