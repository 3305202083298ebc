"""Files as customers' programs write them: read as they are meant, or refused with what helps."""

from pathlib import Path
from typing import Any

import pytest

from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import (
    DataType,
    OnError,
    SourceMapping,
    TenantSettings,
    TimeRange,
    TimestampFormat,
)
from tests.support.ingesting import service
from tests.support.rows import HEADER

ROW = "u1,i1,view,1700000000000\n"
SETTINGS = TenantSettings(time_range=TimeRange.model_validate({"start": "1990-01-01"}))
LIKE = {"interaction_type": "like"}


def take(
    folder: Path,
    content: str | bytes,
    sink: MemorySink | None = None,
    data_type: DataType = DataType.INTERACTIONS,
    mapping: dict[str, Any] | None = None,
    **options: Any,
) -> IngestReport:
    """Take a file in, as an upload does."""
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read_as = SourceMapping.model_validate(mapping or {})
    upload = FileUpload(path, "acme", data_type, read_as, SETTINGS, "b1", **options)
    return service(sink or MemorySink()).ingest(upload)


def refusal(folder: Path, content: str | bytes, **options: Any) -> FileRefusedError:
    """What a file is refused with."""
    with pytest.raises(FileRefusedError) as caught:
        take(folder, content, **options)
    return caught.value


def stored(sink: MemorySink, data_type: DataType, *columns: str) -> list[tuple[Any, ...]]:
    """The stored rows."""
    rows = [row for _, table in sink.raw.get(data_type, []) for row in table.to_pylist()]
    return [tuple(row[column] for column in columns) for row in rows]


def kept(sink: MemorySink) -> list[tuple[str, bytes, list[str]]]:
    """The quarantine: place, bytes and codes."""
    rows = [row for _, table in sink.quarantined for row in table.to_pylist()]
    return [(r["source_ref"], r["raw"], [x["code"] for x in r["reasons"]]) for r in rows]


# --- encodings


@pytest.mark.parametrize("on_error", OnError)
def test_file_cut_within_a_character_says_so(tmp_path: Path, on_error: OnError) -> None:
    body = b"item_id,title,category\na4,b,c\na5,b,\xc3"
    sink = MemorySink()
    if on_error is OnError.REJECT:
        error = refusal(tmp_path, body, data_type=DataType.ITEMS)
        assert (error.code, error.line) == ("not_utf8", 3)
        assert "ends within a character" in error.message
        return
    take(tmp_path, body, sink, DataType.ITEMS, on_error=on_error)
    assert stored(sink, DataType.ITEMS, "item_id") == [("a4",)]
    assert [row[1:] for row in kept(sink)] == [(b"a5,b,\xc3", ["not_utf8"])]


@pytest.mark.parametrize(
    ("encoding", "cut"), [("utf-16-le", 1), ("cp932", 1), ("gb18030", 1), ("utf-8", 1)]
)
def test_given_encoding_cut_within_a_character_says_so(
    tmp_path: Path, encoding: str, cut: int
) -> None:
    body = f"{HEADER}u,日本,view,1700000000000\nu,日".encode(encoding)[:-cut]
    error = refusal(tmp_path, body, encoding=encoding)
    assert "ends within a character" in error.message


def test_controls_of_iso_8859_are_refused_with_the_windows_page(tmp_path: Path) -> None:
    body = f"{HEADER}l’été,i1,view,1700000000000\n".encode("cp1252")
    error = refusal(tmp_path, body, encoding="latin-1")
    assert (error.code, error.line) == ("undecodable", 2)
    assert "cp1252" in error.remedy


def test_mapping_goes_before_the_declared_charset(tmp_path: Path) -> None:
    sink = MemorySink()
    body = f"{HEADER}Işıl,i1,view,1700000000000\n".encode("cp1254")
    take(tmp_path, body, sink, mapping={"encoding": "cp1254"}, declared_charset="utf-8")
    assert stored(sink, DataType.INTERACTIONS, "user_id") == [("Işıl",)]


def test_byte_order_mark_goes_before_the_declared_charset(tmp_path: Path) -> None:
    report = take(tmp_path, b"\xef\xbb\xbf" + (HEADER + ROW).encode(), declared_charset="cp1254")
    assert report.reading is not None
    assert (report.reading.encoding, report.reading.encoding_from) == ("utf-8", "mark")


