"""Fixtures for all tests: one lake and one Spark session for those that build models."""

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.gcs import gcs
from tests.support.s3 import s3

__all__ = ["gcs", "s3"]

PROJECT_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("ETA_TEST_DATA", PROJECT_DIR.parent / "shared" / "data"))

# how long making an input takes says how busy the machine is, and nothing of the code
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, which the project does not ship."""
    if not DATA_DIR.is_dir():
        pytest.skip(f"no real data: {DATA_DIR} is not there (ETA_TEST_DATA names another folder)")
    return DATA_DIR


SHARED_SERVERS = ("dags", "dbt", "stream")
"""Folders whose tests share one Spark, one broker or one Airflow, and so one process."""

LONG_FOLDERS = ("tests/dbt/rounds/",)
"""Half of the time of tests/dbt: with a Spark of its own, in the other process."""

ORDER = (
    "tests/dbt/rounds/test_incremental.py",
    "tests/dbt/rounds/*.py",
    "tests/dbt/test_erasure.py",
    "tests/dbt/test_[!ag]*.py",
    "tests/dbt/*.py",
    "tests/e2e/test_fresh_clone.py",
    "*",
)
"""What takes minutes starts first; the short modules that follow even out the two processes.

Erasure begins tests/dbt: it publishes what was built, and after later tests it would have to build
again. The audit and the gate end it: they spoil tables that no build reads after them.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order modules as `ORDER` says; within one, tests stay as they are written."""

    def rank(item: pytest.Item) -> int:
        module = item.nodeid.partition("::")[0]
        return next(n for n, pattern in enumerate(ORDER) if fnmatch(module, pattern))

    items.sort(key=rank)


class OneProcessPerModule(LoadScopeScheduling):
    """Keeps a module, or a folder that shares a server, in one of the processes of the suite."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # the order above stands
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        folder = module.split("/")[1]
        if module.startswith(LONG_FOLDERS):
            return f"{folder}, long"
        return folder if folder in SHARED_SERVERS else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessPerModule:
    """Called by xdist; its own `loadgroup` does nothing with this pytest."""
    return OneProcessPerModule(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ETA_TEST_FAIL_ON_SKIP, a skip for want of a component that is installed here fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("ETA_TEST_FAIL_ON_SKIP") or reporter is None:
        return
    reasons = {str(report.longrepr[2]) for report in reporter.stats.get("skipped", [])}
    allowed = tuple(f"Skipped: {why}" for why in ("no real data", "torch", "no helm", "no kubecon"))
    if any(not reason.startswith(allowed) for reason in reasons):
        reporter.write_line("skipped, though everything is installed here:", red=True)
        for reason in sorted(reasons):
            reporter.write_line(f"  {reason}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
