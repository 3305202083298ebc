"""What a file is by its name or type: a hint, or nothing."""

import pytest

from lakehouse.contracts.file_names import format_of_name, format_of_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"),
        ("a.JSONL.gz", "json"),
        ("a.json.csv", "csv"),
        ("Umsatz Mai.XLSX", "xlsx"),
        ("part-0.snappy.parquet", "parquet"),
        ("a.avro.zip", "avro"),
        ("a", None),
        ("a.zst", None),
        ("a.txt", None),
        ("../../etc/passwd", None),
    ],
)
def test_format_by_name(name: str, expected: str | None) -> None:
    assert format_of_name(name) == expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("text/csv; charset=utf-8", "csv"),
        ("application/json", "json"),
        ("application/octet-stream", None),
        ("application/vnd.ms-excel", None),
    ],
)
def test_format_by_type(media_type: str, expected: str | None) -> None:
    assert format_of_type(media_type) == expected