def test_korean_windows_page_may_be_given_and_is_suggested(tmp_path: Path) -> None:
    body = "item_id,title\no1,여성 신발\no2,똠방각하\n".encode("cp949")
    error = refusal(tmp_path, body, data_type=DataType.ITEMS)
    assert "encoding, cp949" in error.remedy
    sink = MemorySink()
    take(tmp_path, body, sink, DataType.ITEMS, encoding="cp949")
    assert stored(sink, DataType.ITEMS, "title") == [("여성 신발",), ("똠방각하",)]


# --- what stands before the rows


@pytest.mark.parametrize("sep", ["sep=;", '"sep=;"', "sep=;;;"])
def test_separator_line_of_excel_is_followed_and_told(tmp_path: Path, sep: str) -> None:
    body = f"\ufeff{sep}\r\n" + (HEADER + ROW).replace(",", ";").replace("\n", "\r\n")
    report = take(tmp_path, body)
    assert report.counts.stored == 1
    assert report.reading is not None
    assert (report.reading.delimiter, report.reading.delimiter_from) == (";", "sep_line")
    assert [(w.line, w.code) for w in report.warnings.kept] == [(1, "detected_delimiter")]


def test_lines_before_the_header_are_skipped_as_the_mapping_says(tmp_path: Path) -> None:
    body = "# All Web Site Data\n# 20240101\n\n" + HEADER + ROW
    for mapping in ({"skip_lines": 3}, {"comment": "#"}, {}):
        sink = MemorySink()
        report = take(tmp_path, body, sink, mapping=mapping)
        assert stored(sink, DataType.INTERACTIONS, "source_ref") == [("line:0000000005",)]
        told = [(w.line, w.code) for w in report.warnings.kept]
        assert told == ([] if mapping else [(1, "skipped_lines")])


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("u1,i1,view,1700000000000\n", id="a row"),
        pytest.param("user,item,type,time\nu1,i1,view,1700000000000\n", id="another table"),
    ],
)
def test_what_may_be_a_row_is_not_passed_over(tmp_path: Path, before: str) -> None:
    error = refusal(tmp_path, before + HEADER + ROW)
    assert (error.code, error.line) == ("missing_columns", 1)
    assert "looks like the header" in error.remedy


def test_comment_lines_are_no_rows_and_never_swallow_any(tmp_path: Path) -> None:
    body = HEADER + ROW + "# said he\n" + ROW.replace("u1", "u2")
    report = take(tmp_path, body, mapping={"comment": "#"})
    assert (report.counts.received, report.counts.stored) == (2, 2)
    swallowing = HEADER + '#,"\n' + ROW + '",x,y\n'
    assert refusal(tmp_path, swallowing, mapping={"comment": "#"}).code == "bad_quote"


def test_more_lines_to_skip_than_there_are(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER, mapping={"skip_lines": 5}).code == "empty_file"


U_DATA = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n"
U_NAMES = {
    "header": "none",
    "names": ["user_id", "item_id", "rating", "timestamp"],
    "constants": LIKE,
    "timestamps": {"timestamp": TimestampFormat(unit="s")},
}


