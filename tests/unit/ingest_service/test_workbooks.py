"""Excel workbooks: what a cell says, which sheet is read, what a hostile one may cost."""

import tracemalloc
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import SourceMapping
from tests.support.tables import NAMES, saved, take, workbook

AT = datetime(2026, 1, 2, 3, 4, 5)
GOOD = ("u1", "i1", "view", AT, 4.5)


def rewritten(content: bytes, part: str, old: bytes, new: bytes, **added: bytes) -> bytes:
    """A workbook with something else in one of its parts, and more parts in its folder."""
    file = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(content)) as book,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in book.namelist():
            data = book.read(name)
            if name == part:
                assert old in data
                data = data.replace(old, new)
            made.writestr(name, data)
        for name, data in added.items():
            made.writestr(f"xl/{name}.xml", data)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def with_cell(written: bytes, row: tuple[Any, ...] = ("u1", 7, "view", AT, 4.5)) -> bytes:
    """A workbook whose item's number is written so."""
    return rewritten(workbook([NAMES, row]), SHEET, b"<v>7</v>", written)


@pytest.mark.parametrize(
    ("written", "item", "warnings"),
    [
        pytest.param(b"<v>42</v>", "42", set(), id="a whole number"),
        pytest.param(b"<v>42.0</v>", "42", set(), id="a whole number with a point"),
        pytest.param(b"<v>1.5E2</v>", "150", set(), id="a small number with an exponent"),
        pytest.param(
            b"<v>12345678901234567</v>",
            "12345678901234567",
            {"long_number_identifier"},
            id="all digits of a long number",
        ),
        pytest.param(
            b"<v>1.23456789012345E+16</v>",
            "12345678901234500",
            {"long_number_identifier"},
            id="a long number with an exponent",
        ),
        pytest.param(b"<v>4.3499999999999996</v>", "4.35", {"typed_identifier"}, id="decimals"),
    ],
)
def test_numbers_keep_the_digits_of_the_file(
    tmp_path: Path, written: bytes, item: str, warnings: set[str]
) -> None:
    taken = take(tmp_path, with_cell(written))
    assert [row["item_id"] for row in taken.stored] == [item]
    assert set(taken.warnings) == warnings


def test_texts_are_not_taken_for_numbers(tmp_path: Path) -> None:
    texts = ["00123", "12345678901234567", "1E5", "TRUE", "=1+1 ", "2026-01-01"]
    rows = [(text, *GOOD[1:]) for text in texts]
    book = openpyxl.load_workbook(BytesIO(workbook([NAMES, *rows])))
    for cell in book.active["A"]:
        cell.data_type = "s"
    taken = take(tmp_path, saved(book))
    assert [row["user_id"] for row in taken.stored] == texts


