"""Fixtures for all tests: one lake and one Spark session for those that build models."""

import os
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("ETA_TEST_DATA", PROJECT_DIR.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, which the project does not ship."""
    if not DATA_DIR.is_dir():
        pytest.skip(f"no real data: {DATA_DIR} is not there (ETA_TEST_DATA names another folder)")
    return DATA_DIR
