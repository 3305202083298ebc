"""One Airflow and one Spark server for the tests of the DAGs."""

import os
from collections.abc import Iterator

import pytest

from tests.support.orchestration import Orchestra

# Whole runs, killed and resumed, take minutes: `ETA_TEST_DAG_RUNS=1 pytest tests/dags`.
collect_ignore = (
    [] if os.environ.get("ETA_TEST_DAG_RUNS") else ["test_dag_runs.py", "test_in_airflow.py"]
)


@pytest.fixture(scope="package")
def orchestra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ETA_HOME", "ETA_PROJECT_DIR", "ETA_SPARK_REMOTE"):
            patch.setenv(name, "")
        found = Orchestra(tmp_path_factory.mktemp("orchestra"))
        try:
            found.start()
            yield found
        finally:
            found.stop()