def test_a_number_shown_with_leading_zeros_is_taken_as_shown_and_told(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(BytesIO(workbook([NAMES, ("u", 123, "view", AT, 1)])))
    book.active["B2"].number_format = "00000"
    taken = take(tmp_path, saved(book))
    assert taken.stored[0]["item_id"] == "00123"
    assert "leading zeros" in taken.warnings["typed_identifier"]


def test_an_id_that_became_a_date_is_told(tmp_path: Path) -> None:
    taken = take(tmp_path, workbook([NAMES, ("u", datetime(2026, 5, 1), "view", AT, 1)]))
    assert taken.stored[0]["item_id"] == "2026-05-01"
    assert "typed_identifier" in taken.warnings


@pytest.mark.parametrize("epoch", [None, CALENDAR_MAC_1904], ids=["1900", "1904"])
def test_dates_count_from_the_day_of_their_workbook(tmp_path: Path, epoch: Any) -> None:
    book = openpyxl.Workbook()
    if epoch is not None:
        book.epoch = epoch
    for row in (NAMES, GOOD):
        book.active.append(row)
    taken = take(tmp_path, saved(book))
    assert taken.stored[0]["event_time"] == AT.replace(tzinfo=UTC)


def test_a_formula_says_its_last_result_and_without_one_the_row_is_wrong(tmp_path: Path) -> None:
    row = ("u", "=1+1", "view", AT, 1)
    content = workbook([NAMES, row])
    assert take(tmp_path, content).errors == [("sheet 'Sheet', row 2", "item_id", "not_computed")]
    computed = (
        rewritten(content, SHEET, b"<v />", b"<v>2</v>")
        if b"<v />" in _part(content)
        else (rewritten(content, SHEET, b"<v></v>", b"<v>2</v>"))
    )
    assert take(tmp_path, computed).stored[0]["item_id"] == "2"


def _part(content: bytes, name: str = SHEET) -> bytes:
    with zipfile.ZipFile(BytesIO(content)) as book:
        return book.read(name)


def test_an_error_of_the_spreadsheet_is_told(tmp_path: Path) -> None:
    taken = take(tmp_path, with_cell(b"<v>#N/A</v>"))
    assert taken.stored[0]["item_id"] == "#N/A"
    assert "null_word" in taken.warnings


def test_positions_are_rows_of_the_sheet(tmp_path: Path) -> None:
    rows = [(), ("a title",), (), NAMES, GOOD, (), ("u", None, "stare", "soon", "x"), GOOD[:4]]
    taken = take(tmp_path, workbook(rows, "May '26"), SourceMapping(skip_lines=3))
    assert [row["source_ref"] for row in taken.stored] == [
        "sheet1:row:0000000005",
        "sheet1:row:0000000008",
    ]
    assert {place for place, *_ in taken.errors} == {'sheet "May \'26", row 7'}
    assert taken.kept[0]["source_ref"] == "sheet1:row:0000000007"


def test_a_header_below_a_title_is_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, workbook([("Events of May",), (), NAMES, GOOD]))
    assert raised.value.code == "missing_columns"
    assert "row 3 looks like the header" in raised.value.remedy
    assert "skip_lines: 2" in raised.value.remedy


def test_a_sheet_without_a_header_has_the_names_of_the_mapping(tmp_path: Path) -> None:
    mapping = SourceMapping(header="none", names=list(NAMES))
    taken = take(tmp_path, workbook([GOOD, GOOD]), mapping)
    assert [row["source_ref"][-2:] for row in taken.stored] == ["01"]


def test_the_only_sheet_with_the_columns_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    taken = take(tmp_path, workbook([("Notes",)], "Read me", Events=[NAMES, GOOD], Empty=[]))
    assert taken.report.reading is not None
    assert taken.report.reading.sheet == "Events"
    assert "'Read me', 'Empty'" in taken.warnings["other_sheets"]


def test_of_several_sheets_one_has_to_be_named(tmp_path: Path) -> None:
    content = workbook([NAMES, GOOD], "May", June=[NAMES, ("u2", *GOOD[1:])])
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == "several_sheets"
    assert "'May', 'June'" in raised.value.message
    for name in ("June", "june", "2"):
        assert take(tmp_path, content, sheet=name).stored[0]["user_id"] == "u2"
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content, sheet="July")
    assert raised.value.code == "unknown_sheet"


