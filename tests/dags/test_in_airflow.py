"""A whole Airflow: `begin` waits without a worker, and new rows begin a run."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse.control.database import ControlDatabase
from lakehouse.dev.airflow import start_airflow, stop_airflow
from lakehouse.dev.servers import stop_server
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.waiting import wait_until
from tests.conftest import PROJECT_DIR
from tests.support.lake import SessionLake, interaction
from tests.support.orchestration import AIRFLOW, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

SECONDS = 300
SET = {"ETA_RUN_AFTER_ROWS": "10", "ETA_SPARK_POOL": "spark"}
DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
SHORT = """
from datetime import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, chain
from eta_dags.operators import RAW_ARRIVALS, BeginOperator, EtaOperator

with DAG(
    "short",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 */6 * * *", timezone="UTC"), assets=[RAW_ARRIVALS]
    ),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
):
    begin = BeginOperator(
        task_id="begin", arguments=["runs", "begin"], if_needed="yes", if_nothing_new="no"
    ).as_setup()
    end = EtaOperator(task_id="end", arguments=["runs", "end", "--failed"])
    tasks = [EmptyOperator(task_id="yes"), EmptyOperator(task_id="no")]
    chain(begin, tasks, end.as_teardown(setups=begin))
"""


class Place:
    """A lake and an Airflow with a DAG that only begins and ends, and the one that looks."""

    def __init__(self, home: Path) -> None:
        self.settings = LakeSettings(home=home, project_dir=PROJECT_DIR)
        self.lake = SessionLake(self.settings)
        self.database = ControlDatabase.open(self.settings.control_url)
        self.airflow_home = self.settings.dev_dir / "airflow"

    def airflow(self, *arguments: str) -> None:
        url = f"sqlite:///{self.airflow_home / 'airflow.db'}"
        folder = self.settings.home_dir / "dags"
        done = subprocess.run(
            [str(AIRFLOW / "airflow"), *arguments],
            env={
                "PATH": "/usr/bin:/bin",
                "AIRFLOW_HOME": str(self.airflow_home),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
                "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "PYTHONPATH": str(folder),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def query(self, text: str) -> list[Any]:
        path = self.airflow_home / "airflow.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as found:
            return found.execute(text).fetchall()

    def until(self, is_so: Callable[[], object]) -> None:
        assert wait_until(lambda: bool(is_so()), SECONDS, every=2), self.query(
            "select run_id, task_id, state from task_instance"
        )

    def begun(self, run_type: str) -> list[str]:
        """The states of `begin` in the runs of this type."""
        text = (
            "select t.state from task_instance t join dag_run r "
            "on r.run_id = t.run_id and r.dag_id = t.dag_id where t.task_id = 'begin' "
            f"and r.run_type = '{run_type}'"
        )
        return [state for (state,) in self.query(text)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "eta_dags").symlink_to(PROJECT_DIR / "dags" / "eta_dags")
    (folder / "watch_arrivals.py").symlink_to(PROJECT_DIR / "dags" / "watch_arrivals.py")
    (folder / "short.py").write_text(SHORT)
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    made = Place(tmp_path)
    ensure_tables(Lake(made.settings))
    try:
        yield made
    finally:
        stop_airflow(made.settings)
        stop_server("spark", made.settings.dev_dir / "spark")
        made.database.close()


def test_backfills_wait_without_a_worker_and_new_rows_begin_a_run(place: Place) -> None:
    for tenant_id in ("acme", "globex"):
        place.lake.store(tenant_id, [interaction("e1")], known_at=DAY)
    place.database.run_lock.hold("somebody's")
    start_airflow(place.settings, workers=2, dags=place.settings.home_dir / "dags")
    place.until(lambda: len(place.query("select dag_id from dag")) == 2)
    assert ("spark", 2) in place.query("select pool, slots from slot_pool")
    place.airflow("dags", "unpause", "short")
    days = ["--from-date", "2026-05-01", "--to-date", "2026-05-01T12:00:00"]
    place.airflow("backfill", "create", "--dag-id", "short", *days)
    place.until(lambda: place.begun("backfill") == ["deferred"] * 3)  # more than two workers

    place.database.run_lock.release("somebody's")
    place.until(lambda: place.begun("backfill") == ["success"] * 3)
    place.until(lambda: place.database.run_lock.holder() is None)
    found = [run for run in place.database.runs.list() if "start_date" in run.parameters]
    day = {"start_date": "2026-05-01", "end_date": "2026-05-01"}
    assert [run.parameters for run in found] == [day] * 3
    assert {run.notes["plan"]["reason"] for run in found} == {
        "2 tenants sent rows from 2026-05-01 to 2026-05-01"
    }

    place.lake.store("acme", [interaction(f"new{n}") for n in range(10)])
    place.airflow("dags", "unpause", "watch_arrivals")
    place.airflow("dags", "trigger", "watch_arrivals")
    place.until(lambda: place.begun("asset_triggered") == ["success"])
    assert place.query(
        "select name from asset_event e join asset a on a.id = e.asset_id order by name"
    ) == [("raw_arrivals",), ("raw_arrivals.acme",)]
