"""Arrow and NumPy over the same memory, and no pandas, which is installed here."""

import subprocess
import sys
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from eta_data.memory import repeated, scalar, to_arrow, to_numpy
from tests.support.exported import rows_of, write_export

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
READ = """
import sys
from eta_data import Encoders, TrainingSet
data = TrainingSet.open(sys.argv[1], "acme")
columns = ["user_id", "event_time", "label"]
encoders = Encoders.fit(data, {"user": "user_id"})
assert sum(batch.num_rows for batch in data.arrow(50)) == 600
read = data.numpy(50, columns=columns, encoders=encoders)
assert sum(len(batch["user_id"]) for batch in read) == 600
assert "pandas" not in sys.modules
"""


def test_reading_numbers_and_codes_imports_no_pandas(export: Path) -> None:
    assert find_spec("pandas"), "nothing would be shown"
    subprocess.run([sys.executable, "-c", READ, str(export)], check=True, timeout=60)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3], pa.int8()),
        pa.array([1, 2, 3], pa.uint64()),
        pa.array([0.5, 2, 3], pa.float32()),
        pa.array([True, False, True] * 9),
        pa.array([NOON] * 3, pa.timestamp("us", tz="UTC")),
        pa.array([NOON] * 3, pa.timestamp("ms")),
        pa.array([1, None, 3], pa.int32()),
        pa.array([True, None]),
        pa.array(["a", None, "c"]),
        pa.array([date(2026, 5, 1)] * 3),
        pa.array([], pa.int32()),
    ],
    ids=lambda column: f"{column.type}, {column.null_count} nulls of {len(column)}",
)
def test_a_column_is_what_pyarrow_makes_of_it(column: pa.Array) -> None:
    for part in (column, column.slice(1), column.slice(1, 1), pa.chunked_array([column, column])):
        expected = part.to_numpy() if isinstance(part, pa.ChunkedArray) else part.to_numpy(False)
        found = to_numpy(part)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["bool", "int32", "uint8", "float32", "float64"])
def test_numbers_become_a_column(kind: str) -> None:
    values = np.arange(19).astype(kind)
    for part in (values, values[3:], values[::2], values[:0]):
        assert to_arrow(part).equals(pa.array(part))


@pytest.mark.parametrize(
    ("value", "kind"),
    [("ü|3", pa.string()), ("", pa.string()), (None, pa.string()), (1.0, pa.float64()),
     (7, pa.int32()), (True, pa.bool_()), (date(2026, 5, 1), pa.date32())],
)  # fmt: skip
def test_a_value_is_repeated(value: Any, kind: pa.DataType) -> None:
    assert repeated(value, kind, 3).equals(pa.array([value] * 3, kind))
    assert scalar(value, kind) == pa.scalar(value, kind)


def test_row_groups_of_any_size_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes at a time and all at once: the same order."""
    from eta_data import TrainingSet, source

    folder = write_export(tmp_path / "acme", rows_of(200), group_rows=300, file_rows=700)
    data = TrainingSet.open(folder, "acme")
    found = []
    for first, size in ((3, 100), (50, 1_000), (9_999, 1 << 24)):
        monkeypatch.setattr(source, "FIRST_ROWS", first)
        monkeypatch.setattr(source, "PIECE_BYTES", size)
        found.append([batch.to_pylist() for batch in data.arrow(50, window_rows=100, streams=3)])
    assert found[0] == found[1] == found[2]
