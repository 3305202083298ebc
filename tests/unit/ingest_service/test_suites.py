"""Published collections of awkward CSV: read to what they say, or refused with their place."""

import json
from pathlib import Path

import pytest

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator

FOO_BAR_BAZ = SourceMapping(
    columns={"user_id": "foo", "item_id": "bar", "timestamp": "baz"},
    constants={"interaction_type": "view"},
)
BAD_LINES = {
    "bad-header-less-fields": ("ragged_row", 2),
    "bad-header-more-fields": ("ragged_row", 2),
    "bad-header-no-header": ("empty_file", 1),
    "bad-header-wrong-header": ("missing_columns", 1),
    "bad-missing-quote": ("bad_quote", 2),
    "bad-quotes-with-unescaped-quote": ("bad_quote", 2),
    "bad-unescaped-quote": ("bad_quote", 2),
}


def read(path: Path, options: CsvOptions | None = None) -> tuple[tuple[str, ...], list[list[str]]]:
    """Header and records, as any caller gets them: nothing is given, all is found out."""
    rows: list[list[str]] = []
    with CsvFile(path, options, chunk_bytes=64) as file:
        for piece in file.pieces():
            frame = file.parse(piece, file.header).frame
            rows += [[value or "" for value in row] for row in frame.iter_rows()]
    return file.header, rows


def test_csv_spectrum(real_data: Path) -> None:
    folder = real_data / "suites" / "csv-spectrum"
    files = sorted((folder / "csvs").glob("*.csv"))
    for file in files:
        expected = json.loads((folder / "json" / f"{file.stem}.json").read_text())
        header, rows = read(file)
        assert [dict(zip(header, row, strict=True)) for row in rows] == expected, file.name
    assert len(files) == 11


def test_csv_test_data_is_read_to_its_json(real_data: Path) -> None:
    folder = real_data / "suites" / "csv-test-data"
    files = [f for f in sorted((folder / "csv").glob("*.csv")) if not f.name.startswith("bad-")]
    for file in files:
        expected = json.loads((folder / "json" / f"{file.stem}.json").read_text())
        header, rows = read(file)
        if expected and isinstance(expected[0], dict):
            assert [dict(zip(header, row, strict=True)) for row in rows] == expected, file.name
        elif expected:
            assert [list(header), *rows] == expected, file.name
        else:
            assert (header, rows) == (("foo", "bar", "baz"), []), file.name
    assert len(files) == 18


def test_bad_csv_test_data_is_refused_with_its_place(real_data: Path) -> None:
    files = sorted((real_data / "suites" / "csv-test-data" / "csv").glob("bad-*.csv"))
    assert [file.stem for file in files] == list(BAD_LINES)
    for file in files:
        with pytest.raises(FileRefusedError) as caught:
            _take(file)
        found = (caught.value.code, caught.value.line or 1)
        assert found == BAD_LINES[file.stem], file.name


def _take(path: Path) -> None:
    """Read a file as the service does: the header must have the columns that are asked for."""
    with CsvFile(path) as file:
        validator = Validator(DataType.INTERACTIONS, FOO_BAR_BAZ, TenantSettings(), file.header)
        for piece in file.pieces():
            file.parse(piece, validator.columns)
