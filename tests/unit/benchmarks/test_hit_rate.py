"""The protocol of NCF and the factorisation, each against what it is by definition."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.training.hit_rate import (
    NEGATIVES,
    Numbers,
    Ratings,
    both,
    compare,
    document,
    drawn,
    from_recbole,
    judged,
)
from benchmarks.training.ials import Hyperparameters, Pairs, factorise
from benchmarks.training.ratings import settings_of, write_made_up
from lakehouse.contracts.tenant import TenantSettings

HOW = Hyperparameters(factors=8, unobserved=0.2, regularisation=0.01, sweeps=6)


def pairs(users: int, items: int, each: int, seed: int = 1) -> Pairs:
    random = np.random.default_rng(seed)
    rows = [random.choice(items, each, replace=False) for _ in range(users)]
    return Pairs(np.repeat(np.arange(users), each), np.concatenate(rows))


def objective(known: Pairs, people: np.ndarray, films: np.ndarray) -> float:
    """What the factorisation minimises, over the dense matrix."""
    met = np.zeros((len(people), len(films)))
    met[known.users, known.items] = 1
    scores = people.astype(np.float64) @ films.T
    fitted = (met * (1 - scores) ** 2).sum() + HOW.unobserved * (scores**2).sum()
    of_people = met.sum(axis=1) + HOW.unobserved * len(films)
    of_films = met.sum(axis=0) + HOW.unobserved * len(people)
    norms = of_people @ (people**2).sum(axis=1) + of_films @ (films**2).sum(axis=1)
    return float(fitted + HOW.regularisation * norms)


def test_no_other_vectors_of_items_are_better_while_those_of_users_stay() -> None:
    known = pairs(50, 30, 6)
    people, films = factorise(known, 50, 30, HOW, seed=1)
    best = objective(known, people, films)
    random = np.random.default_rng(2)
    for _ in range(20):
        step = random.normal(0, 0.02, films.shape)
        before, behind = (objective(known, people, films + move) - best for move in (step, -step))
        assert before > 0
        assert behind == pytest.approx(before, rel=0.01)  # the least of a parabola


def test_negatives_are_99_different_items_that_the_user_never_rated() -> None:
    everything = pairs(12, 150, 30)
    wanted = Pairs(everything.users[::30], everything.items[::30])
    ids = [pl.Series([f"{n:03}" for n in range(count)]) for count in (12, 150)]
    draw = drawn(Numbers(*ids), wanted, everything, seed=1)
    assert draw.shape == (12, NEGATIVES)
    for user, row in zip(wanted.users, draw, strict=True):
        assert np.unique(row).size == NEGATIVES
        assert not {*row.tolist()} & {*everything.items[everything.users == user].tolist()}
    assert (draw == drawn(Numbers(*ids), wanted, everything, seed=1)).all()
    assert (draw != drawn(Numbers(*ids), wanted, everything, seed=2)).any()


def test_a_rank_counts_what_stands_before_it() -> None:
    random = np.random.default_rng(3)
    films = random.normal(size=(200, 4)).astype(np.float32)
    people = random.normal(size=(9, 4)).astype(np.float32)
    wanted = Pairs(np.arange(9), np.full(9, 7))
    # what a user had is what would stand first
    best = np.argsort(-people @ films.T, axis=1)[:, :60]
    known = Pairs(np.repeat(np.arange(9), 60), best.ravel())
    known = Pairs(known.users[known.items != 7], known.items[known.items != 7])
    draw = np.stack([random.choice(np.arange(8, 200), NEGATIVES, replace=False) for _ in range(9)])
    places, everywhere = [], []
    for user in range(9):
        scores = films @ people[user]
        places.append(sum(scores[item] >= scores[7] for item in draw[user]))
        free = {*range(200)} - {7, *known.items[known.users == user].tolist()}
        everywhere.append(sum(scores[item] >= scores[7] for item in free))
    found = judged(people, films, wanted, known, draw)
    assert found["hr"] == pytest.approx(np.mean([place < 10 for place in places]), abs=1e-4)
    gains = [1 / np.log2(place + 2) if place < 10 else 0 for place in places]
    assert found["ndcg"] == pytest.approx(np.mean(gains), abs=1e-4)
    assert found["hr_of_all_items"] == pytest.approx(
        np.mean([place < 10 for place in everywhere]), abs=1e-4
    )


def test_equal_scores_find_nothing() -> None:
    ones = np.ones((3, 1), np.float32), np.ones((200, 1), np.float32)
    wanted = Pairs(np.arange(3), np.arange(3))
    draw = np.tile(np.arange(50, 50 + NEGATIVES), (3, 1))
    assert judged(*ones, wanted, Pairs(np.arange(3), np.arange(3) + 10), draw)["hr"] == 0


def test_the_export_less_what_is_left_out_is_trained_on(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\tlabel:float\ttimestamp:float\n"
    parts = {
        "recbole/movies/movies.inter": ["u1\ti1\t1.0", "u1\ti9\t0.0", "u1\ti2\t1.0", "u1\ti3\t1.0"],
        "divided/movies/movies.valid.inter": ["u1\ti2\t1.0"],
        "divided/movies/movies.test.inter": ["u1\ti3\t1.0"],
    }
    for name, lines in parts.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(header + "".join(f"{line}\t1.000000\n" for line in lines))
    found = from_recbole(tmp_path)
    read = [part.rows() for part in (found.train, found.validation, found.test)]
    assert read == [[("u1", "i1")], [("u1", "i2")], [("u1", "i3")]]


def test_made_up_people_have_tastes_that_a_factorisation_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.hit_rate.CHOICES", (HOW,))
    file = tmp_path / "ratings.dat"
    write_made_up(file, users=300, items=400, ratings=15_000)
    lines = [line.split("::") for line in file.read_text().splitlines()]
    rows = pl.DataFrame([line[:2] for line in lines], ["user_id", "item_id"], orient="row")
    assert rows.is_unique().all()
    assert rows["user_id"].n_unique() == 300
    last = pl.int_range(pl.len(), dtype=pl.Int64).reverse().over("user_id")
    split = [rows.filter(last > 1), rows.filter(last == 1), rows.filter(last == 0)]
    shuffled = [part.sample(fraction=1, shuffle=True, seed=1) for part in split]
    found = compare({"one": Ratings(*split), "other": Ratings(*shuffled)}, seeds=1)
    assert found["same_pairs"]
    assert found["one"] == found["other"]
    assert found["one"][0]["hr"] > found["popularity"][0]["hr"]
    fewer = Ratings(split[0].head(-1), *split[1:])
    assert not compare({"one": Ratings(*split), "other": fewer}, seeds=1)["same_pairs"]


def test_the_page_says_what_was_run_and_that_a_made_up_file_is_none_of_films() -> None:
    seeds = [{"hr": rate, "ndcg": 0.3, "hr_of_all_items": 0.1} for rate in (0.5, 0.7)]
    found = {
        "users": 3, "items": 4, "ratings": 5, "same_pairs": False, "popularity": seeds,
        "recbole": seeds, "loader": seeds,
        "chosen": {"factors": 8, "sweeps": 6, "unobserved": 0.1, "regularisation": 0.01,
                   "validation_hr_at_10": 0.6},
    }  # fmt: skip
    made = document(found, "--made-up --share 0.2", is_made_up=True)
    assert made["command"].endswith("hit_rate --made-up --share 0.2")
    assert "The file is made up" in made["note"]
    assert "Both ways read the same pairs: no." in made["note"]
    assert [row[1] for row in made["rows"]] == ["0.6000 (0.5000 to 0.7000)"] * 3
    real = document(found, "ml-100k.inter", is_made_up=False)
    assert "made up" not in real["note"]


@pytest.mark.parametrize(
    "line", ["1::1193::5::978300760", "196\t242\t3\t881250949", "user_id:token\titem_id:token"]
)
def test_a_layout_is_told_by_its_first_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "ratings"
    file.write_text(f"{line}\n")
    found = TenantSettings.model_validate(settings_of(file)).sources["default"]
    assert found.delimiter == ("::" if "::" in line else "\t")
    assert {*found.values["interaction_type"].values()} == {"like"}


def test_both_parts_are_one() -> None:
    one = both(Pairs(np.array([1]), np.array([2])), Pairs(np.array([3]), np.array([4])))
    assert (one.users.tolist(), one.items.tolist()) == ([1, 3], [2, 4])
