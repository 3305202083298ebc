"""One order for any number of ranks and workers, equal shards, resumed to the row."""

import json
import logging
import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eta_data import DataError, Loader, OtherDataError, TrainingSet
from tests.support.examples import examples
from tests.support.exported import rows_of, write_export

SMALL: Any = {"window_rows": 60, "streams": 3, "columns": ["row"]}
STOPS = 1_000


def rows(batch: Any) -> Any:
    return batch.column("row").to_pylist()


def by_workers(loader: Loader[Any], workers: int) -> Iterator[list[int]]:
    """A rank's batches as torch takes them from workers, in turn."""
    shares = [loader.share(worker, workers) for worker in range(workers)]
    for step in range(len(loader)):
        yield rows(next(shares[step % workers]))


def global_order(data: TrainingSet, ranks: int, workers: int, **how: Any) -> list[list[int]]:
    """The batches of all ranks, step by step."""
    loaders = [data.arrow(10, **{**SMALL, **how}, rank=r, ranks=ranks) for r in range(ranks)]
    taken = [list(by_workers(loader, workers)) if workers else list(map(rows, loader))
             for loader in loaders]  # fmt: skip
    return list(chain.from_iterable(zip(*taken, strict=True)))


@pytest.mark.parametrize("group", [False, True], ids=["rows", "groups"])
def test_the_order_is_the_same_for_any_ranks_and_workers(data: TrainingSet, group: bool) -> None:
    single = global_order(data, 1, 0, group=group)
    for ranks in (1, 2, 8):
        for workers in (0, 4):
            found = global_order(data, ranks, workers, group=group)
            assert found == single[: len(found)], (ranks, workers)
            assert len(single) - len(found) < ranks


@given(
    positives=st.integers(1, 40),
    batch_size=st.integers(1, 30),
    window=st.integers(1, 90),
    streams=st.integers(1, 5),
    ranks=st.integers(1, 5),
    seed=st.integers(0, 2**63 - 1),
    group=st.booleans(),
)
@settings(max_examples=examples(60), deadline=None)
def test_each_row_comes_once_in_an_epoch(
    tmp_path_factory: pytest.TempPathFactory,
    positives: int,
    batch_size: int,
    window: int,
    streams: int,
    ranks: int,
    seed: int,
    group: bool,
) -> None:
    table = rows_of(positives, negatives=seed % 4)
    folder = write_export(tmp_path_factory.mktemp("x") / "acme", table, group_rows=7, file_rows=31)
    data = TrainingSet.open(folder, "acme")
    how: Any = {"window_rows": window, "streams": streams, "seed": seed, "group": group}
    loaders = [
        data.arrow(batch_size, **how, rank=rank, ranks=ranks, remainder="keep", columns=["row"])
        for rank in range(ranks)
    ]
    found = [number for loader in loaders for batch in loader for number in rows(batch)]
    assert sorted(found) == list(range(table.num_rows))


def test_rows_are_what_the_files_say(data: TrainingSet) -> None:
    expected = {row["row"]: row for row in rows_of(120).to_pylist()}
    found = [row for batch in data.arrow(7, **{**SMALL, "columns": None}, remainder="keep")
             for row in batch.to_pylist()]  # fmt: skip
    assert len(found) == len(expected)
    assert all(row == expected[row["row"]] for row in found)


def test_epochs_and_seeds_have_orders_of_their_own(data: TrainingSet) -> None:
    loader = data.arrow(10, **SMALL)
    first, second = ([rows(b) for b in loader] for _ in range(2))
    other = [rows(b) for b in data.arrow(10, **SMALL, seed=1)]
    assert first != second
    assert first != other
    loader.set_epoch(0)
    assert [rows(b) for b in loader] == first


def test_a_batch_has_the_labels_in_their_proportion_and_rows_of_everywhere(
    data: TrainingSet,
) -> None:
    loader = data.arrow(60, columns=["label", "row"], window_rows=120, streams=2)
    for batch in loader:
        assert 4 <= sum(batch.column("label").to_pylist()) <= 21
        assert max(rows(batch)) - min(rows(batch)) > 150


