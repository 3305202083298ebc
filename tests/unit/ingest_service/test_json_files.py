"""JSON files through the service: rows like those of a CSV file, strictly."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.memory import MemorySink
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
from tests.support.examples import examples
from tests.unit.ingest_service.test_service import service

GOOD = {
    "user_id": "u1",
    "item_id": "i1",
    "interaction_type": "view",
    "timestamp": 1_700_000_000_000,
}


def ingest(
    running: IngestService,
    folder: Path,
    content: bytes | str,
    data_type: DataType = DataType.INTERACTIONS,
    on_error: OnError = OnError.QUARANTINE,
    **mapping: Any,
) -> IngestReport:
    """Take in a JSON file for tenant `acme`."""
    path = folder / "rows.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return running.ingest(
        FileUpload(
            path,
            "acme",
            data_type,
            SourceMapping.model_validate(mapping),
            TenantSettings(),
            "b1",
            on_error,
            format=FileFormat.JSON,
        )
    )


def stored(sink: MemorySink, data_type: DataType = DataType.INTERACTIONS) -> list[dict[str, Any]]:
    """Every row of the raw table."""
    return [row for _, table in sink.raw.get(data_type, []) for row in table.to_pylist()]


def kept_aside(sink: MemorySink) -> list[tuple[bytes, str, list[str]]]:
    """Bytes, place and codes of every quarantined row."""
    return [
        (row["raw"], row["source_ref"], [reason["code"] for reason in row["reasons"]])
        for _, table in sink.quarantined
        for row in table.to_pylist()
    ]


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    users=st.lists(
        st.text(alphabet='uü"\\[]{},\n', min_size=1, max_size=6).map("u".__add__),
        min_size=1,
        max_size=30,
    ),
    indent=st.sampled_from([None, 1]),
    is_array=st.booleans(),
    chunk_bytes=st.sampled_from([7, 64, 10_000]),
)
def test_arrays_and_lines_hold_the_same_rows(
    tmp_path: Path, users: list[str], indent: int | None, is_array: bool, chunk_bytes: int
) -> None:
    rows = [GOOD | {"user_id": user, "event_id": f"e{n}"} for n, user in enumerate(users)]
    content = json.dumps(rows, indent=indent)
    if not is_array:
        content = "\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    sink = MemorySink()
    report = ingest(service(sink, chunk_bytes=chunk_bytes), tmp_path, content)

    assert report.counts.stored == len(users)
    assert [row["user_id"] for row in stored(sink)] == users
    places = [row["source_ref"] for row in stored(sink)]
    assert places == sorted(set(places))
    assert {place.partition(":")[0] for place in places} == {"item" if is_array else "line"}


def test_wrong_lines_are_told_one_by_one_with_every_reason(tmp_path: Path) -> None:
    lines = [
        json.dumps(GOOD),
        '{"user_id": "u2", "item_id": NaN}',
        json.dumps(GOOD) + " x",
        "[1]",
        '{"user_id": "u5", "user_id": "u6", "item_id": "i", "interaction_type": "view"}',
        json.dumps(GOOD | {"user_id": {"id": 1}, "interaction_type": "stare"}),
        '{"user_id": "\\ud800"}',
        '{"user_id": "u\xff"}',
        json.dumps({"user_id": "u8"}),
    ]
    sink = MemorySink()
    body = b"\n".join(line.encode("latin-1") for line in lines)
    report = ingest(service(sink), tmp_path, body)

    assert (report.counts.received, report.counts.stored, report.counts.quarantined) == (9, 1, 8)
    kept = kept_aside(sink)
    assert [raw for raw, _, _ in kept] == [line.encode("latin-1") for line in lines[1:]]
    assert [place for _, place, _ in kept] == [f"line:{n:010}" for n in range(2, 10)]
    assert [codes for _, _, codes in kept] == [
        ["bad_json"],
        ["bad_json"],
        ["bad_json"],
        ["repeated_name"],
        ["unknown_interaction_type", "wrong_type"],
        ["bad_json"],
        ["bad_json"],
        ["missing_value", "missing_value", "missing_value"],
    ]
    assert [error.line for error in report.errors.kept[:3]] == [2, 3, 4]


def test_values_keep_their_text_and_objects_become_json(tmp_path: Path) -> None:
    sink = MemorySink()
    row = (
        '{"item_id": 7, "price": 1.10, "is_active": true, "title": null,'
        ' "attributes": {"size": 1.50, "tags": ["a", {"b": null}]}}'
    )
    ingest(service(sink), tmp_path, row, DataType.ITEMS)

    (item,) = stored(sink, DataType.ITEMS)
    assert (item["item_id"], str(item["price"]), item["is_active"]) == ("7", "1.1000", True)
    assert item["title"] is None
    assert item["attributes"] == '{"size":1.50,"tags":["a",{"b":null}]}'


def test_context_and_paths_are_found(tmp_path: Path) -> None:
    sink = MemorySink()
    row = {
        "who": {"id": "u1", "name": "x"},
        "item_id": "i1",
        "interaction_type": "view",
        "timestamp": 1_700_000_000_000,
        "context": {"device_type": "ios", "location": "Bern", "session_id": None},
    }
    ingest(service(sink), tmp_path, json.dumps([row]), columns={"user_id": "who.id"})

    (found,) = stored(sink)
    assert found["user_id"] == "u1"
    assert found["context"] == {"device_type": "ios", "location": "Bern", "session_id": None}


def test_clickstream_events(tmp_path: Path) -> None:
    sink = MemorySink()
    event = {"event_name": "page_view", "session_id": "s1", "timestamp": 1_700_000_000_000}
    events = [
        event | {"anonymous_id": "a1", "properties": {"n": 1}},
        event,
    ]
    report = ingest(service(sink), tmp_path, json.dumps(events), DataType.CLICKSTREAM)

    assert report.counts.stored == 1
    assert stored(sink, DataType.CLICKSTREAM)[0]["properties"] == '{"n":1}'
    assert kept_aside(sink)[0][1:] == ("item:0000000002", ["missing_subject"])


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        pytest.param("", "empty_file", 1, id="nothing"),
        pytest.param(" \n\t", "empty_file", 1, id="white space"),
        pytest.param("[]", "no_rows", 1, id="empty array"),
        pytest.param("[\n{},\n{]", "bad_json", 3, id="damaged element"),
        pytest.param("[\n{}\n{}]", "bad_json", 3, id="comma missing"),
        pytest.param("[{},\n]", "bad_json", 2, id="comma too many"),
        pytest.param("[{},\n{}", "bad_json", 2, id="cut off"),
        pytest.param("[{}]\n\n{}", "bad_json", 3, id="something behind"),
        pytest.param(b'[{},\n{"a": "\xff"}]', "not_utf8", 2, id="not UTF-8"),
        pytest.param("[" + "x" * 5_000_000, "bad_json", 1, id="never an element"),
        pytest.param('{"a": "' + "x" * 5_000_000, "record_too_long", 1, id="endless line"),
    ],
)
def test_damaged_file_is_refused_with_its_line(
    tmp_path: Path, content: bytes | str, code: str, line: int
) -> None:
    sink = MemorySink()
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(sink, chunk_bytes=4_096), tmp_path, content)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert sink.raw == {}


def test_too_deep_elements_are_wrong_rows(tmp_path: Path) -> None:
    deep = '{"a":' * 100 + "1" + "}" * 100
    for content in (f"[{json.dumps(GOOD)},{deep}]", f"{json.dumps(GOOD)}\n{deep}"):
        report = ingest(service(MemorySink()), tmp_path, content)
        assert (report.counts.stored, report.counts.quarantined) == (1, 1)
        assert report.errors.kept[0].code == "bad_json"


def test_wrong_row_refuses_the_file_by_default(tmp_path: Path) -> None:
    sink = MemorySink()
    content = f"{json.dumps(GOOD)}\n{{"
    report = ingest(service(sink), tmp_path, content, on_error=OnError.REJECT)

    assert (report.is_stored, sink.raw) == (False, {})
    assert [(error.line, error.code) for error in report.errors.kept] == [(2, "bad_json")]
