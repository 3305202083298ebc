"""What the examples share: rows that training may know, the loop, rankings, what is written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from eta_data import DataError
from eta_examples import (
    DEPTH,
    Pairs,
    Task,
    appended,
    arguments,
    compacted,
    examples,
    fit,
    judge,
    newest,
    popularity,
    publish,
    report,
    told,
)
from tests.support.example_exports import ITEMS, TAKEN, USERS, write_home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_home(tmp_path)
    return tmp_path


def options_of(home: Path, *words: str) -> Any:
    out = ["--lake", str(home / "lake"), "--out", str(home / "figures"), "--batch", "64"]
    return arguments("about", epochs=3).parse_args([*out, *words])


def test_training_sees_the_positives_of_train_with_the_positives_before_them(home: Path) -> None:
    task = Task.open(options_of(home, "--history", "4"))
    rows = task.rows(["user_view_count"])
    assert len(rows["user_id"]) == USERS * (TAKEN - 2)
    assert task.train.have(rows["user_id"], rows["item_id"]).all()
    assert not task.test.have(rows["user_id"], rows["item_id"]).any()
    of_one = rows["user_id"] == rows["user_id"][0]
    items, history = rows["item_id"][of_one], rows["history"][of_one]
    assert rows["history_length"][of_one].tolist() == [0, 1, 2, 3, 4, 4]
    for number, past in enumerate(history):
        assert past[past > 0].tolist() == items[max(0, number - 4) : number].tolist()


def test_every_epoch_has_the_same_rows_in_another_order(home: Path) -> None:
    task = Task.open(options_of(home))

    def read(epoch: int) -> list[tuple[int, int]]:
        return [
            pair
            for batch in task.batches(epoch)
            for pair in zip(batch["user_id"].tolist(), batch["item_id"].tolist(), strict=True)
        ]

    first, again, second = read(0), read(0), read(1)
    assert first == again
    assert first != second
    assert sorted(first) == sorted(second)


def test_a_history_loses_what_is_not_kept_and_keeps_its_order() -> None:
    values = np.array([[5, 6, 7, 0], [8, 9, 0, 0]])
    keep = np.array([[True, False, True, False], [False, True, False, False]])
    found, lengths = compacted(values, keep, 3)
    assert (found.tolist(), lengths.tolist()) == ([[5, 7, 0], [9, 0, 0]], [2, 1])
    newest_alone, lengths = compacted(values, keep, 1)
    assert (newest_alone.tolist(), lengths.tolist()) == ([[7], [9]], [1, 1])


def test_padding_is_not_of_a_kind_that_nobody_has() -> None:
    batch = {
        "user_id": np.array([1]),
        "item_id": np.array([2]),
        "history_item_ids": np.array([[3, 4, 0]]),
        "history_interaction_types": np.array([[1, 2, 0]]),
    }
    # 0 is a positive type that does not occur in the data, and what stands behind a list
    (found,) = examples([batch], Pairs(np.array([1]), np.array([2])), np.array([0, 2]), 3)
    assert (found["history"].tolist(), found["history_length"].tolist()) == ([[4, 0, 0]], [1])


def test_what_a_user_had_last_ends_in_the_last_item() -> None:
    history = np.array([[1, 2, 3], [4, 0, 0], [0, 0, 0]])
    grown, lengths = appended(history, np.array([3, 1, 0]), np.array([7, 8, 9]))
    assert grown.tolist() == [[2, 3, 7], [4, 8, 0], [9, 0, 0]]
    assert lengths.tolist() == [3, 2, 1]
    assert newest(np.array([2, 0, 2]), np.array([5, 6, 7]), 4).tolist() == [6, 0, 7, 0]


def reference(scores: np.ndarray, wanted: Pairs, had: Pairs) -> tuple[float, float]:
    """The same measures, one user and one item at a time."""
    hits, gains = [], []
    for user in sorted({*wanted.users} & {*had.users} - {0}):
        owned = {int(i) for u, i in zip(had.users, had.items, strict=True) if u == user}
        goal = [int(i) for u, i in zip(wanted.users, wanted.items, strict=True) if u == user]
        offered = [i for i in range(1, scores.shape[1]) if i not in owned]
        best = sorted(offered, key=lambda i: (-scores[user, i], i))[:DEPTH]
        found = [1 / np.log2(place + 2) for place, item in enumerate(best) if item in goal]
        hits.append(bool(found))
        ideal = sum(1 / np.log2(place + 2) for place in range(min(len(goal), DEPTH)))
        gains.append(sum(found) / ideal)
    return float(np.mean(hits)), float(np.mean(gains))


@pytest.mark.parametrize("seed", range(5))
def test_a_ranking_is_judged_as_item_by_item(seed: int) -> None:
    random = np.random.default_rng(seed)

    def pairs(count: int, least: int) -> Pairs:
        drawn = np.unique(random.integers([0, least], [30, 40], (count, 2)), axis=0)
        return Pairs(drawn[:, 0], drawn[:, 1])

    had, wanted = pairs(200, 1), pairs(90, 0)
    scores = random.integers(0, 9, (30, 40)).astype(float)
    found = judge(lambda users: scores[users], wanted, had, at_once=7)
    hr, ndcg = reference(scores, wanted, had)
    assert (found.hr, found.ndcg) == pytest.approx((hr, ndcg))
    assert 0 < found.hr < 1


def test_a_perfect_ranking_has_ones_and_nobody_asked_is_an_error() -> None:
    wanted = Pairs(np.array([1, 1, 2]), np.array([3, 4, 5]))
    had = Pairs(np.array([1, 2]), np.array([9, 9]))
    scores = np.zeros((3, 20))
    scores[wanted.users, wanted.items] = 1
    found = judge(lambda users: scores[users], wanted, had)
    assert (found.hr, found.ndcg, found.users) == (1.0, 1.0, 2)
    with pytest.raises(DataError, match="nobody has both"):
        judge(lambda users: scores[users], wanted, Pairs(np.array([7]), np.array([9])))


def test_a_catalogue_that_is_short_finds_no_item_that_the_user_had() -> None:
    had = Pairs(np.array([1, 1]), np.array([1, 2]))
    again = Pairs(np.array([1]), np.array([1]))
    assert judge(lambda users: np.ones((len(users), 4)), again, had).hr == 0


class Transitions:
    """A model of NumPy: which item followed which, counted."""

    def __init__(self, task: Task) -> None:
        rows = task.rows()
        self.counts = np.zeros((task.size("item"), task.size("item")))
        self.last = newest(rows["user_id"], rows["item_id"], task.size("user"))
        self.kept = 0

    def step(self, batch: dict[str, Any]) -> float:
        has_past = batch["history_length"] > 0
        last = batch["history"][has_past, batch["history_length"][has_past] - 1]
        np.add.at(self.counts, (last, batch["item_id"][has_past]), 1)
        return 1.0

    def score(self, users: np.ndarray) -> np.ndarray:
        next_but_one = self.counts @ self.counts / (1 + self.counts.sum() ** 2)
        return (self.counts + next_but_one)[self.last[users]]

    def keep(self) -> None:
        self.kept += 1


def test_a_model_that_learns_what_follows_beats_popularity(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task.open(options_of(home))
    model = Transitions(task)
    curve = fit(task, model.step, model.score, model.keep)
    assert (len(curve), model.kept) == (3, 3)  # as good in each epoch as in the one before
    report(task, "transitions", curve, model.score)
    publish(task, np.arange(1, USERS + 1), np.ones((USERS, 4)), np.ones((ITEMS + 1, 4)))
    document = json.loads((home / "figures" / "transitions-acme.json").read_bytes())
    assert document["test"]["transitions"]["hr"] == 1.0
    assert document["test"]["popularity"]["hr"] < 1.0
    assert document["test"]["popularity"]["users"] == USERS
    assert (home / "figures" / "transitions-acme.png").read_bytes().startswith(b"\x89PNG")
    assert pq.read_table(home / "figures" / "items-acme.parquet").num_rows == ITEMS
    assert "popularity" in capsys.readouterr().out
    # nothing that is written names a user
    for file in (home / "figures").iterdir():
        assert b'"u7"' not in file.read_bytes()


def test_popularity_counts_train_alone(home: Path) -> None:
    task = Task.open(options_of(home))
    (scores,) = popularity(task)(np.array([1]))
    assert scores.sum() == USERS * (TAKEN - 2)


def test_a_loss_that_is_no_number_ends_the_training(home: Path) -> None:
    task = Task.open(options_of(home))
    model = Transitions(task)
    with pytest.raises(DataError, match="no number"):
        fit(task, lambda _: float("nan"), model.score, model.keep)


@pytest.mark.parametrize(
    ("gone", "command"),
    [
        ("lake/training_sets", "uv run eta prepare"),
        ("lake/evaluation_sets", "uv run eta evaluation make --tenant acme"),
        ("exports", "uv run eta export --tenant acme --features all --history 50"),
    ],
)
def test_what_is_missing_is_told_with_its_command(home: Path, gone: str, command: str) -> None:
    shutil.rmtree(home / gone)
    with pytest.raises(SystemExit) as ended:
        told(lambda: Task.open(options_of(home)))
    assert command in str(ended.value)
    assert "Traceback" not in str(ended.value)


def test_vectors_that_are_not_finite_are_written_nowhere(home: Path) -> None:
    task = Task.open(options_of(home))
    with pytest.raises(DataError, match="not finite"):
        publish(task, np.array([1]), np.array([[np.nan]]), np.ones((ITEMS + 1, 1)))
    assert not (home / "figures").exists()
