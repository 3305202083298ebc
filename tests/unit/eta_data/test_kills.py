"""A program that is killed while it reads goes on with the row behind the last it wrote."""

import json
import os
from pathlib import Path

import pytest

from eta_data import TrainingSet
from tests.support.exported import rows_of, write_export
from tests.support.loader_kills import EPOCHS, killed, whole_lines

KILLS = int(os.environ.get("ETA_TEST_LOADER_KILLS", "8"))


@pytest.mark.timeout(900 + 5 * KILLS)
def test_no_row_is_repeated_or_lost(tmp_path: Path) -> None:
    # each program opens all files: so many of them that a window spans several, and no more
    folder = write_export(
        tmp_path / "acme", rows_of(60 + 6 * KILLS), file_rows=100 + KILLS, group_rows=40
    )
    done = killed(folder, tmp_path / "journal", KILLS, seed=1)
    assert done >= KILLS - 1 - KILLS // 10  # one may have read all before it was killed
    lines = map(json.loads, whole_lines(tmp_path / "journal"))
    data = TrainingSet.open(folder, "acme")
    loader = data.arrow(4, window_rows=100, streams=3, columns=["row"])
    expected = [batch.column("row").to_pylist() for _ in range(EPOCHS) for batch in loader]
    assert [line["rows"] for line in lines] == expected