def test_file_without_a_header_is_read_by_the_names_of_its_mapping(tmp_path: Path) -> None:
    error = refusal(tmp_path, U_DATA)
    assert "line 1 looks like data" in error.remedy
    assert "header: none" in error.remedy

    sink = MemorySink()
    report = take(tmp_path, U_DATA, sink, mapping=U_NAMES)
    assert report.counts.stored == 2
    assert stored(sink, DataType.INTERACTIONS, "user_id", "source_ref") == [
        ("196", "line:0000000001"),
        ("186", "line:0000000002"),
    ]
    report = take(tmp_path, "1\t2\n", mapping=U_NAMES)
    assert [(e.line, e.code) for e in report.errors.kept] == [(1, "ragged_row")]


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"header": "none"}, id="no names"),
        pytest.param({"header": "none", "names": ["a", "a"]}, id="a name twice"),
        pytest.param({"comment": '"'}, id="a quote begins comments"),
        pytest.param({"comment": ";", "delimiter": ";"}, id="the delimiter begins comments"),
        pytest.param({"escape": "'"}, id="another escape"),
        pytest.param({"skip_lines": -1}, id="fewer than no lines"),
    ],
)
def test_dialect_of_no_use_is_refused_when_it_is_set(mapping: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SourceMapping.model_validate(mapping)


def test_line_ends_of_old_macs_are_followed(tmp_path: Path) -> None:
    report = take(tmp_path, (HEADER + ROW * 5_000).replace("\n", "\r"))
    assert (report.counts.received, report.counts.stored) == (5_000, 1)


# --- columns


@pytest.mark.parametrize("end", ["   \n", "\t\n", " \r\n", "   "])
def test_line_of_white_space_is_an_empty_line(tmp_path: Path, end: str) -> None:
    report = take(tmp_path, HEADER + ROW + end + "\n" + ROW.replace("u1", "u2") + end)
    assert (report.counts.received, report.counts.stored) == (2, 2)


def test_white_space_is_a_value_where_it_can_be_one(tmp_path: Path) -> None:
    body = (HEADER + "\t\t\t\n").replace(",", "\t")
    report = take(tmp_path, body, on_error=OnError.QUARANTINE)
    assert (report.counts.received, report.counts.quarantined) == (1, 1)


def test_columns_without_a_name_may_hold_nothing(tmp_path: Path) -> None:
    header, row = HEADER.replace("\n", ",,\n"), ROW.replace("\n", ",, \n")
    report = take(tmp_path, header + row)
    assert report.counts.stored == 1
    assert [w.code for w in report.warnings.kept] == ["nameless_column"]

    damaged = header + row + ROW.replace("\n", ",,x\n")
    (error,) = take(tmp_path, damaged).errors.kept
    assert (error.code, error.line) == ("ragged_row", 3)
    assert "column 6" in error.reason
    sink = MemorySink()
    take(tmp_path, damaged, sink, on_error=OnError.QUARANTINE)
    assert kept(sink) == [("line:0000000003", b"u1,i1,view,1700000000000,,x", ["ragged_row"])]
    assert len(stored(sink, DataType.INTERACTIONS, "user_id")) == 1


def test_column_twice_is_a_warning_unless_it_is_read(tmp_path: Path) -> None:
    body = HEADER.replace("\n", ",tag,tag,tag (2)\n") + ROW.replace("\n", ",a,b,c\n")
    report = take(tmp_path, body)
    assert report.counts.stored == 1
    assert [(w.column, w.code) for w in report.warnings.kept] == [
        ("tag", "repeated_column"),
        ("tag (2)", "unread_field"),
    ]
    error = refusal(tmp_path, body, mapping={"columns": {"device_type": "tag"}})
    assert (error.code, error.columns) == ("duplicate_header", ("tag",))


# --- escapes

ESCAPED = 'item_id,title,category\nb1,"say \\"hi\\" there",c\nb2,ok,c\n'


def test_backslash_before_quotes_is_read_by_its_setting(tmp_path: Path) -> None:
    error = refusal(tmp_path, ESCAPED, data_type=DataType.ITEMS)
    assert (error.code, error.line) == ("bad_quote", 2)
    assert "escape" in error.remedy

    sink = MemorySink()
    body = ESCAPED + 'b3,"a\\\\","x\ny"\nb4,two \\, three,\\"\nb5,"1 ""2""",\n'
    take(tmp_path, body, sink, DataType.ITEMS, {"escape": "\\"})
    assert stored(sink, DataType.ITEMS, "item_id", "title", "category", "source_ref") == [
        ("b1", 'say "hi" there', "c", "line:0000000002"),
        ("b2", "ok", "c", "line:0000000003"),
        ("b3", "a\\", "x\ny", "line:0000000004"),
        ("b4", "two , three", '"', "line:0000000006"),
        ("b5", '1 "2"', None, "line:0000000007"),
    ]


def test_escape_that_needs_none_is_not_guessed_at(tmp_path: Path) -> None:
    body = ESCAPED + "b6,C:\\new,c\nb7,\\N,c\n"
    mapping = {"escape": "\\"}
    report = take(tmp_path, body, data_type=DataType.ITEMS, mapping=mapping)
    assert [(e.line, e.code) for e in report.errors.kept] == [(4, "bad_escape"), (5, "bad_escape")]
    sink = MemorySink()
    options: dict[str, Any] = {"mapping": mapping, "on_error": OnError.QUARANTINE}
    take(tmp_path, body, sink, DataType.ITEMS, **options)
    assert [row[2] for row in kept(sink)] == [["bad_escape"], ["bad_escape"]]


def test_file_that_ends_with_an_escape_ends(tmp_path: Path) -> None:
    body = ESCAPED + "b8,x,\\"
    error = refusal(tmp_path, body, data_type=DataType.ITEMS, mapping={"escape": "\\"})
    assert error.line is not None


def test_quote_opened_lines_before_is_named(tmp_path: Path) -> None:
    body = HEADER + '"u1,i1,view,1\n' + ROW + 'u3,"i1",view,1700000000000\n'
    error = refusal(tmp_path, body)
    assert (error.code, error.line) == ("bad_quote", 2)


# --- stray quotes

ITEMS = "item_id,title,category\n"


def set_aside(folder: Path, body: str, chunk_bytes: int = 200) -> tuple[list[Any], list[Any]]:
    """What of a catalogue is stored, and the lines in quarantine, with `on_error=quarantine`."""
    sink = MemorySink()
    path = folder / "rows.csv"
    path.write_text(body, newline="")
    upload = FileUpload(
        path, "acme", DataType.ITEMS, SourceMapping(), SETTINGS, "b1", OnError.QUARANTINE
    )
    report = service(sink, chunk_bytes=chunk_bytes).ingest(upload)
    counts = report.counts
    assert counts.received == counts.stored + counts.quarantined + counts.duplicate
    lines = [(int(place[-4:]), codes[0]) for place, _, codes in kept(sink)]
    return [row[0] for row in stored(sink, DataType.ITEMS, "item_id")], lines


@pytest.mark.parametrize(
    ("rows", "good", "bad"),
    [
        pytest.param('n1,27" monitor,c\nn2,ok,c\n', ["n2"], [2], id="inch sign"),
        pytest.param('n0,x,c\nn1,27",c\nn2,ok,c\n', ["n0", "n2"], [3], id="at a field's end"),
        pytest.param('n1,"27" monitor",c\nn2,"o",c\n', ["n2"], [2], id="within quotes"),
        pytest.param('n1,5" a,c\nn2,6" b,c\nn3,"x",c\n', ["n3"], [2, 3], id="two"),
        pytest.param('n1,"open,c\nn2,x,c\nn3,"x",c\n', ["n3"], [2, 3], id="never closed"),
        pytest.param('n1,"open,c\nn2,x,c\n', [], [2, 3], id="never closed, and no quote follows"),
        pytest.param(
            'n1,5" "many\nn2,x,c\nlines",c\nn3,"x",c\n', ["n3"], [2, 3, 4], id="text of lines"
        ),
        pytest.param(
            f'n0,x,c\nn1,5" x,c\n{ITEMS}n2,x,c\nn3,"\\",x"\n',
            ["n0"],
            [3, 4, 5, 6],
            id="a second table",
        ),
        pytest.param(
            'n0,many\nn1,x,c\nlines",c\nn3,"x",c\n', ["n3"], [2, 3, 4], id="opening quote lost"
        ),
        pytest.param('n0,"a\nb",c\nn1,5" x,c\nn2,x,\n', ["n0", "n2"], [4], id="good text of lines"),
    ],
)
def test_stray_quote_sets_aside_what_it_makes_doubtful(
    tmp_path: Path, rows: str, good: list[str], bad: list[int]
) -> None:
    stored_ids, lines = set_aside(tmp_path, ITEMS + rows)
    assert stored_ids == good
    assert lines == [(line, "bad_quote") for line in bad]


def test_stray_quotes_in_a_large_file_cost_their_own_lines_alone(tmp_path: Path) -> None:
    rows = [f'i{n},"title, {n}",c\n' if n % 3 else f"i{n},title,c\n" for n in range(600)]
    for n in range(50, 600, 100):
        rows[n] = f'i{n},{n}" monitor,c\n'
    for chunk_bytes in (64, 1_000, 1_000_000):
        stored_ids, lines = set_aside(tmp_path, ITEMS + "".join(rows), chunk_bytes)
        assert [line for line, _ in lines] == [n + 2 for n in range(50, 600, 100)]
        assert len(stored_ids) == 594


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("".join(f'i{n},"a \\"b\\" c",d\n' for n in range(50)), id="escapes"),
        pytest.param("'item_id','title','category'\n'a','5\" x','c'\n", id="other quotes"),
    ],
)
def test_file_of_another_dialect_is_refused_as_a_whole(tmp_path: Path, body: str) -> None:
    whole = body if body.startswith("'") else ITEMS + body
    with pytest.raises(FileRefusedError):
        set_aside(tmp_path, whole, chunk_bytes=100_000)


