"""`python -m benchmarks.training.hit_rate --ratings FILE`: ratings through eta to a model, as NCF.

He et al., "Neural collaborative filtering", 2017: every rating is a positive, each user's last one
is left out and ranked among 99 items that the user never rated. The file goes through `eta run`;
each user's last positive is that of an evaluation snapshot that leaves one out. One matrix
factorisation learns from the RecBole export of the training set, less what is left out, and one
from the loader, which reads the snapshot's train and validation in the lake.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from benchmarks.training.ials import Floats, Hyperparameters, Ints, Pairs, factorise
from benchmarks.training.ratings import TENANT, settings_of, write_made_up
from eta_data import TrainingSet

RESULTS: Final = Path(__file__).parents[1] / "results"
NEGATIVES: Final = 99
DEPTH: Final = 10
CHOICES: Final = tuple(
    Hyperparameters(unobserved=unobserved, regularisation=regularisation)
    for unobserved in (0.1, 0.3, 1.0)
    for regularisation in (0.001, 0.003, 0.01)
)
Frame = pl.DataFrame


@dataclass(frozen=True, slots=True)
class Ratings:
    """Positive pairs from one source, `user_id` and `item_id`, without the test's."""

    train: Frame
    validation: Frame
    test: Frame


def main() -> None:
    """Run the benchmark and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="the same as --ratings FILE")
    parser.add_argument(
        "--ratings", type=Path, help="MovieLens: ratings.dat, u.data or ml-100k.inter"
    )
    parser.add_argument("--made-up", action="store_true", help="make a file as large as ML-1M")
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="of the users and ratings of --made-up; of its items the square root of it",
    )
    parser.add_argument("--dry-run", action="store_true", help="leave benchmarks/results as it is")
    parser.add_argument("--seeds", type=int, default=3, help="trainings, and draws of negatives")
    parser.add_argument("--home", type=Path, help="keep, or use again, the lake in this folder")
    options = parser.parse_args()
    file = options.ratings or options.file
    if (file is None) is not options.made_up or (options.ratings and options.file):
        parser.error("name one file of ratings, or say --made-up")
    if file is not None and not file.is_file():
        parser.error(f"there is no file {file}")
    with TemporaryDirectory(prefix="eta-bench-") as scratch:
        home = options.home or Path(scratch) / "home"
        if options.made_up:
            file = Path(scratch) / "ratings.dat"
            write_made_up(
                file,
                users=round(6_040 * options.share),
                items=round(3_706 * options.share**0.5),
                ratings=round(1_000_209 * options.share),
            )
        began = perf_counter()
        if not (home / "recbole").exists():
            publish(file, home)
        seconds = round(perf_counter() - began)
        sources = {"recbole": from_recbole(home), "loader": from_loader(home)}
        found = compare(sources, options.seeds)
    print(json.dumps({"seconds_of_eta": seconds} | found, indent=2))
    if not options.dry_run:
        how = f"--made-up --share {options.share:g}" if options.made_up else file.name
        name = "hit-rate-made-up" if options.made_up else "hit-rate"
        text = json.dumps(document(found, how, is_made_up=options.made_up), indent=2)
        (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def document(found: dict[str, Any], how: str, *, is_made_up: bool) -> dict[str, Any]:
    """Return what the page of results shows of `compare`'s figures; `how` it was run."""
    ways = {
        "popularity": "popularity",
        "recbole": "iALS from the RecBole export",
        "loader": "iALS from the loader",
    }
    chosen = found["chosen"]
    data = "ratings made up, with tastes and popularity" if is_made_up else f"the ratings of {how}"
    published = (
        "The file is made up: a figure says that what was put in comes out at the other end, and "
        "nothing of real films. On MovieLens 1M iALS is published with about 0.72 and popularity "
        "with about 0.45. "
        if is_made_up
        else ""
    )
    return {
        "title": "Made-up ratings through eta to a matrix factorisation, by the protocol of NCF"
        if is_made_up
        else "Ratings through eta to a matrix factorisation, by the protocol of NCF",
        "page": "models",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": "2 cores",
        "command": f"uv run python -m benchmarks.training.hit_rate {how}",
        "decisions": ["0014", "0062"],
        "columns": [
            f"{data}, every rating a positive, the last left out",
            "HR@10 among 99 drawn",
            "NDCG@10",
            "HR@10 among all items",
        ],
        "rows": [[text, *_shown(found[name])] for name, text in ways.items()],
        "note": f"{published}{found['users']:,} users, {found['items']:,} items, "
        f"{found['ratings']:,} ratings; means of {len(found['loader'])} seeds, each with a draw of "
        f"negatives of its own, and the least and the greatest. {chosen['factors']} factors, "
        f"{chosen['sweeps']} sweeps, weight of unobserved pairs {chosen['unobserved']:g}, "
        f"regularisation {chosen['regularisation']:g}: the last two chosen on the rating before "
        f"the last (HR@10 {chosen['validation_hr_at_10']:.4f}). Both ways read the same pairs: "
        f"{'yes' if found['same_pairs'] else 'no'}.",
    }


