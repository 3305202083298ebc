"""What becomes of each Arrow type in NumPy."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from eta_data import DataError, Encoders, TrainingSet
from eta_data.arrays import ToNumpy
from tests.support.exported import rows_of, write_export

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def test_lists_become_padded_arrays_that_keep_the_newest() -> None:
    rows = batch(items=pa.array([["a", "b", "c"], None, [], ["d", None]]))
    found = ToNumpy()(rows)
    assert found["items"].tolist() == [
        ["a", "b", "c"], [None, None, None], [None, None, None], ["d", None, None],
    ]  # fmt: skip
    assert found["items_length"].tolist() == [3, 0, 0, 2]
    found = ToNumpy({"items": 2})(rows)
    assert found["items"].tolist() == [["b", "c"], [None, None], [None, None], ["d", None]]
    assert found["items_length"].tolist() == [2, 0, 0, 2]
    assert ToNumpy({"items": 5})(rows)["items"].shape == (4, 5)


def test_a_slice_of_lists_is_that_slice() -> None:
    rows = batch(items=pa.array([[1.5], [2.5, 3.5], [None], [4.5]])).slice(1, 2)
    found = ToNumpy()(rows)
    np.testing.assert_array_equal(found["items"], [[2.5, 3.5], [np.nan, 0]])
    times = batch(times=pa.array([[NOON], []], pa.list_(pa.timestamp("us", tz="UTC"))))
    padded = ToNumpy({"times": 2})(times)["times"]
    assert np.isnat(padded).tolist() == [[False, True], [True, True]]


def test_nulls_and_types() -> None:
    found = ToNumpy(fill={"count": 0, "flag": False})(
        batch(
            share=pa.array([0.5, None]),
            count=pa.array([3, None], pa.int32()),
            flag=pa.array([None, True]),
            name=pa.array([None, "x"]),
            price=pa.array([Decimal("1.25"), None]),
            time=pa.array([NOON, None], pa.timestamp("us", tz="UTC")),
        )
    )
    assert np.isnan(found["share"]).tolist() == [False, True]
    assert found["count"].dtype == np.int32
    assert found["count"].tolist() == [3, 0]
    assert found["flag"].tolist() == [False, True]
    assert found["name"].tolist() == [None, "x"]
    assert found["price"][0] == 1.25
    assert np.isnan(found["price"][1])
    assert found["time"][0] == np.datetime64("2026-05-01T12:00:00")
    assert np.isnat(found["time"][1])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        pytest.param(pa.array([1, None]), "has nulls", id="null among whole numbers"),
        pytest.param(pa.array([True, None]), "has nulls", id="null among booleans"),
        pytest.param(pa.array([[1, None]]), "has nulls", id="null within a list"),
        pytest.param(pa.array([{"a": 1}]), "is no array", id="struct"),
        pytest.param(
            pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())), "is no array", id="map"
        ),
        pytest.param(pa.array([[[1]]]), "is no array", id="list of lists"),
    ],
)
def test_what_numpy_cannot_hold_is_refused(column: pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        ToNumpy()(batch(x=column))
    assert "x" in caught.value.message


def test_histories_of_an_export_are_padded(tmp_path: Path) -> None:
    rows = rows_of(40)
    history = pa.array([[f"h{n}" for n in range(number % 7)] if number % 5 else None
                        for number in range(rows.num_rows)])  # fmt: skip
    rows = rows.append_column("item_ids", history)
    data = TrainingSet.open(write_export(tmp_path / "acme", rows), "acme")
    for found in data.numpy(10, columns=["row", "item_ids"], lengths={"item_ids": 4}):
        assert found["item_ids"].shape == (10, 4)
        for row, items, length in zip(*found.values(), strict=True):
            whole = history[int(row)].as_py() or []
            assert items.tolist()[:length] == whole[-4:]
            assert items.tolist()[length:] == [None] * (4 - length)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"lengths": {"item_ids": -2}}, "the length of item_ids is -2"),
        ({"lengths": {"item_ids": 1.5}}, "the length of item_ids is 1.5"),
        ({"lengths": {"item_idz": 2}}, "lengths names item_idz, which is not read"),
        ({"lengths": {"row": 2}}, "row is no list"),
        ({"lengths": 5}, "lengths is a int"),
        ({"fill": {"rows": 0}}, "fill names rows, which is not read"),
        ({"fill": {"user_id": "", "row": "x"}}, "user_id, which is not read"),
        ({"fill": {"row": "x"}}, "row is int64"),
        ({"fill": ["row"]}, "fill is a list"),
    ],
)
def test_widths_and_fills_are_checked_before_a_row_is_read(
    tmp_path: Path, kind: str, how: dict[str, Any], message: str
) -> None:
    rows = rows_of(20)
    rows = rows.append_column("item_ids", pa.array([["a"]] * rows.num_rows))
    data = TrainingSet.open(write_export(tmp_path / "acme", rows), "acme")
    with pytest.raises(DataError, match=message):
        getattr(data, kind)(10, columns=["row", "item_ids"], **how)


def test_what_is_filled_may_have_become_a_number(data: TrainingSet) -> None:
    encoders = Encoders.fit(data, {"user": "user_id"})
    loader = data.numpy(10, encoders=encoders, columns=["user_id"], fill={"user_id": 0})
    assert next(iter(loader))["user_id"].dtype == np.int32
    grouped = data.numpy(10, group=True, columns=["row"], fill={"group_number": 0, "row": 0})
    assert len(next(iter(grouped))["group_number"])
