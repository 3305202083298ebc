"""Each optional part of the package is named where it is missing."""

import tomllib

import pytest

from lakehouse.extras import EXTRAS, missing_extra
from tests.conftest import PROJECT_DIR


def test_each_extra_of_the_package_is_known() -> None:
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - {"all"} == set(EXTRAS)


@pytest.mark.parametrize(
    ("module", "extra"), [("pyspark.sql", "models"), ("kafka", "stream"), ("soda.scan", "quality")]
)
def test_a_missing_module_is_told_with_what_to_install(module: str, extra: str) -> None:
    told = missing_extra(ModuleNotFoundError("no module", name=module))
    assert told is not None
    assert f"pip install 'eta-lakehouse[{extra}]'" in told.remedy


def test_any_other_module_is_a_fault() -> None:
    assert missing_extra(ModuleNotFoundError("no module", name="lakehouse.gone")) is None
    assert missing_extra(ModuleNotFoundError("no module")) is None
