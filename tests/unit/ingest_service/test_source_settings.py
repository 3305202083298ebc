"""Settings of a source, each through the whole way of a file: what is stored and what is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest_service.pipeline.report import IngestReport
from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.reader import CsvFile
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
    TimeRange,
)
from lakehouse.privacy.records import RecordReader
from tests.support.ingesting import service

SETTINGS = TenantSettings(time_range=TimeRange.model_validate({"start": "1990-01-01"}))
EVENTS, ITEMS = DataType.INTERACTIONS, DataType.ITEMS
HEADER = "user_id,item_id,interaction_type,timestamp\n"


def take(
    tmp_path: Path,
    text: str,
    mapping: dict[str, Any],
    data_type: DataType = EVENTS,
    **how: Any,
) -> tuple[IngestReport, MemorySink]:
    path = tmp_path / "rows"
    path.write_text(text, "utf-8", newline="")
    sink = MemorySink()
    read_as = SourceMapping.model_validate(mapping).of(data_type)
    upload = FileUpload(path, "acme", data_type, read_as, SETTINGS, "b1", **how)
    return service(sink).ingest(upload), sink


def stored(sink: MemorySink, data_type: DataType, *columns: str) -> list[tuple[Any, ...]]:
    rows = [row for _, table in sink.raw.get(data_type, []) for row in table.to_pylist()]
    return [tuple(row[column] for column in columns) for row in rows]


def warnings(report: IngestReport) -> list[tuple[str, str]]:
    return [(one.code, one.column) for one in report.warnings.kept]


# --- rows that are left out

REES46 = {
    "values": {"interaction_type": {"cart": "skip", "remove_from_cart": "skip"}},
    "timestamps": {"timestamp": {"format": "%Y-%m-%d %H:%M:%S UTC"}},
}
DAY = "2025-10-01 00:00:0"


@pytest.mark.parametrize("on_error", OnError)
def test_rows_of_a_skipped_type_are_counted_and_nothing_else_is_said(
    tmp_path: Path, on_error: OnError
) -> None:
    text = HEADER + f"u1,i1,view,{DAY}1 UTC\n,i1, cart ,{DAY}2 UTC\nu1,i2,remove_from_cart,when\n"
    report, sink = take(tmp_path, text, REES46, on_error=on_error)
    assert report.is_stored
    assert report.skipped == 2
    assert (report.counts.received, report.counts.stored, report.counts.quarantined) == (1, 1, 0)
    assert report.errors.total == 0
    assert ("skipped_rows", "") in warnings(report)
    assert stored(sink, EVENTS, "user_id", "source_ref") == [("u1", "line:0000000002")]


def test_the_word_skip_itself_is_no_type(tmp_path: Path) -> None:
    text = HEADER + f"u1,i1,skip,{DAY}1 UTC\nu1,i1,cart,{DAY}1 UTC\n"
    report, _ = take(tmp_path, text, REES46)
    assert report.skipped == 1
    assert report.errors.by_code == {"unknown_interaction_type": 1}
    assert report.counts.received == 1


def test_rows_of_json_are_skipped_as_well(tmp_path: Path) -> None:
    rows = [
        {"user_id": "u", "item_id": "i", "interaction_type": kind, "timestamp": f"{DAY}1 UTC"}
        for kind in ("view", "cart")
    ]
    report, _ = take(tmp_path, json.dumps(rows), REES46, format=FileFormat.JSON)
    assert (report.counts.stored, report.skipped) == (1, 1)


# --- columns by likeness


def test_a_column_in_another_case_is_read_when_no_other_is_like_it(tmp_path: Path) -> None:
    text = "User_ID, item_id ,INTERACTION_TYPE,timestamp\nu1,i1,view,1700000000000\n"
    report, sink = take(tmp_path, text, {})
    assert stored(sink, EVENTS, "user_id", "item_id") == [("u1", "i1")]
    assert [code for code, _ in warnings(report)].count("column_by_likeness") == 3


@pytest.mark.parametrize(
    ("header", "mapping"),
    [
        pytest.param(
            "User_ID,USER_ID,item_id,interaction_type,timestamp", {}, id="two are like it"
        ),
        pytest.param(
            "User_ID,x,item_id,interaction_type,timestamp", {"match_columns": "exact"}, id="exact"
        ),
        pytest.param(
            "KUNDE,x,item_id,interaction_type,timestamp",
            {"columns": {"user_id": "kunde", "session_id": "Kunde"}},
            id="two names mean it",
        ),
    ],
)
def test_a_column_that_may_be_another_is_not_read(
    tmp_path: Path, header: str, mapping: dict[str, Any]
) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, f"{header}\nu1,u2,i1,view,1700000000000\n", mapping)
    assert raised.value.code == "missing_columns"


def test_a_person_is_found_under_a_column_that_was_read_by_likeness() -> None:
    mapping = SourceMapping.model_validate(
        {"data_types": {"interactions": {"columns": {"user_id": "Kunde"}}}}
    )
    fields = IdentifyingFields.of(EVENTS, mapping)
    assert fields.field_of(" KUNDE ") == "user_id"
    assert fields.field_of("Kunden") is None


# --- words for nothing, marks of numbers, zones


def test_words_for_nothing_are_no_values(tmp_path: Path) -> None:
    text = "item_id,title,price\nx1,-,N/A\nx2,Shoe, N/A \n"
    _, sink = take(tmp_path, text, {"null_values": ["-", "N/A"]}, ITEMS)
    assert stored(sink, ITEMS, "title", "price") == [(None, None), ("Shoe", None)]
    report, _ = take(tmp_path, HEADER + "-,i,view,1700000000000\n", {"null_values": ["-"]})
    assert report.errors.by_code == {"missing_value": 1}


@pytest.mark.parametrize(
    ("mapping", "text", "price"),
    [
        ({"decimal": ",", "thousands": "."}, "1.234.567,50", "1234567.5000"),
        ({"thousands": ","}, '"12,34,567.5"', "1234567.5000"),
        ({"thousands": " ", "decimal": ","}, "1\u202f234,5", "1234.5000"),
        ({"thousands": "'"}, "1’234.50", "1234.5000"),
        ({"thousands": "."}, "", None),
        ({"thousands": ",", "decimal": "."}, '"1,23"', None),
        ({"thousands": ",", "decimal": "."}, '"0,123"', None),
        ({"thousands": ",", "decimal": "."}, '"1,2345"', None),
        ({"thousands": ","}, '"123,45,678"', None),
        ({"thousands": ","}, '"1,234,56,789"', None),
        ({"thousands": ".", "decimal": ","}, '"12.34.567"', None),
        ({"thousands": ".", "decimal": ","}, "1.5", None),
    ],
)
def test_thousands_are_read_where_they_are_groups_of_three(
    tmp_path: Path, mapping: dict[str, Any], text: str, price: str | None
) -> None:
    if not text:
        with pytest.raises(ValueError, match="decimal mark"):
            SourceMapping.model_validate(mapping)
        return
    body = f"item_id;price\nx;{text}\n"
    report, sink = take(tmp_path, body, {**mapping, "delimiter": ";"}, ITEMS)
    if price is None:
        assert report.errors.by_code == {"bad_number": 1}
        return
    assert [str(row[0]) for row in stored(sink, ITEMS, "price")] == [price]


def test_a_zone_of_the_source_is_that_of_its_times_without_one(tmp_path: Path) -> None:
    mapping = {"time_zone": "Asia/Tokyo", "timestamps": {"timestamp": {"unit": "iso"}}}
    text = HEADER + "u,i,view,2025-06-01T09:00:00\nu,i,view,2025-06-01T09:00:00Z\n"
    _, sink = take(tmp_path, text, mapping)
    hours = [row[0].hour for row in stored(sink, EVENTS, "event_time")]
    assert hours == [0, 9]


# --- headers


def test_a_header_of_two_lines_and_names_instead_of_one(tmp_path: Path) -> None:
    two = "user,item,type,\nid,id,,time\nu1,i1,view,1700000000000\n"
    columns = {
        "user_id": "user id",
        "item_id": "item id",
        "interaction_type": "type",
        "timestamp": "time",
    }
    _, sink = take(tmp_path, two, {"header": 2, "columns": columns})
    assert stored(sink, EVENTS, "user_id", "source_ref") == [("u1", "line:0000000003")]

    names = ["user_id", "item_id", "interaction_type", "timestamp"]
    _, sink = take(tmp_path, "a,a,a,a\nu1,i1,view,1700000000000\n", {"names": names})
    assert stored(sink, EVENTS, "user_id") == [("u1",)]
    with pytest.raises(FileRefusedError, match="`names` for them"):
        take(tmp_path, "a,a\nu1,i1\n", {"names": names, "delimiter": ","})


def test_rows_of_json_have_no_lines_to_cut(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, "[]", {"delimiter": ";", "skip_lines": 1}, format=FileFormat.JSON)
    assert raised.value.code == "unknown_mapped_field"
    assert "delimiter, skip_lines" in raised.value.message


# --- quotes, comments, last lines


def test_quotes_of_another_kind_are_read_and_kept_as_they_were(tmp_path: Path) -> None:
    text = "item_id,title\n'x,1','O''Neill 27\" \n wide'\nx2,27\"\nx3,a,b\n"
    how = {"on_error": OnError.QUARANTINE}
    report, sink = take(tmp_path, text, {"quote": "'"}, ITEMS, **how)
    assert stored(sink, ITEMS, "item_id", "title") == [
        ("x,1", "O'Neill 27\" \n wide"),
        ("x2", '27"'),
    ]
    assert report.counts.quarantined == 1
    kept = [row for _, table in sink.quarantined for row in table.to_pylist()]
    assert [row["raw"] for row in kept] == [b"x3,a,b"]
    layout = SourceLayout.from_text(kept[0]["layout"])
    assert layout.quote == "'"
    fields = IdentifyingFields.of(EVENTS, SourceMapping())
    people = layout.model_copy(update={"columns": ("user_id", "item_id")})
    for raw in (b"'anna, b',i", b" 'anna, b',i", b"'anna, b',i,x", b"'anna, b',i'"):
        assert "anna, b" in RecordReader(people, fields).named(raw).all


def test_without_quotes_a_quote_is_text(tmp_path: Path) -> None:
    text = 'item_id,"title"\nx,27" monitor\n"y",\'\n'
    mapping = {"quote": "none", "columns": {"title": '"title"'}}
    _, sink = take(tmp_path, text, mapping, ITEMS)
    assert stored(sink, ITEMS, "item_id", "title") == [("x", '27" monitor'), ('"y"', "'")]
    with pytest.raises(FileRefusedError, match="0x1E"):
        take(tmp_path, text + "z,\x1e\n", mapping, ITEMS)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("skipped", [1, 2])
def test_last_lines_are_not_read(tmp_path: Path, end: str, skipped: int) -> None:
    totals = "\n".join(["Total", "of all"][:skipped])
    text = "item_id,title\nx,a\ny,b\n" + totals + end
    _, sink = take(tmp_path, text, {"skip_last_lines": skipped}, ITEMS)
    assert stored(sink, ITEMS, "item_id") == [("x",), ("y",)]
    with pytest.raises(FileRefusedError):
        take(tmp_path, text, {"skip_last_lines": 9}, ITEMS)


def test_last_lines_beyond_one_block(tmp_path: Path) -> None:
    rows = "".join(f"i{n},{'t' * 50}\n" for n in range(3_000))
    path = tmp_path / "many"
    path.write_text("item_id,title\n" + rows + "sum\n" * 700)
    with CsvFile(path, CsvOptions(dialect=Dialect(skip_last_lines=700)), chunk_bytes=256) as file:
        count = sum(file.parse(piece, ["item_id"]).frame.height for piece in file.pieces())
    assert count == 3_000


def test_comments_of_several_characters(tmp_path: Path) -> None:
    text = "// made by a till\nitem_id,title\n//x,1\n/x,2\n/\n//"
    report, sink = take(tmp_path, text, {"comment": "//"}, ITEMS, on_error=OnError.QUARANTINE)
    assert stored(sink, ITEMS, "item_id") == [("/x",)]
    assert report.errors.by_code == {"ragged_row": 1}