def test_a_thousand_stops_repeat_and_lose_no_row(data: TrainingSet) -> None:
    expected = [list(chain(*map(rows, loader))) for loader in [data.arrow(3, **SMALL)]
                for _ in range(3)]  # fmt: skip
    chance = random.Random(4)
    found: list[list[int]] = [[]]
    state = json.dumps(data.arrow(3, **SMALL).state_dict())
    stops = 0
    while stops < STOPS:
        loader = data.arrow(3, **SMALL)
        loader.load_state_dict(json.loads(state))
        reading = iter(loader)
        for _ in range(chance.randrange(3)):
            batch = next(reading, None)
            if batch is None:
                found.append([])
                break
            found[-1] += rows(batch)
        state = json.dumps(loader.state_dict())
        stops += 1
    assert len(found) > 3
    assert found[:3] == expected[:3]
    again = data.arrow(3, **SMALL)
    again.set_epoch(len(found) - 1)
    whole = list(chain(*map(rows, again)))
    assert found[-1] == whole[: len(found[-1])]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4), st.integers(1, 5)), max_size=6))
@settings(max_examples=examples(30), deadline=None)
def test_a_run_goes_on_with_other_ranks_and_workers(
    data: TrainingSet, parts: list[tuple[int, int, int]]
) -> None:
    single = list(map(rows, data.arrow(10, **SMALL)))
    found: list[list[int]] = []
    state = data.arrow(10, **SMALL).state_dict()
    for ranks, workers, steps in parts:
        taken: list[list[list[int]]] = []
        states = []
        for rank in range(ranks):
            loader = data.arrow(10, **SMALL, rank=rank, ranks=ranks)
            loader.load_state_dict(state)
            reading = by_workers(loader, workers) if workers else map(rows, loader)
            few = min(steps, len(loader))
            taken.append([next(reading) for _ in range(few)])
            if workers:
                for _ in range(few):
                    loader.advance()
            states.append(loader.state_dict())
        assert all(one == states[0] for one in states)
        state = states[0]
        found += chain.from_iterable(zip(*taken, strict=True))
    assert found == single[: len(found)]


def test_resuming_reads_one_window_per_stream_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eta_data.source import Reader

    folder = write_export(tmp_path / "acme", rows_of(2_000), group_rows=100, file_rows=1_000)
    loader = TrainingSet.open(folder, "acme").arrow(10, window_rows=100, streams=4, columns=["row"])
    whole = [rows(batch) for batch in loader]
    loader.set_epoch(0)
    state = loader.state_dict() | {"next_batch": 500}
    read = 0
    decoded = Reader._decoded

    def counted(self: Reader, *arguments: Any) -> Iterator[Any]:
        nonlocal read
        for piece in decoded(self, *arguments):
            read += piece.num_rows
            yield piece

    monkeypatch.setattr(Reader, "_decoded", counted)
    loader.load_state_dict(state)
    reading = iter(loader)
    assert [rows(next(reading)) for _ in range(4)] == whole[500:504]
    # 4 streams, 2 labels, a window of 100 rows that may lie in two row groups each
    assert read <= 4 * 2 * 2 * 100


def test_padding_gives_rows_of_the_start_again_and_says_so(
    data: TrainingSet, caplog: pytest.LogCaptureFixture
) -> None:
    single = list(chain(*map(rows, data.arrow(10, **SMALL, remainder="keep"))))
    loaders = [data.arrow(10, **SMALL, rank=r, ranks=8, remainder="pad") for r in range(8)]
    caplog.set_level(logging.WARNING, "eta_data")
    taken = [[rows(batch) for batch in loader] for loader in loaders]
    found = list(chain(*chain.from_iterable(zip(*taken, strict=True))))
    assert {len(batch) for batch in chain(*taken)} == {10}
    assert found[: len(single)] == single
    repeated = len(found) - len(single)
    assert f"gives {repeated} again of 612 rows" in caplog.text
    assert found[len(single) : len(single) + 8] == single[:8]


