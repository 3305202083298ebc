"""A lake from which people can be erased."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.erasure import ErasableLake


@pytest.fixture(scope="module", autouse=True)
def _folders_of_dbt() -> Iterator[None]:
    """Those of the lake's own home, whatever was tested in this process before."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DBT_LOG_PATH", "DBT_TARGET_PATH"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[ErasableLake]:
    """Tables, a control database and models that are never run."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "dbt_project.yml").touch()
    found = ErasableLake(tmp_path / "home", project)
    yield found
    found.close()


@pytest.fixture
def commanded(lake: ErasableLake, monkeypatch: pytest.MonkeyPatch) -> ErasableLake:
    """The lake that the commands of this process work on."""
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    monkeypatch.setenv("ETA_PROJECT_DIR", str(lake.settings.project))
    monkeypatch.setenv("DBT_TARGET_PATH", str(lake.home / "target"))
    return lake
