"""One export that the tests of the loader read."""

from pathlib import Path

import pytest

from eta_data import TrainingSet
from tests.support.exported import rows_of, write_export


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 positives with their negatives: 612 rows in 8 files, 18 row groups."""
    return write_export(tmp_path_factory.mktemp("export") / "acme", rows_of(120))


@pytest.fixture(scope="session")
def data(export: Path) -> TrainingSet:
    return TrainingSet.open(export, "acme")
