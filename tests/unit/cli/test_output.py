"""Rows for people and rows for programs."""

import sys
from datetime import UTC, datetime

import pytest

from lakehouse.cli.output import print_rows
from lakehouse.cli.upload import show_report

KEY = "0123456789abcdef" * 8


def test_a_program_gets_lines_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a\tb\nc", None, frozenset({"y", "x"}), datetime(2026, 1, 2, 3, 4, tzinfo=UTC))]
    print_rows(("name", "none", "set", "time"), rows)
    assert capsys.readouterr().out == (
        "name\tnone\tset\ttime\na b c\t-\tx,y\t2026-01-02 03:04:00Z\n"
    )


def test_a_person_gets_a_table_that_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    print_rows(("key", "name"), [(KEY, "[bold]x")])
    text = capsys.readouterr().out
    first_column = [line.split("│")[1].strip() for line in text.splitlines() if "│" in line]
    assert "".join(first_column) == KEY
    assert "[bold]x" in text


def test_rows_that_the_mapping_leaves_out_stand_in_the_line_of_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = {
        "status": "success",
        "dry_run": False,
        "rows_received": 40_000,
        "rows_accepted": 38_050,
        "duplicates": 0,
        "quarantined": 0,
        "skipped": 1_950,
        "warning_count": 0,
        "error_count": 0,
    }
    show_report("a.csv", report)
    show_report("b.csv", report | {"rows_received": 38_050, "skipped": 0})
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("0 in quarantine, 1,950 left out by the mapping (skip)")
    assert second.endswith("0 in quarantine")
