"""Which retention the folders of models have, an engineer's own among them."""

from pathlib import Path

import pytest

from lakehouse.contracts.retention import DataClass
from lakehouse.errors import EtaError
from lakehouse.retention.folders import folder_policies

PROJECT = """\
name: eta
models:
  eta:
    +file_format: delta
    training: {{+schema: training, +meta: {{retention: training_data}}}}
    {own}
"""


def policies(folder: Path, own: str) -> dict[str, DataClass | None]:
    (folder / "dbt_project.yml").write_text(PROJECT.format(own=own))
    return folder_policies(folder)


def test_a_folder_without_a_schema_is_the_default_one(tmp_path: Path) -> None:
    found = policies(tmp_path, "marts: {+meta: {retention: kept}}")
    assert found == {"training": DataClass.TRAINING_DATA, "default": None}


def test_a_config_of_all_folders_is_none(tmp_path: Path) -> None:
    assert policies(tmp_path, "enabled: true") == {"training": DataClass.TRAINING_DATA}


def test_a_folder_that_says_nothing_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match=r"models\.eta\.marts has no retention policy"):
        policies(tmp_path, "marts: {+schema: marts}")
