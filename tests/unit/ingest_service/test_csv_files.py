"""Random CSV files, valid and damaged; `python -m benchmarks.csv_files` is the long form."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.csv_files.__main__ import measure_damaged, measure_valid
from benchmarks.csv_files.damaging import KINDS, damage, damaged
from benchmarks.csv_files.writing import table, whole_records


def test_valid_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = measure_valid(tmp_path / "rows.csv", 150, seed=8)
    assert (found["files"], found["different"]) == (150, 0)


def test_damaged_files_give_no_row_that_they_do_not_hold(tmp_path: Path) -> None:
    found = measure_damaged(tmp_path / "rows.csv", 300, seed=8)
    assert found["rows_wrong"] == 0
    assert found["rows_read"] > 0.8 * found["rows_written"]
    assert found["rows_set_aside"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_done(kind: str) -> None:
    random = Random(3)
    written = table(random, most_rows=10)
    record = f'x{written.style.delimiter}"y"{written.style.line_end}'
    assert damage(kind, record, written.style, random) != record


def test_rows_that_a_damaged_file_holds_are_known() -> None:
    written = table(Random(5))
    assert list(whole_records("".join(written.records), written.style))[1:] == list(written.rows)
    text, rows, kinds = damaged(Random(6), written)
    assert (text != "".join(written.records), len(kinds) > 0) == (True, True)
    assert not set(written.rows) - set(rows)