# --- the files of the review

INTERACTIONS, CATALOGUE = DataType.INTERACTIONS, DataType.ITEMS
DECLARED = {"declared_charset": "windows-1254"}
GA = {
    "columns": {"user_id": "Client Id", "item_id": "Page", "timestamp": "Date"},
    "constants": {"interaction_type": "view"},
    "timestamps": {"timestamp": {"format": "%Y%m%d"}},
}


@pytest.mark.parametrize(
    ("name", "data_type", "code", "hint"),
    [
        ("czech_cp1250", CATALOGUE, "not_utf8", "encoding, cp1250"),
        ("hungarian_cp1250", CATALOGUE, "not_utf8", "encoding, cp1250"),
        ("german_iso8859_15_euro", CATALOGUE, "not_utf8", "encoding, iso8859-15"),
        ("macroman_german", CATALOGUE, "not_utf8", "encoding, mac-roman"),
        ("turkish_cp1254", CATALOGUE, "not_utf8", "encoding, cp1254"),
        ("korean_cp949", CATALOGUE, "not_utf8", "encoding, cp949"),
        ("cut_in_a_character", CATALOGUE, "not_utf8", "send all of it"),
        ("ga_preamble", INTERACTIONS, "missing_columns", "skip_lines: 3"),
        ("headerless_u.data", INTERACTIONS, "missing_columns", "header: none"),
        ("backslash_escapes", CATALOGUE, "bad_quote", "escape"),
        ("stray_quote_one_row", CATALOGUE, "bad_quote", "in quotes"),
        ("../mixed/cp1254_declared", INTERACTIONS, "not_utf8", "encoding, cp1254"),
    ],
)
def test_case_is_refused_with_what_helps(
    tmp_path: Path, real_data: Path, name: str, data_type: DataType, code: str, hint: str
) -> None:
    error = refusal(tmp_path, _case(real_data, name), data_type=data_type)
    assert (error.code, hint in error.remedy) == (code, True), error.remedy
    assert error.line is not None


