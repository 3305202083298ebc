"""Damaged and unusual files through the service: nothing altered, nothing passed in silence."""

from pathlib import Path

import pytest

from ingest_service.sinks.memory import MemorySink
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping
from tests.support.rows import HEADER
from tests.unit.ingest_service.test_service import ingest, service

GOOD = b"u1,i1,view,1700000000000\n"
DAMAGED = [
    b"u2,i1,view\n",
    b"u3,i1,view,1700000000000,x\n",
    b"u4,i\x001,view,1700000000000\n",
    b"u5,i\xff1,view,1700000000000\n",
    b"u6,i\r1,view,1700000000000\n",
    b'u7,"i\n1",stare,\n',
]


@pytest.mark.parametrize("chunk_bytes", [64, 10_000])
def test_records_that_cannot_be_read_are_kept_aside_one_by_one(
    tmp_path: Path, chunk_bytes: int
) -> None:
    sink = MemorySink()
    body = HEADER.encode() + b"".join(
        GOOD.replace(b"u1", "gü".encode() + b"%d" % n) + bad for n, bad in enumerate(DAMAGED)
    )
    running = service(sink, chunk_bytes=chunk_bytes)
    report = ingest(running, tmp_path, body, on_error=OnError.QUARANTINE)

    counts = report.counts
    assert (counts.received, counts.stored, counts.quarantined) == (12, 6, 6)
    kept = [row for _, table in sink.quarantined for row in table.to_pylist()]
    assert [row["raw"] + b"\n" for row in kept] == DAMAGED
    assert [row["source_ref"][-2:] for row in kept] == ["03", "05", "07", "09", "11", "13"]
    assert [[reason["code"] for reason in row["reasons"]] for row in kept] == [
        ["ragged_row"],
        ["ragged_row"],
        ["nul_byte"],
        ["not_utf8"],
        ["bare_carriage_return"],
        ["unknown_interaction_type", "missing_value"],
    ]
    stored = [user for _, t in sink.raw[DataType.INTERACTIONS] for user in t["user_id"].to_pylist()]
    assert stored == [f"gü{n}" for n in range(6)]


def test_without_quarantine_those_that_leave_the_others_whole_are_listed(tmp_path: Path) -> None:
    sink = MemorySink()
    body = HEADER.encode() + DAMAGED[0] + GOOD + DAMAGED[1] + DAMAGED[4]
    report = ingest(service(sink), tmp_path, body)
    assert (report.is_stored, sink.raw) == (False, {})
    assert [(error.line, error.code) for error in report.errors.kept] == [
        (2, "ragged_row"),
        (4, "ragged_row"),
        (5, "bare_carriage_return"),
    ]


@pytest.mark.parametrize(("bad", "code"), [(DAMAGED[2], "nul_byte"), (DAMAGED[3], "not_utf8")])
def test_without_quarantine_the_first_of_the_others_refuses_the_file(
    tmp_path: Path, bad: bytes, code: str
) -> None:
    sink = MemorySink()
    body = HEADER.encode() + "u\u00e9,i1,view,1700000000000\n".encode() * 3 + bad + GOOD
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(sink), tmp_path, body)

    assert (caught.value.code, caught.value.line) == (code, 5)
    assert sink.raw == {}


def test_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    report = ingest(service(MemorySink()), tmp_path, HEADER.encode() + GOOD + b"u2,i1")
    assert "the file ends there without a line end" in report.errors.kept[0].reason
    report = ingest(service(MemorySink()), tmp_path, HEADER.encode() + GOOD + GOOD[:-1])
    assert [(w.line, w.code) for w in report.warnings.kept] == [(3, "no_final_line_end")]


def test_western_file_is_read_and_the_guess_is_told(tmp_path: Path) -> None:
    sink = MemorySink()
    text = HEADER.replace(",", ";") + "Zoé;Crème brûlée;view;1700000000000\nZoé;;view;1\n"
    report = ingest(service(sink), tmp_path, text.encode("cp1252"), on_error=OnError.QUARANTINE)

    assert report.reading is not None
    assert (report.reading.encoding, report.reading.encoding_from) == ("cp1252", "detected")
    assert (report.reading.delimiter, report.reading.delimiter_from) == (";", "detected")
    assert [w.code for w in report.warnings.kept] == ["detected_encoding", "detected_delimiter"]
    ((_, rows),) = sink.raw[DataType.INTERACTIONS]
    assert rows.select(["user_id", "item_id"]).to_pylist() == [
        {"user_id": "Zoé", "item_id": "Crème brûlée"}
    ]
    ((_, kept),) = sink.quarantined
    assert kept["raw"].to_pylist() == ["Zoé;;view;1".encode("cp1252")]
    assert '"encoding":"cp1252","delimiter":";"' in kept["layout"].to_pylist()[0]


