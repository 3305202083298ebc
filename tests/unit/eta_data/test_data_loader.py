"""Worker processes as torch has them: the order of the loader, and the state of what was handed."""

import shutil
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eta_data import DamagedError, DataError, Encoders, TrainingSet, data_loader
from tests.support import torch_stand_in

HOW: dict[str, Any] = {"columns": ["row", "label"], "window_rows": 60, "streams": 4}


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_stand_in.module())


def rows(batch: dict[str, Any]) -> Any:
    return batch["row"].array.tolist()


@pytest.mark.parametrize("ranks", [1, 2])
def test_workers_keep_the_order(data: TrainingSet, ranks: int) -> None:
    single = [batch["row"].tolist() for batch in data.numpy(10, **HOW)]
    taken = []
    for rank in range(ranks):
        loader = data_loader(data.torch(10, **HOW, rank=rank, ranks=ranks), workers=4)
        expected = len(loader)
        taken.append([rows(batch) for batch in loader])
        assert len(taken[-1]) == expected
    found = list(chain.from_iterable(zip(*taken, strict=True)))
    assert found == single[: len(found)]


def test_the_state_is_what_was_handed_out_not_what_was_read_ahead(data: TrainingSet) -> None:
    single = [batch["row"].tolist() for batch in data.numpy(10, **HOW)]
    loader = data_loader(data.torch(10, **HOW), workers=2)
    reading: Any = iter(loader)
    found = [rows(next(reading)) for _ in range(5)]
    state = loader.state_dict()
    reading.close()
    other = data_loader(data.torch(10, **HOW), workers=3)
    other.load_state_dict(state)
    found += [rows(batch) for batch in other]
    assert found == single
    assert other.state_dict()["epoch"] == 1
    other.set_epoch(0)
    assert rows(next(iter(other))) == single[0]


def test_tensors_are_numbers(data: TrainingSet) -> None:
    columns = ["event_time", "label", "user_id", "draw_index"]
    encoders = Encoders.fit(data, {"user": "user_id"})
    batch = next(iter(data.torch(10, columns=columns, encoders=encoders)))
    assert {name: tensor.array.dtype for name, tensor in batch.items()} == {
        "event_time": np.int64, "label": np.float64, "user_id": np.int32, "draw_index": np.int32,
    }  # fmt: skip
    assert str(batch["event_time"].array[0].astype("datetime64[us]")) > "2026-05-01T11"
    with pytest.raises(DataError, match="user_id is no column of numbers"):
        next(iter(data.torch(10, columns=columns)))


def test_an_error_of_a_worker_reaches_the_program(export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(export, tmp_path / "copy"))
    loader = TrainingSet.open(folder, "acme").torch(10, **HOW)
    shutil.rmtree(folder)
    with pytest.raises(DamagedError, match="is gone") as caught:
        list(data_loader(loader, workers=2))
    assert caught.value.remedy


def test_what_is_decided_here_cannot_be_given(data: TrainingSet) -> None:
    with pytest.raises(DataError, match=r"batch_size, shuffle of torch's DataLoader"):
        data_loader(data.torch(10), workers=1, shuffle=True, batch_size=4)
    with pytest.raises(DataError, match="workers is -1"):
        data_loader(data.torch(10), workers=-1)
