"""A row means the same in every format, and what a file is, is told from its content."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, FileFormat, SourceMapping
from tests.support.examples import examples
from tests.support.tables import NAMES, as_csv, as_json, avro, parquet, take, workbook

ISO = SourceMapping.model_validate({"timestamps": {"timestamp": {"unit": "iso"}}})
START = datetime(2026, 1, 1)
ids = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True),
    st.sampled_from(["00123", "12345678901234567", "ünï-Ω", "日本", "a b", "TRUE", "1.10", "1e5"]),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": st.uuids().map(str),
            "user_id": ids,
            "item_id": ids,
            "interaction_type": st.sampled_from(["view", "click", "purchase", "stare"]),
            "timestamp": st.integers(0, 80_000_000).map(lambda s: START + timedelta(seconds=s)),
            "rating": st.one_of(st.none(), st.integers(0, 100).map(lambda n: n / 8)),
        }
    ).map(lambda row: {name: row[name] for name in AVRO}),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row["event_id"],
)
AVRO = {
    "event_id": "string",
    "user_id": "string",
    "item_id": "string",
    "interaction_type": "string",
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    "rating": ["null", "double"],
}


def files(rows: list[dict[str, Any]]) -> dict[FileFormat, bytes]:
    """The same rows in every format."""
    aware = [row | {"timestamp": row["timestamp"].replace(tzinfo=UTC)} for row in rows]
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    table = pa.table(columns | {"rating": columns["rating"].cast(pa.float64())})
    return {
        FileFormat.CSV: as_csv(rows),
        FileFormat.JSON: as_json(rows),
        FileFormat.XLSX: workbook([list(rows[0]), *(row.values() for row in rows)]),
        FileFormat.PARQUET: parquet(table, row_group_size=5),
        FileFormat.AVRO: avro(AVRO, aware),
    }


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=ROWS)
def test_a_row_is_the_same_stored_row_in_every_format(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    expected = None
    for file_format, content in files(rows).items():
        taken = take(tmp_path, content, ISO)
        assert taken.report.reading is not None
        assert taken.report.reading.format == file_format
        stored = [
            {name: value for name, value in row.items() if name not in ("source", "source_ref")}
            for row in taken.stored
        ]
        found = (stored, [code for *_, code in taken.errors], taken.report.counts)
        expected = expected or found
        assert found == expected, file_format


def test_typed_times_need_no_unit_of_the_mapping(tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": START}
    written = SourceMapping.model_validate(
        {"timestamps": {"timestamp": {"format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"}}}
    )
    for name, content in {
        "xlsx": workbook([list(row), row.values()]),
        "parquet": parquet(pa.Table.from_pylist([row])),
    }.items():
        plain = take(tmp_path, content).stored[0]["event_time"]
        local = take(tmp_path, content, written).stored[0]["event_time"]
        assert plain == START.replace(tzinfo=UTC), name
        assert local == (START - timedelta(hours=1)).replace(tzinfo=UTC), name
        zoned = SourceMapping(time_zone="Europe/Berlin")
        assert take(tmp_path, content, zoned).stored[0]["event_time"] == local, name


@pytest.mark.parametrize("setting", [{"skip_last_lines": 1}, {"header": 2}])
def test_a_workbook_refuses_settings_that_it_is_not_read_by(
    tmp_path: Path, setting: dict[str, Any]
) -> None:
    content = workbook([["user_id", "item_id"], ["u", "i"]])
    with pytest.raises(FileRefusedError, match="a workbook is not read by"):
        take(tmp_path, content, SourceMapping.model_validate(setting))


def test_numbers_are_numbers_also_where_the_mapping_has_a_decimal_comma(tmp_path: Path) -> None:
    row = {"item_id": "i", "price": 4.25, "updated_at": START}
    comma = SourceMapping(decimal=",", thousands=".")
    kind = {"type": "long", "logicalType": "timestamp-millis"}
    fields = {"item_id": "string", "price": "double", "updated_at": kind}
    for content in (
        workbook([list(row), row.values()]),
        parquet(pa.Table.from_pylist([row])),
        avro(fields, [row | {"updated_at": START.replace(tzinfo=UTC)}]),
        b'[{"item_id": "i", "price": 4.25, "updated_at": 1767225600000}]',
    ):
        taken = take(tmp_path, content, comma, DataType.ITEMS)
        assert [str(one["price"]) for one in taken.stored] == ["4.2500"], taken.errors


def test_a_name_that_the_content_contradicts_is_told(tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": START}
    content = parquet(pa.Table.from_pylist([row]))
    taken = take(tmp_path, content, named=FileFormat.CSV)
    assert "CSV" in taken.warnings["format_mismatch"]
    assert len(taken.stored) == 1
    assert "format_mismatch" not in take(tmp_path, content, named=FileFormat.PARQUET).warnings


@pytest.mark.parametrize(
    ("content", "named", "expected"),
    [
        pytest.param(b'[{"user_id": 1}]', None, "json", id="an array"),
        pytest.param(b' \n\xef\xbb\xbf{"user_id": 1}', None, "csv", id="a mark in a wrong place"),
        pytest.param(b'\xef\xbb\xbf{"user_id": 1}', None, "json", id="a mark"),
        pytest.param(b"[user_id],[item_id]\n1,2\n", None, "csv", id="names in brackets"),
        pytest.param(b"{user_id},item_id\n1,2\n", None, "csv", id="a name in braces"),
        pytest.param(b"{'user_id': 1}", FileFormat.JSON, "json", id="no JSON, called JSON"),
        pytest.param(b"PAR1,b\n1,2\n", None, "csv", id="a column called as Parquet begins"),
        pytest.param(b"ORCID,b,c,d,e\n1,2,3,4,5\n", None, "csv", id="as ORC begins"),
        pytest.param(b"BZh,b\n1,2\n", None, "csv", id="as bzip2 begins"),
    ],
)
def test_texts_are_told_apart(
    tmp_path: Path, content: bytes, named: FileFormat | None, expected: str
) -> None:
    from ingest_service.readers.formats import content_format

    path = tmp_path / "file"
    path.write_bytes(content)
    assert content_format(path, named) == expected


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        pytest.param(OLE + bytes(600), "unsupported_format", "old Excel workbook", id="xls"),
        pytest.param(
            OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            "password_protected",
            "password",
            id="workbook with a password",
        ),
        pytest.param(b"%PDF-1.7\n", "unsupported_format", "PDF", id="pdf"),
        pytest.param(b"<!DOCTYPE html><p>Log in", "unsupported_format", "web page", id="page"),
        pytest.param(bytes(257) + b"ustar\0", "unsupported_format", "tar archive", id="tar"),
        pytest.param(gzip.compress(b"a,b\n"), "unsupported_format", "packed", id="gzip in gzip"),
        pytest.param(b"PK\x03\x04" + bytes(50), "damaged_file", "cut off", id="half a zip"),
        pytest.param(b"PAR1" + bytes(50), "damaged_file", "cut off", id="half a Parquet file"),
        pytest.param(b"PARE" + bytes(50) + b"PARE", "password_protected", "encrypted", id="PARE"),
        pytest.param(b"Obj\x01", "damaged_file", "cut off", id="half an Avro file"),
    ],
)
def test_what_is_not_read_is_refused_with_what_it_is(
    tmp_path: Path, content: bytes, code: str, said: str
) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == code
    assert said in raised.value.message
    assert raised.value.remedy


@pytest.mark.parametrize("wanted", [FileFormat.CSV, FileFormat.JSON, FileFormat.AVRO])
def test_a_file_that_was_sent_as_something_else_is_refused(
    tmp_path: Path, wanted: FileFormat
) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, workbook([NAMES, "abcde"]), format=wanted)
    assert raised.value.code == "wrong_format"
    assert "Excel workbook" in raised.value.message


def test_elements_of_an_array_on_one_line_have_places_of_their_own(tmp_path: Path) -> None:
    row = {"user_id": "u", "item_id": "i", "interaction_type": "stare", "timestamp": 1}
    taken = take(tmp_path, json.dumps([row, row]).encode())
    places = {place for place, *_ in taken.errors}
    assert places == {"element 1", "element 2"}
