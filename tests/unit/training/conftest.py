"""A lake of its own for every test, without Spark."""

from pathlib import Path

import pytest

from lakehouse.settings import LakeSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    return LakeSettings()
