"""Inputs that went wrong elsewhere: each is stored as meant, or an answer names what is not.

The same inputs are here in short; the files themselves are tried where the shared folder is.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.pipeline.report import IngestReport
from ingest_service.readers.events.parsing import EventLimits, parse_events
from ingest_service.readers.events.plain import plain_body
from ingest_service.readers.events.rows import EventTexts
from ingest_service.readers.json.rows import JsonColumns, texts_of
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.events.group_commit import GroupCommitWriter, GroupLimits
from ingest_service.sources.events.writer import EventRequest
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.privacy.suppression import EmptySuppressionList
from tests.support.ingesting import service

HEADER = "user_id,item_id,interaction_type,timestamp\n"
ROW = "u1,i1,click,1767225600000\n"
SEVENTIES = TenantSettings.model_validate({"time_range": {"start": "1990-01-01T00:00:00Z"}})
EVENT = {"user_id": "u", "item_id": "i", "interaction_type": "like", "timestamp": 1_767_225_600_000}
ITEMS, EVENTS, CLICKS = DataType.ITEMS, DataType.INTERACTIONS, DataType.CLICKSTREAM


def upload(
    path: Path,
    data_type: DataType = EVENTS,
    mapping: Mapping[str, Any] | None = None,
    on_error: OnError = OnError.QUARANTINE,
) -> IngestReport:
    is_json = path.suffix == ".json"
    return service(MemorySink()).ingest(
        FileUpload(
            path,
            "acme",
            data_type,
            SourceMapping.model_validate(mapping or {}),
            SEVENTIES,
            "b1",
            on_error,
            format=FileFormat.JSON if is_json else FileFormat.CSV,
        )
    )


def send(body: bytes, data_type: DataType = EVENTS) -> dict[str, Any]:
    """Store a request of events; return what its sender is told."""

    async def run() -> dict[str, Any]:
        ingest = IngestService(
            MemorySink(),
            NoHistory(),
            DedupeWindows(),
            EmptySuppressionList(),  # type: ignore[arg-type]
            lambda: datetime(2026, 5, 1, tzinfo=UTC),
        )
        writer = GroupCommitWriter(
            ingest, lambda _: SEVENTIES, lambda: "b", GroupLimits(wait=0), lambda *_: None
        )
        await writer.start()
        limits = EventLimits(5_000, 32_768)
        rows: EventTexts | None = plain_body(body, data_type, limits)
        if rows is None:
            columns = JsonColumns.of(data_type, SourceMapping())
            records = parse_events(body, limits)
            rows = texts_of(records, columns)
        request = EventRequest("acme", data_type, "contract", "api", rows, len(body))
        told = (await writer.write(request)).told
        await writer.stop()
        return {"results": json.loads(told.results), "warnings": dict(told.warnings)}

    return asyncio.run(run())


def issues(report: IngestReport) -> list[tuple[str, int, str, str]]:
    """Everything that an uploader is told, but for how the file was read."""
    found = [("error", one) for one in report.errors.kept]
    found += [("warning", one) for one in report.warnings.kept]
    return [
        (kind, one.line, one.column, one.code)
        for kind, one in found
        if one.code not in ("no_final_line_end", "detected_delimiter")
    ]


FILES = [
    pytest.param(
        "csv/optional_columns_other_case.csv",
        "item_id,Title,Price,Category\nx1,Shoe,12.50,Shoes\n",
        ITEMS,
        [("warning", 1, name, "column_by_likeness") for name in ("Title", "Price", "Category")],
        id="columns in another case",
    ),
    pytest.param(
        "csv/optional_columns_leading_space.csv",
        "item_id, title, price\nx2, Shoe, 12.50\n",
        ITEMS,
        [],  # read with a comma and a space between fields, which is told of the file
        id="columns with a space",
    ),
    pytest.param(
        "csv/rating_other_case.csv",
        HEADER.replace("\n", ",Rating\n") + "x3,i,like,1700000000000,5\n",
        EVENTS,
        [("warning", 1, "Rating", "column_by_likeness")],
        id="a rating in another case",
    ),
    pytest.param(
        "csv/null_marker_ids.csv",
        HEADER
        + "NULL,i1,view,1700000000000\n\\N,i2,view,1700000000000\n"
        + "undefined,None,view,1700000000000\n",
        EVENTS,
        [
            ("warning", 2, "user_id", "null_word"),
            ("warning", 3, "user_id", "null_word"),
            ("warning", 4, "user_id", "null_word"),
            ("warning", 4, "item_id", "null_word"),
        ],
        id="ids that are no ids",
    ),
    pytest.param(
        "mixed/null_words.csv",
        HEADER
        + "".join(
            f"{word},nw1,click,176722560000{n}\n"
            for n, word in enumerate(("null", "NULL", "NaN", "None", "\\N", "undefined", "#N/A"))
        ),
        EVENTS,
        [("warning", line, "user_id", "null_word") for line in range(2, 9)],
        id="words for nothing",
    ),
    pytest.param(
        "csv/scientific_ids.csv",
        HEADER + "1.23E+15,i1,view,1700000000000\n",
        EVENTS,
        [("warning", 2, "user_id", "scientific_identifier")],
        id="an id in scientific notation",
    ),
    pytest.param(
        "csv/decimal_commas.csv",
        "user_id;item_id;interaction_type;timestamp;rating\nu1;i1;like;1700000000000;4,5\n",
        EVENTS,
        [("error", 2, "rating", "bad_number")],
        id="a decimal comma",
    ),
    pytest.param(
        "mixed/excel_epoch_ms.csv",
        HEADER + "u1,i1,click,1.76723E+12\n" * 2 + "u2,i1,click,1.76723E+12\n",
        EVENTS,
        [("error", line, "timestamp", "bad_timestamp") for line in (2, 3, 4)],
        id="times in scientific notation",
    ),
    pytest.param(
        "mixed/items_repeated_header.csv",
        "item_id,title,category\nA,t,c\nitem_id,title,category\nB,t,c\n",
        ITEMS,
        [("error", 3, "", "repeated_header")],
        id="the header again",
    ),
    pytest.param(
        "mixed/items_updated_at_2100.csv",
        "item_id,category,price,updated_at\nfut1,shoes,10,4102444800000\n",
        ITEMS,
        [("warning", 2, "updated_at", "future_timestamp")],
        id="a row of the year 2100",
    ),
    pytest.param(
        "mixed/rating_overflow.csv",
        HEADER.replace("\n", ",rating\n")
        + "u1,i1,view,1767225600000,1e13\nu2,i1,view,1767225600001,1e-7\n",
        EVENTS,
        [("error", 2, "rating", "bad_number"), ("warning", 3, "rating", "rounded_number")],
        id="ratings that do not fit",
    ),
]


@pytest.mark.parametrize(("name", "content", "data_type", "expected"), FILES)
def test_what_is_not_stored_as_sent_is_told(
    tmp_path: Path,
    name: str,
    content: str,
    data_type: DataType,
    expected: list[tuple[str, int, str, str]],
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert issues(upload(path, data_type)) == expected


@pytest.mark.parametrize(("name", "content", "data_type", "expected"), FILES)
def test_the_shared_files_are_told_the_same(
    real_data: Path,
    name: str,
    content: str,
    data_type: DataType,
    expected: list[tuple[str, int, str, str]],
) -> None:
    assert issues(upload(_case(real_data, name), data_type)) == expected


def test_a_decimal_comma_gets_a_hint_and_has_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user_id;item_id;interaction_type;timestamp;rating\nu;i;like;1700000000000;4,5")
    assert "decimal: ','" in upload(path).errors.kept[0].reason
    report = upload(path, mapping={"decimal": ","})
    assert (report.counts.stored, report.errors.total) == (1, 0)


def test_names_of_zones_are_refused_and_a_zone_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "u1,i1,view,2026-01-01 00:00:00 PST\n")
    named = {"timestamps": {"timestamp": {"format": "%Y-%m-%d %H:%M:%S %Z"}}}
    with pytest.raises(FileRefusedError, match="time_zone"):
        upload(path, mapping=named)
    zone = {"format": "%Y-%m-%d %H:%M:%S PST", "time_zone": "America/Los_Angeles"}
    assert upload(path, mapping={"timestamps": {"timestamp": zone}}).counts.stored == 1


def test_the_shared_mapping_with_a_zones_name_is_refused(real_data: Path) -> None:
    settings = yaml.safe_load(_case(real_data, "mixed/timezone_name.yml").read_text())
    with pytest.raises(FileRefusedError, match="time_zone"):
        upload(_case(real_data, "mixed/timezone_name.csv"), mapping=settings["sources"]["default"])


def test_a_wrong_element_of_an_array_on_one_line_is_named(tmp_path: Path) -> None:
    rows = [{**EVENT, "user_id": f"oa{n}"} for n in range(5)]
    rows[3]["timestamp"] = "x"
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    (error,) = upload(path, on_error=OnError.REJECT).errors.kept
    assert (error.line, error.code) == (1, "bad_timestamp")
    assert "element 4 of the array" in error.reason


def test_the_shared_array_on_one_line_is_named(real_data: Path) -> None:
    (error,) = upload(_case(real_data, "csv/array_on_one_line.json")).errors.kept
    assert "element 4 of the array" in error.reason


def test_an_element_that_is_no_json_leaves_the_others_of_its_file(tmp_path: Path) -> None:
    good = json.dumps(EVENT)
    path = tmp_path / "rows.json"
    path.write_text(f'[{good}, {{"rating": NaN}}, {{"user_id": "\\ud800"}}, {good[:-1]},"x":1}}]')
    report = upload(path)
    assert (report.counts.stored, report.counts.duplicate, report.counts.quarantined) == (1, 1, 2)
    assert [error.code for error in report.errors.kept] == ["bad_json", "bad_json"]
    assert [(one.column, one.code) for one in report.warnings.kept] == [("x", "unread_field")]
    path.write_text(f"[{good}, {{]")
    with pytest.raises(FileRefusedError, match="element 2"):
        upload(path)


REQUESTS = [
    pytest.param(
        "csv/event_misspelt_field.json",
        [{**EVENT, "Rating": 5}],
        EVENTS,
        [("Rating", "similar_column")],
        id="a misspelt field",
    ),
    pytest.param(
        "csv/items_rounded_price_event.json",
        [{"item_id": "jp3", "price": 1e-7}],
        ITEMS,
        [("price", "rounded_number")],
        id="a price that becomes nothing",
    ),
    pytest.param(
        None,
        {**EVENT, "user_id": "null", "context": {"sessionId": "s"}},
        EVENTS,
        [("user_id", "null_word"), ("context.sessionId", "similar_column")],
        id="in the context",
    ),
    pytest.param(
        None,
        {"event_name": "e", "session_id": "s", "user_ID": "u", "anonymous_id": "a"}
        | {"timestamp": 1_767_225_600_000, "colour": 1},
        CLICKS,
        [("user_ID", "similar_column"), ("colour", "unread_field")],
        id="a click",
    ),
    pytest.param(
        None, {**EVENT, "user_id": "NULL"}, EVENTS, [("user_id", "null_word")], id="plain"
    ),
]


@pytest.mark.parametrize(("name", "body", "data_type", "expected"), REQUESTS)
def test_events_are_stored_and_what_is_odd_is_told_of_each(
    name: str | None, body: Any, data_type: DataType, expected: list[tuple[str, str]]
) -> None:
    told = send(json.dumps(body).encode(), data_type)
    _check_told(told, expected)


@pytest.mark.parametrize(("name", "body", "data_type", "expected"), REQUESTS)
def test_the_shared_events_are_told_the_same(
    real_data: Path,
    name: str | None,
    body: Any,
    data_type: DataType,
    expected: list[tuple[str, str]],
) -> None:
    if name is not None:
        _check_told(send(_case(real_data, name).read_bytes(), data_type), expected)


def _check_told(told: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    (result,) = told["results"]
    assert result["status"] == "stored"
    assert sorted((one["field"], one["code"]) for one in result["warnings"]) == sorted(expected)
    assert sum(told["warnings"].values()) == len(expected)


def test_one_event_that_is_no_json_refuses_itself_alone() -> None:
    good = json.dumps(EVENT)
    told = send(f'[{good}, {{"rating": NaN}}, {{"user_id": "\\ud800"}}]'.encode())
    assert [one["status"] for one in told["results"]] == ["stored", "rejected", "rejected"]
    assert [one["reasons"][0]["code"] for one in told["results"][1:]] == ["bad_json", "bad_json"]


def test_a_nul_in_an_id_is_refused_however_it_comes(tmp_path: Path) -> None:
    event = {**EVENT, "user_id": "u\0"}
    told = send(json.dumps(event).encode())
    assert told["results"][0]["reasons"][0]["code"] == "nul_byte"
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([event]))
    assert [error.code for error in upload(path).errors.kept] == ["nul_byte"]
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROW.replace("u1", "u\0"))
    assert [error.code for error in upload(path).errors.kept] == ["nul_byte"]


def test_warnings_of_one_request_are_not_told_to_another() -> None:
    odd, plain = json.dumps({**EVENT, "user_id": "NULL"}), json.dumps(EVENT)
    told = send(f"[{plain},{odd},{plain}]".encode())
    assert ["warnings" in one for one in told["results"]] == [False, True, False]
    assert told["warnings"] == {"null_word": 1}


def _case(real_data: Path, name: str) -> Path:
    path = real_data / "cases" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path