def test_padding_fills_groups_and_numbers_them_on(data: TrainingSet) -> None:
    loader = data.arrow(50, group=True, remainder="pad", window_rows=60, streams=3)
    for batch in loader:
        numbers = batch.column("group_number").to_pylist()
        assert sorted(set(numbers)) == list(range(50))
        assert numbers == sorted(numbers)


def test_one_row_is_left_out_or_padded_but_never_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = TrainingSet.open(write_export(tmp_path / "a", rows_of(1, 0).slice(0, 1)), "acme")
    assert [b.num_rows for b in data.arrow(4)] == []
    assert "leaves out 1 of 1 rows" in caplog.text
    assert [b.num_rows for b in data.arrow(4, remainder="keep")] == [1]
    padded = [data.arrow(4, remainder="pad", rank=r, ranks=3, columns=["row"]) for r in range(3)]
    assert [rows(batch) for loader in padded for batch in loader] == [[0] * 4] * 3


def test_a_state_of_other_data_or_another_order_is_refused(
    data: TrainingSet, tmp_path: Path
) -> None:
    state = data.arrow(10, **SMALL).state_dict()
    assert json.loads(json.dumps(state)) == state
    other = TrainingSet.open(write_export(tmp_path / "o", rows_of(121)), "acme")
    with pytest.raises(OtherDataError, match="other files"):
        other.arrow(10, **SMALL).load_state_dict(state)
    with pytest.raises(OtherDataError, match="batch_size 10, seed 0"):
        data.arrow(11, **SMALL, seed=3).load_state_dict(state)
    for wrong in ({}, {"format": 2}, {"next_batch": -1}, {"epoch": "0"}, {"next_batch": True}):
        with pytest.raises(DataError, match="no state"):
            data.arrow(10, **SMALL).load_state_dict({**state, **wrong} if wrong else {})


def test_the_same_rows_in_other_files_are_other_data(tmp_path: Path) -> None:
    one = TrainingSet.open(write_export(tmp_path / "a", rows_of(50), group_rows=40), "acme")
    two = TrainingSet.open(write_export(tmp_path / "b", rows_of(50), group_rows=50), "acme")
    with pytest.raises(OtherDataError):
        two.arrow(10).load_state_dict(one.arrow(10).state_dict())


def test_columns_are_chosen_by_name_and_missing_ones_named(data: TrainingSet) -> None:
    batch = next(iter(data.arrow(10, columns=["label", "user_id"])))
    assert batch.schema.names == ["label", "user_id"]
    with pytest.raises(DataError, match="no column price") as caught:
        data.arrow(10, columns=["price"])
    assert "user_id" in caught.value.remedy
    with pytest.raises(DataError, match="no column is asked for"):
        data.arrow(10, columns=[])
    assert next(iter(data.arrow(10, columns=["label"]))).num_rows == 10


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "10"}, "batch_size is '10'"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"streams": 1.5}, "streams is 1.5"),
        ({"window_rows": None}, "window_rows is None"),
        ({"rank": 0.5}, "rank is 0.5"),
        ({"ranks": "2"}, "ranks is '2'"),
        ({"columns": "label"}, "one text, not a list"),
        ({"columns": [1]}, "no column 1"),
        ({"encoders": {}}, "encoders is a dict"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    data: TrainingSet, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        data.arrow(**how)
    with pytest.raises(DataError, match=r"epoch is 1\.5"):
        data.arrow().set_epoch(1.5)  # type: ignore[arg-type]


def test_memory_is_bounded_within_a_large_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row group is read in pieces: a window keeps its rows alone, whatever the group's size."""
    monkeypatch.setattr("eta_data.source.FIRST_ROWS", 64)
    monkeypatch.setattr("eta_data.source.PIECE_BYTES", 64 * 8)
    folder = write_export(tmp_path / "acme", rows_of(400), group_rows=10_000, file_rows=10_000)
    data = TrainingSet.open(folder, "acme")
    found = [rows(b) for b in data.arrow(10, **SMALL, remainder="keep")]
    assert sorted(chain(*found)) == list(range(len(data)))
    file = next(folder.rglob("label=0.0/*.parquet"))
    assert pq.ParquetFile(file).num_row_groups == 1
