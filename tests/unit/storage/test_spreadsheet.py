"""Cells that a spreadsheet program would run."""

import csv
import json
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.readers.quarantined import read_edited
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import OWN_COLUMNS
from lakehouse.storage.quarantine_export import export_rows
from lakehouse.storage.row_issues import RowIssueStore
from lakehouse.storage.spreadsheet import FORMULA, NUMBER, neutral, plain

EVIL = [
    *("=1+1", "+cmd|' /C calc'!A0", "-1+cmd|x", "@SUM(1)", "\t=1", "\r=1", "'=1", "-", "''+1"),
    *("\uff1d1+1", "\uff0b1", "\uff0dx", "\uff20SUM(1)", " =1", "\n=1", "\u00a0=1", "\ufeff=1"),
    *("\u200b\u3000 @A1", "\t", "\n1", " \uff1dHYPERLINK(1)", "\x00=1", "\u22121+1"),
]
_CELLS = st.text(st.sampled_from("=+-@\t\r'\"1.eE a,\n\uff1d\u00a0\u200b"), max_size=8)


@given(_CELLS)
def test_what_was_neutralised_is_read_back(cell: str) -> None:
    assert plain(neutral(cell)) == cell


@given(_CELLS)
def test_findings_and_exports_guard_the_same_cells(cell: str) -> None:
    is_formula = pl.col("cell").str.contains(FORMULA) & ~pl.col("cell").str.contains(NUMBER)
    by_polars = pl.DataFrame({"cell": [cell]}).select(is_formula).item()
    if not cell.startswith("'"):
        assert (neutral(cell) != cell) == by_polars


@pytest.mark.parametrize("cell", EVIL)
def test_formulas_begin_with_an_apostrophe(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-4.5", "+3", "-.5", "1e-5", "-1e9", "a=1", "", "it's", "'a"])
def test_numbers_and_texts_stay(cell: str) -> None:
    assert neutral(cell) == cell


def test_findings_name_columns_that_are_no_formulas(tmp_path: Path) -> None:
    store = RowIssueStore(Lake(LakeSettings(home=tmp_path)))
    writer = store.writer("acme", "20260501T000000000000-a")
    rows = {
        "line": [1, 2],
        "column": ["=cmd()", "-4"],
        "code": ["a", "b"],
        "reason": ["@x", "r"],
        "place": ["line 1", "=A1"],
    }
    writer.write("errors", pl.DataFrame(rows))
    writer.finish()
    text = b"".join(store.csv("acme", "20260501T000000000000-a", "errors")).decode()
    assert list(csv.reader(StringIO(text)))[1:] == [
        ["1", "'=cmd()", "a", "'@x", "line 1"],
        ["2", "-4", "b", "r", "'=A1"],
    ]


def test_an_export_of_formulas_comes_back_as_it_was(tmp_path: Path) -> None:
    evil = [cell for cell in EVIL if "\r" not in cell]
    record = StringIO()
    csv.writer(record, lineterminator="", quoting=csv.QUOTE_ALL).writerow(evil)
    columns = [f"={n}" for n in range(len(evil))]
    layout = {"format": "csv", "columns": columns}
    rows = pl.DataFrame(
        {
            "batch_id": ["b"],
            "source_ref": ["line:0000000002"],
            "reasons": [[{"code": "c", "field": "f", "message": "m"}]],
            "raw": [record.getvalue().encode()],
            "layout": [json.dumps(layout)],
        }
    )
    target = tmp_path / "bad.csv"
    export_rows([rows], target)
    cells = list(csv.reader(StringIO(target.read_bytes().decode(), newline="")))
    assert all(neutral(cell[1:]) != cell[1:] for cell in cells[1][len(OWN_COLUMNS) :])
    edited = read_edited(target)
    assert edited.columns == tuple(columns)
    assert list(edited.values.values()) == [tuple(evil)]
    assert cells[0][: len(OWN_COLUMNS)] == list(OWN_COLUMNS)
