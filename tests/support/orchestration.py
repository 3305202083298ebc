"""A lake, a shared Spark and Airflow's environment for tests and benchmarks of the DAGs."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from deltalake import DeltaTable

from lakehouse.control.database import ControlDatabase
from lakehouse.dev.servers import stop_server
from lakehouse.dev.spark import start_spark
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.model_graph import write_graph
from lakehouse.warm.place import stop_all
from tests.conftest import PROJECT_DIR
from tests.support.lake import NOON, SessionLake, interaction, item
from tests.support.tenants import random_rows

AIRFLOW = PROJECT_DIR / ".venv-airflow" / "bin"
PIPELINE = PROJECT_DIR / "dags" / "prepare_training_data.py"
SMALL = PROJECT_DIR / "tests" / "dags" / "small" / "small_training.py"
WHEN = "2026-05-01T06:00:00+00:00"
LATER = "2026-05-01T12:00:00+00:00"


def why_not() -> str | None:
    """Why the DAGs cannot run here; None when they can."""
    if (AIRFLOW / "airflow").is_file():
        return None
    return "no Airflow: UV_PROJECT_ENVIRONMENT=.venv-airflow uv sync --only-group airflow"


@dataclass
class Orchestra:
    """Runs DAGs of the project in Airflow's environment, on a lake in `home`."""

    home: Path
    target: str = "connect"
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start Spark, write the graph of models and make Airflow's database."""
        os.environ.update(ETA_HOME=str(self.home), ETA_PROJECT_DIR=str(PROJECT_DIR))
        settings = LakeSettings()
        if self.target == "connect":
            spark = start_spark(settings)
            os.environ["ETA_SPARK_REMOTE"] = spark.addresses["remote"]
        write_graph(settings.model_copy(update={"spark_target": self.target}))
        airflow_home = self.home / "airflow"
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_DIR / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__COSMOS__CACHE_DIR": str(airflow_home / "cosmos"),
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "DBT_TARGET": self.target,
            "ETA_ENVIRONMENT": sys.prefix,
            "PYTHONPATH": str(PROJECT_DIR / "dags"),
        }
        self.airflow("db", "migrate")

    def stop(self) -> None:
        """End Spark, and the process that commands are copies of."""
        stop_all(self.home)
        stop_server("spark", self.home / "dev" / "spark")

    @property
    def settings(self) -> LakeSettings:
        """The lake."""
        return LakeSettings(home=self.home, project_dir=PROJECT_DIR)

    def store_tenants(self, *tenants: str, known_at: datetime | None = None) -> None:
        """Add tenants with interactions and a catalogue."""
        ensure_tables(Lake(self.settings))
        lake = SessionLake(self.settings)
        database = ControlDatabase.open(self.settings.control_url)
        for number, tenant_id in enumerate(tenants):
            if not database.tenants.exists(tenant_id):
                database.tenants.add(tenant_id)
            lake.store(tenant_id, random_rows(number), known_at=known_at)
            lake.store_items(tenant_id, [item(f"i{n}") for n in range(16)], known_at=known_at)
        database.close()

    def store_bad_rows(self, tenant_id: str) -> None:
        """Store rows past the validator: events of a time that the tenant does not take."""
        bad = [interaction(f"bad{n}", event_time=NOON.replace(year=2011)) for n in range(3)]
        SessionLake(self.settings).store(tenant_id, bad)

    def begin_dag(
        self, file: Path, dag_id: str, conf: dict[str, Any] | None = None, when: str = WHEN
    ) -> Any:
        """Start a run of the DAG; again with the same `when`: the same run, resumed."""
        result = self.home / f"{dag_id}.json"
        result.unlink(missing_ok=True)
        command = [AIRFLOW / "python", PROJECT_DIR / "tests" / "dags" / "run_dag.py"]
        arguments = [file, dag_id, when, result, *([json.dumps(conf)] if conf else [])]
        log = (self.home / f"{dag_id}.log").open("ab")
        return subprocess.Popen(
            [str(part) for part in (*command, *arguments)],
            env={**self.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent)},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )

    def run_dag(
        self, file: Path, dag_id: str, conf: dict[str, Any] | None = None, when: str = WHEN
    ) -> Any:
        """Run the DAG to its end; return states and durations. Another `when` is a new run."""
        running = self.begin_dag(file, dag_id, conf, when)
        code = running.wait()
        result = self.home / f"{dag_id}.json"
        log = (self.home / f"{dag_id}.log").read_text(encoding="utf-8", errors="replace")
        assert code == 0, log[-3000:]
        return json.loads(result.read_text(encoding="utf-8"))

    def kill_dag(self, file: Path, dag_id: str, seconds: float) -> bool:
        """Run the DAG and kill it with everything it started after so long; False: it was over."""
        running = self.begin_dag(file, dag_id)
        time.sleep(seconds)
        if running.poll() is not None:
            return False
        family = [psutil.Process(running.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        running.wait()
        return True

    def restart_spark(self) -> None:
        """Kill Spark with -9 and start another one on the same port."""
        from lakehouse.dev.servers import find_server

        folder = self.home / "dev" / "spark"
        server = find_server("spark", folder)
        assert server is not None
        process = psutil.Process(server.pid)
        for child in [process, *process.children(recursive=True)]:
            child.kill()
        psutil.wait_procs([process], timeout=20)
        start_spark(self.settings, "connect", int(server.addresses["remote"].rpartition(":")[2]))

    def hashes(self) -> dict[str, str]:
        """The content hash of each tenant's current training set."""
        from lakehouse.training.publish import current_snapshot, published_tenants

        found = {}
        for tenant_id in published_tenants(Lake(self.settings)):
            snapshot = current_snapshot(Lake(self.settings), tenant_id)
            assert snapshot is not None
            found[tenant_id] = snapshot.content_hash
        return found

    def built_hashes(self) -> dict[str, str]:
        """The content hash of each tenant's training set as it was built last."""
        table = DeltaTable(f"{self.settings.lake}/training/training_contents")
        rows = table.to_pyarrow_table(columns=["tenant_id", "content_hash"]).to_pylist()
        return {row["tenant_id"]: row["content_hash"] for row in rows}

    def airflow(self, *arguments: str) -> str:
        """Run a command of Airflow's; return what it printed, which `{home}/airflow.log` has too.

        Raises `RuntimeError` with the end of the log when it fails.
        """
        done = subprocess.run(
            [str(AIRFLOW / "airflow"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        with (self.home / "airflow.log").open("a", encoding="utf-8") as log:
            log.write(f"$ airflow {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise RuntimeError(f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def snapshots(self) -> set[Path]:
        """The manifests of the published training sets, and which of them are current."""
        files = set(Path(self.settings.lake).rglob("*.json"))
        return {file for file in files if "_delta_log" not in file.parts}


def moments(count: int, seed: int, first: float, last: float) -> list[float]:
    """Random moments of a run, in seconds since its start."""
    chosen = random.Random(seed)
    return [chosen.uniform(first, last) for _ in range(count)]
