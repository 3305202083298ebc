"""Which files an argument means."""

from pathlib import Path

import pytest

from lakehouse.cli.input_files import input_files
from lakehouse.errors import EtaError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.csv", "a.csv", "c.json", ".hidden.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "d.csv").write_text("x")
    return tmp_path


def test_a_folder_stands_for_its_files_by_name(folder: Path) -> None:
    assert [path.name for path in input_files([str(folder)])] == ["a.csv", "b.csv", "c.json"]


def test_a_pattern_and_a_file_of_it_name_each_file_once(folder: Path) -> None:
    found = input_files([f"{folder}/b.csv", f"{folder}/*.csv"])
    assert [path.name for path in found] == ["b.csv", "a.csv"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "sales[1].csv").write_text("x")
    assert [path.name for path in input_files([f"{folder}/sales[1].csv"])] == ["sales[1].csv"]


@pytest.mark.parametrize("url", ["s3://bucket/a.csv", "https://shop.example/a.csv", "FTP://a/b"])
def test_no_url_is_fetched(url: str) -> None:
    with pytest.raises(EtaError, match="no URL is fetched") as raised:
        input_files([url])
    assert "copy" in raised.value.remedy


@pytest.mark.parametrize("name", ["missing.csv", "*.parquet", "deeper/none"])
def test_a_name_that_stands_for_no_file_is_an_error(folder: Path, name: str) -> None:
    with pytest.raises(EtaError, match="stands for no file"):
        input_files([f"{folder}/{name}"])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match="holds no file"):
        input_files([str(tmp_path)])