def _shown(seeds: list[dict[str, float]]) -> list[str]:
    rates = [one["hr"] for one in seeds]
    return [
        f"{mean(rates):.4f} ({min(rates):.4f} to {max(rates):.4f})",
        f"{mean(one['ndcg'] for one in seeds):.4f}",
        f"{mean(one['hr_of_all_items'] for one in seeds):.4f}",
    ]


def publish(file: Path, home: Path) -> None:
    """Take a file through eta, as a person would type it."""
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "settings.yml"
    settings.write_text(yaml.safe_dump(settings_of(file)), encoding="utf-8")

    def eta(*words: str) -> None:
        environment = {
            **os.environ,
            "ETA_HOME": str(home),
            "DBT_TARGET_PATH": str(home / "target"),
            "DBT_LOG_PATH": str(home / "logs"),
        }
        command = [sys.executable, "-m", "lakehouse.cli", *words]
        subprocess.run(command, check=True, env=environment, stdout=sys.stderr)

    tenant = ("--tenant", TENANT)
    eta("run", str(file), *tenant, "--settings", str(settings))
    eta("evaluation", "make", *tenant, "--method", "leave-one-out")
    eta("evaluation", "export", *tenant, "--format", "recbole", "--to", str(home / "divided"))
    eta("export", *tenant, "--format", "recbole", "--to", str(home / "recbole"))


def from_recbole(home: Path) -> Ratings:
    """Read the export of the whole training set, and what is left out from the snapshot's."""

    def read(folder: str, part: str) -> Frame:
        file = home / folder / TENANT / f"{TENANT}{part}.inter"
        rows = pl.read_csv(file, separator="\t", infer_schema=False, quote_char=None)
        rows = rows.filter(pl.col("label:float").cast(pl.Float64) == 1)
        return rows.select(user_id="user_id:token", item_id="item_id:token")

    validation, test = read("divided", ".valid"), read("divided", ".test")
    known = pl.concat([validation, test])
    train = read("recbole", "").join(known, on=known.columns, how="anti")
    return Ratings(train, validation, test)


def from_loader(home: Path) -> Ratings:
    """Read the three parts of the evaluation snapshot in the lake."""

    def read(split: str) -> Frame:
        data = TrainingSet.open(home / "lake", TENANT, split=split)
        columns = ["user_id", "item_id", "label"]
        batches = data.arrow(65_536, columns=columns, remainder="keep")
        rows = pl.concat(pl.DataFrame(pl.from_arrow(batch)) for batch in batches)
        return rows.filter(pl.col("label") == 1).select("user_id", "item_id")

    return Ratings(read("train"), read("validation"), read("test"))


def compare(sources: dict[str, Ratings], seeds: int) -> dict[str, Any]:
    """Choose on validation, train on all but the test, and judge both ways beside popularity."""
    first = next(iter(sources.values()))
    numbers = Numbers.of(first)
    train, validation, test = numbers.parts(first)
    known = both(train, validation)
    everything = both(known, test)
    chosen, validated = choose(numbers, train, validation, everything)
    draws = [drawn(numbers, test, everything, seed) for seed in range(1, seeds + 1)]
    popular = np.bincount(known.items, minlength=numbers.items).astype(np.float32)
    found: dict[str, Any] = {
        "users": numbers.users,
        "items": numbers.items,
        "ratings": int(everything.users.size),
        "test_users": int(test.users.size),
        "same_pairs": len({_digest(ratings) for ratings in sources.values()}) == 1,
        "chosen": asdict(chosen) | {"validation_hr_at_10": validated},
        "popularity": [
            judged(np.ones((numbers.users, 1), np.float32), popular[:, None], test, known, draw)
            for draw in draws
        ],
    }
    for name, ratings in sources.items():
        train, validation, test = numbers.parts(ratings)
        known = both(train, validation)
        began = perf_counter()
        found[name] = [
            judged(*factorise(known, numbers.users, numbers.items, chosen, seed), test, known, draw)
            for seed, draw in enumerate(draws, start=1)
        ]
        found[name + "_seconds"] = round((perf_counter() - began) / len(draws), 1)
    return found