def test_a_hidden_sheet_is_read_only_when_it_is_named(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(BytesIO(workbook([NAMES, GOOD], "May", Old=[NAMES, GOOD])))
    book["Old"].sheet_state = "veryHidden"
    content = saved(book)
    taken = take(tmp_path, content)
    assert taken.report.reading is not None
    assert (taken.report.reading.sheet, "1 hidden" in taken.warnings["other_sheets"]) == (
        "May",
        True,
    )
    assert "is hidden" in take(tmp_path, content, sheet="Old").warnings["other_sheets"]


def test_merged_cells_are_told(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(BytesIO(workbook([NAMES, GOOD, (None, *GOOD[1:])])))
    book.active.merge_cells("A2:A3")
    taken = take(tmp_path, saved(book))
    assert "A2:A3" in taken.warnings["merged_cells"]
    assert taken.errors == [("sheet 'Sheet', row 3", "user_id", "missing_value")]


def test_values_under_no_name_are_told(tmp_path: Path) -> None:
    taken = take(tmp_path, workbook([NAMES, (*GOOD, None, "a note")]))
    assert "the first is 2" in taken.warnings["nameless_column"]
    assert "no rows" not in taken.warnings["nameless_column"]


def test_rows_that_have_values_under_no_name_alone_are_told(tmp_path: Path) -> None:
    beside = (*[None] * len(GOOD), "u2", "i2")
    taken = take(tmp_path, workbook([NAMES, beside, (*GOOD, "a note"), beside]))
    assert (len(taken.stored), taken.kept) == (1, [])
    assert "3 rows, the first is 2" in taken.warnings["nameless_column"]
    assert "2 of them have none elsewhere and are no rows" in taken.warnings["nameless_column"]


def test_a_column_that_is_read_may_come_once(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, workbook([(*NAMES, "user_id"), (*GOOD, "x")]))
    assert raised.value.code == "duplicate_header"


BOMBS = {
    "entities": (
        b"<?xml version='1.0'?><!DOCTYPE w [<!ENTITY a 'aaaaaaaaaa'>"
        b"<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><worksheet><sheetData><row r='1'>"
        b"<c r='A1' t='inlineStr'><is><t>&b;</t></is></c></row></sheetData></worksheet>"
    ),
    "depth": b"<a>" * 1_000 + b"</a>" * 1_000,
    "a tag that does not end": b"<worksheet a='" + b"x" * 20_000_000 + b"'/>",
    "a row beyond the grid": b"<worksheet><sheetData><row r='9999999'/></sheetData></worksheet>",
    "a row twice": b"<w><sheetData><row r='2'/><row r='2'/></sheetData></w>",
    "a cell beyond the grid": (
        b"<w><sheetData><row r='1'><c r='XFE1'><v>1</v></c></row></sheetData></w>"
    ),
    "no end": b"<worksheet><sheetData><row r='1'>",
    "a text that is not there": (
        b"<w><sheetData><row r='1'><c r='A1' t='s'><v>99</v></c></row></sheetData></w>"
    ),
}


def with_sheet(sheet: bytes) -> bytes:
    """A workbook with another sheet in the place of its own."""
    content = workbook([NAMES, GOOD])
    return rewritten(content, SHEET, _part(content), sheet)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_hostile_sheet_is_refused_in_little_memory(tmp_path: Path, bomb: bytes) -> None:
    content = with_sheet(bomb)
    tracemalloc.start()
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.code in ("damaged_file", "file_too_large")
    assert peak < 64 * 1024 * 1024 + len(bomb)


def test_a_cell_of_ten_megabytes_is_refused_with_its_place(tmp_path: Path) -> None:
    text = "".join(map(str, range(2_000_000)))[:10_000_000]
    head = "".join(f"<c t='inlineStr'><is><t>{name}</t></is></c>" for name in NAMES)
    sheet = f"<w><sheetData><row r='1'>{head}</row><row r='7'><c r='B7' t='str'><v>{text}</v></c>"
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, with_sheet(f"{sheet}</row></sheetData></w>".encode()))
    assert raised.value.code == "record_too_long"
    assert "'B' in row 7" in raised.value.message


def test_two_cells_far_apart_cost_nothing(tmp_path: Path) -> None:
    content = with_sheet(
        b"<w><sheetData><row r='1'><c r='A1'><v>1</v></c></row>"
        b"<row r='1048576'><c r='XFD1048576'><v>2</v></c></row></sheetData></w>"
    )
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == "missing_columns"


def test_a_sheet_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, with_sheet(b"<w>" + b" " * 40_000_000 + b"</w>"))
    assert raised.value.code == "file_too_large"


def test_a_shared_text_in_very_many_cells_is_refused(tmp_path: Path) -> None:
    strings = f"<sst><si><t>{'x' * 30_000}</t></si></sst>".encode()
    kind = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    related = b'<Relationship Id="s" Type="%s" Target="sharedStrings.xml"/></Relationships>' % kind
    content = rewritten(
        workbook([NAMES, GOOD]),
        "xl/_rels/workbook.xml.rels",
        b"</Relationships>",
        related,
        sharedStrings=strings,
    )
    head = "".join(f"<c t='inlineStr'><is><t>{name}</t></is></c>" for name in NAMES)
    row = b"<row>" + b"<c t='s'><v>0</v></c>" * 5 + b"</row>"
    sheet = f"<w><sheetData><row>{head}</row>".encode() + row * 5_000 + b"</sheetData></w>"
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, rewritten(content, SHEET, _part(content), sheet))
    assert raised.value.code == "file_too_large"