def test_file_of_another_encoding_is_refused_and_its_name_is_suggested(tmp_path: Path) -> None:
    text = HEADER + "Иван,Москва и Санкт-Петербург,view,1700000000000\n"
    for on_error in OnError:
        with pytest.raises(FileRefusedError, match="cp1251") as caught:
            ingest(service(MemorySink()), tmp_path, text.encode("cp1251"), on_error=on_error)
        assert (caught.value.code, caught.value.line) == ("not_utf8", 2)
    report = ingest(service(MemorySink()), tmp_path, text.encode("cp1251"), encoding="cp1251")
    assert report.counts.stored == 1


def test_encoding_that_was_given_is_not_second_guessed(tmp_path: Path) -> None:
    body = HEADER.encode() + "Zoé,i1,view,1700000000000\n".encode("cp1252")
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(MemorySink()), tmp_path, body, encoding="utf-8")
    assert (caught.value.code, caught.value.line) == ("not_utf8", 2)


@pytest.mark.parametrize(
    "name", ["User_ID", " user_id", "user_id\u200b", "user\u00a0_id", "\ufeffuser_id"]
)
def test_nearly_the_right_column_is_read_or_named(tmp_path: Path, name: str) -> None:
    header = f"x,{name},item_id,interaction_type,timestamp\n"
    text = header + "0,u1,i1,view,1700000000000\n"
    report = ingest(service(MemorySink()), tmp_path, text)
    assert [(w.column, w.code) for w in report.warnings.kept] == [
        (name, "column_by_likeness"),
        ("x", "unread_field"),
    ]

    exact = SourceMapping(match_columns="exact")
    with pytest.raises(FileRefusedError, match="compared exactly") as caught:
        ingest(service(MemorySink()), tmp_path, text, mapping=exact)
    assert (caught.value.columns, caught.value.line) == (("user_id",), 1)

    both = f"user_id,{name},item_id,interaction_type,timestamp\n"
    report = ingest(service(MemorySink()), tmp_path, both + "u1,u2,i1,view,1700000000000\n")
    assert [(w.column, w.code) for w in report.warnings.kept] == [(name, "similar_column")]


def test_what_nobody_sees_is_stored_as_sent_and_told(tmp_path: Path) -> None:
    sink = MemorySink()
    body = HEADER + "u1 ,i\u200b1,view,1700000000000\n"
    report = ingest(service(sink), tmp_path, body)

    assert [(w.line, w.column, w.code) for w in report.warnings.kept] == [
        (2, "user_id", "surrounding_white_space"),
        (2, "item_id", "invisible_character"),
    ]
    ((_, rows),) = sink.raw[DataType.INTERACTIONS]
    assert rows.select(["user_id", "item_id"]).to_pylist() == [
        {"user_id": "u1 ", "item_id": "i\u200b1"}
    ]


def test_a_header_in_an_unknown_language_is_told_with_what_to_write(tmp_path: Path) -> None:
    body = "пользователь,товар,вид,время,a@b.example,u17\nu1,i1,view,1700000000000,x,y\n"
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(MemorySink()), tmp_path, body)
    assert "it has 'пользователь', 'товар', 'вид', 'время' and 2 more" in caught.value.message
    assert "`columns: {user_id: NAME}`" in caught.value.remedy
    assert "`eta inspect FILE`" in caught.value.remedy
    assert "example" not in caught.value.message, "what may be a value of a person is not shown"


def test_white_space_around_the_name_of_an_event_is_told(tmp_path: Path) -> None:
    sink = MemorySink()
    body = "event_name,user_id,session_id,timestamp\n search,u1,s1,1700000000000\n"
    report = ingest(service(sink), tmp_path, body, data_type=DataType.CLICKSTREAM)
    assert [(w.line, w.column, w.code) for w in report.warnings.kept] == [
        (2, "event_name", "surrounding_white_space")
    ]
    ((_, rows),) = sink.raw[DataType.CLICKSTREAM]
    assert rows["event_name"].to_pylist() == [" search"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "empty_file", id="nothing"),
        pytest.param(b"\n\r\n\n", "empty_file", id="empty lines"),
        pytest.param(HEADER.encode(), "no_rows", id="header only"),
        pytest.param(b"\n\n" + HEADER.encode() + b"\n\n", "no_rows", id="header and empty lines"),
    ],
)
def test_file_without_rows_is_refused(tmp_path: Path, body: bytes, code: str) -> None:
    with pytest.raises(FileRefusedError) as caught:
        ingest(service(MemorySink()), tmp_path, body)
    assert caught.value.code == code
    assert caught.value.line is not None