@dataclass(frozen=True, slots=True)
class Numbers:
    """Users and items in order of their ids, numbered from 0."""

    user_ids: pl.Series
    item_ids: pl.Series

    @classmethod
    def of(cls, ratings: Ratings) -> "Numbers":
        """Number all that occur."""
        rows = pl.concat([ratings.train, ratings.validation, ratings.test])
        return cls(rows["user_id"].unique().sort(), rows["item_id"].unique().sort())

    @property
    def users(self) -> int:
        """How many there are."""
        return len(self.user_ids)

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.item_ids)

    def parts(self, ratings: Ratings) -> tuple[Pairs, Pairs, Pairs]:
        """Return train, validation and test by numbers, in order of them."""
        return (
            self._pairs(ratings.train),
            self._pairs(ratings.validation),
            self._pairs(ratings.test),
        )

    def _pairs(self, rows: Frame) -> Pairs:
        rows = rows.sort("user_id", "item_id")
        return Pairs(
            self.user_ids.search_sorted(rows["user_id"]).to_numpy().astype(np.int64),
            self.item_ids.search_sorted(rows["item_id"]).to_numpy().astype(np.int64),
        )


def both(one: Pairs, other: Pairs) -> Pairs:
    """Return the pairs of both."""
    return Pairs(np.append(one.users, other.users), np.append(one.items, other.items))


def choose(
    numbers: Numbers, train: Pairs, validation: Pairs, everything: Pairs
) -> tuple[Hyperparameters, float]:
    """Return the choice with the best HR@10 on validation, by the protocol, and that rate."""
    draw = drawn(numbers, validation, everything, seed=0)
    rates = []
    for how in CHOICES:
        vectors = factorise(train, numbers.users, numbers.items, how, seed=0)
        rates.append(judged(*vectors, validation, train, draw)["hr"])
    best = int(np.argmax(rates))
    return CHOICES[best], rates[best]


def drawn(numbers: Numbers, wanted: Pairs, everything: Pairs, seed: int) -> Ints:
    """Return for each wanted pair 99 different items that the user never rated (rows × 99)."""
    random = np.random.default_rng(seed)
    order = np.argsort(everything.users, kind="stable")
    bounds = np.searchsorted(everything.users[order], np.arange(numbers.users + 1))
    rated = everything.items[order]
    rows = []
    for user in wanted.users:
        free = np.setdiff1d(np.arange(numbers.items), rated[bounds[user] : bounds[user + 1]])
        rows.append(random.choice(free, NEGATIVES, replace=False))
    return np.stack(rows)


def judged(
    people: Floats, films: Floats, wanted: Pairs, known: Pairs, draw: Ints
) -> dict[str, float]:
    """Return HR@10 and NDCG@10 among 99 drawn items, and HR@10 among all that are not known.

    An item with the same score as the wanted one stands before it.
    """
    scores = people[wanted.users] @ films.T
    rows = np.arange(wanted.users.size)
    own = scores[rows, wanted.items][:, None]
    place = (np.take_along_axis(scores, draw, axis=1) >= own).sum(axis=1)
    row_of = np.full(people.shape[0], -1)
    row_of[wanted.users] = rows
    is_asked = row_of[known.users] >= 0
    scores[row_of[known.users[is_asked]], known.items[is_asked]] = -np.inf
    everywhere = (scores >= own).sum(axis=1) - 1
    is_hit = place < DEPTH
    return {
        "hr": round(float(is_hit.mean()), 4),
        "ndcg": round(float((is_hit / np.log2(place + 2)).mean()), 4),
        "hr_of_all_items": round(float((everywhere < DEPTH).mean()), 4),
    }


def _digest(ratings: Ratings) -> str:
    parts = (ratings.train, ratings.validation, ratings.test)
    return repr([part.sort("user_id", "item_id").hash_rows().to_list() for part in parts])


if __name__ == "__main__":
    main()