@pytest.mark.parametrize(
    ("name", "data_type", "options", "counts", "warning"),
    [
        ("czech_cp1250", CATALOGUE, {"encoding": "cp1250"}, (2, 0), None),
        ("korean_cp949", CATALOGUE, {"encoding": "cp949"}, (2, 0), None),
        (
            "../mixed/cp1254_declared",
            INTERACTIONS,
            {"declared_charset": "windows-1254"},
            (4, 0),
            None,
        ),
        ("excel_sep_line", INTERACTIONS, {}, (1, 0), "detected_delimiter"),
        ("cr_only", INTERACTIONS, {}, (1, 0), None),
        (
            "ga_preamble",
            INTERACTIONS,
            {"mapping": GA, "on_error": "quarantine"},
            (1, 1),
            "skipped_lines",
        ),
        ("headerless_u.data", INTERACTIONS, {"mapping": U_NAMES}, (2, 0), None),
        ("backslash_escapes", CATALOGUE, {"mapping": {"escape": "\\"}}, (2, 0), None),
        ("space_only_last_line", INTERACTIONS, {}, (1, 0), None),
        ("trailing_commas_two", INTERACTIONS, {}, (1, 0), "nameless_column"),
        ("duplicate_unread_column", INTERACTIONS, {}, (1, 0), "repeated_column"),
        ("stray_quote_one_row", CATALOGUE, {"on_error": "quarantine"}, (1, 1), None),
    ],
)
def test_case_is_read(
    tmp_path: Path,
    real_data: Path,
    name: str,
    data_type: DataType,
    options: dict[str, Any],
    counts: tuple[int, int],
    warning: str | None,
) -> None:
    told = {"on_error": OnError(options.get("on_error", "reject"))}
    report = take(tmp_path, _case(real_data, name), data_type=data_type, **{**options, **told})
    assert (report.counts.stored, report.counts.quarantined) == counts
    assert not warning or warning in {w.code for w in report.warnings.kept}


def _case(real_data: Path, name: str) -> bytes:
    folder = real_data / "cases" / "csv"
    path = folder / name if name.endswith(".data") else folder / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"no real data: {path} is not there")
    return path.read_bytes()
