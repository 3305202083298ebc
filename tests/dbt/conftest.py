"""One lake and one Spark session, in this process, for every test that builds models."""

import os
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session
from tests.conftest import PROJECT_DIR
from tests.support.gate import store_gate_tenants
from tests.support.lake import SessionLake, generate_code, one_task_per_stage
from tests.support.people import store_people
from tests.support.split_tenants import store_split_tenants
from tests.support.tenants import store_tenants


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionLake]:
    home = tmp_path_factory.mktemp("eta")
    environment = {
        "ETA_PROJECT_DIR": str(PROJECT_DIR),
        "ETA_HOME": str(home),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
    }
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        # This JVM makes dozens of runs, for which the optimising compiler pays: most of the rounds
        # cost about a tenth less processor time with it.
        settings = LakeSettings(java_options="-XX:+UseParallelGC")
        session = open_local_session(settings)
        generate_code(session, wanted=False)
        one_task_per_stage(session)
        yield SessionLake(settings)
        SparkSession.active().stop()
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def built(lake: SessionLake) -> dict:
    """The tenants that modules do not change, stored and built once for all that ask."""
    expected = store_tenants(lake) | {"splits": store_split_tenants(lake)}
    expected["people"] = store_people(lake)
    store_gate_tenants(lake)
    lake.build()
    return expected
