"""`python -m benchmarks.logq`: does the log-Q correction find the truth that made a log?

A log of known truth: user u takes item i with probability p(i|u) in proportion to
exp(a_u · c_i + b_i), so some items are wanted by all. It goes through eta: uploaded, published, and
read as training examples. Of these the positives are trained on by in-batch softmax: a row's
negatives are the items of the other rows, so items come as negatives in proportion to their
popularity q(i). Without a correction such a model learns log p(i|u) - log q(i) (Yi et al.,
"Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019,
doi:10.1145/3298689.3346996); with log q(i) subtracted from the logits in training it learns
log p(i|u).

q is taken from what the set says: `as of the row` from the example's `item_popularity`, the item's
interactions before the row's hour; `of the set` from the item's share of the positives.

The figure is the rank correlation (Spearman) of a user's scores with the truth over all items, the
mean of users.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from benchmarks.exposures.ranking import rank_correlation

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

RESULT: Final = Path(__file__).parent / "results" / "logq.json"
SEEDS: Final = (1, 2, 3, 4, 5)
SPREAD_OF_APPEAL: Final = 1.5
RATE: Final = 0.02
DECAYS: Final = (0.9, 0.999)
FIRST: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAYS: Final = 60


@dataclass(frozen=True)
class Size:
    """Of the log and of the training."""

    users: int = 600
    items: int = 200
    dimensions: int = 8
    rows_per_user: int = 30
    batch: int = 128
    epochs: int = 20


@dataclass(frozen=True)
class Rows:
    """Positives in the order of time, by numbers of users and items.

    `popularity`: interactions of the row's item before the row.
    """

    users: Numbers
    items: Numbers
    popularity: Numbers


class Parameter:
    """Values that the optimiser of Kingma and Ba (Adam) changes in place."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self._moment = np.zeros_like(values)
        self._square = np.zeros_like(values)
        self._steps = 0

    def step(self, gradient: Floats) -> None:
        """Take one step against the gradient."""
        self._steps += 1
        first, second = DECAYS
        self._moment += (1 - first) * (gradient - self._moment)
        self._square += (1 - second) * (gradient**2 - self._square)
        scale = np.sqrt(self._square / (1 - second**self._steps)) + 1e-8
        self.values -= RATE * self._moment / (1 - first**self._steps) / scale


def make_log(size: Size, random: np.random.Generator) -> tuple[Floats, pl.DataFrame]:
    """Return the truth, users × items log p(i|u) up to a constant of the user, and interactions.

    Each user's are drawn with replacement, at random times.
    """
    users = random.normal(size=(size.users, size.dimensions)) / np.sqrt(size.dimensions)
    items = random.normal(size=(size.items, size.dimensions))
    truth = users @ items.T + random.normal(scale=SPREAD_OF_APPEAL, size=size.items)
    bounds = np.cumsum(np.exp(truth - truth.max(axis=1, keepdims=True)), axis=1)
    drawn = random.random((size.users, size.rows_per_user)) * bounds[:, -1:]
    chosen = [np.searchsorted(bounds[user], drawn[user]) for user in range(size.users)]
    rows = size.users * size.rows_per_user
    seconds = random.integers(0, DAYS * 86_400, rows)
    log = pl.DataFrame(
        {
            "user": np.repeat(np.arange(size.users), size.rows_per_user),
            "item": np.concatenate(chosen).astype(np.int64),
            "event_time": [FIRST + timedelta(seconds=int(one)) for one in seconds],
        }
    )
    return truth, log.sort("event_time")


def log_q(rows: Rows, item_count: int) -> dict[str, Floats]:
    """Return log q for the item of each row, by the ways that the module names, and none.

    As of a row it is (popularity + 1) / (positives before + items): nobody may have taken it yet.
    """
    counts = np.bincount(rows.items, minlength=item_count)
    as_of = (rows.popularity + 1) / (np.arange(len(rows.items)) + item_count)
    return {
        "none": np.zeros(len(rows.items)),
        "as of the row": np.log(as_of),
        "of the set": np.log(counts[rows.items] / len(rows.items)),
    }


def loss_and_slope(logits: Floats, items: Numbers) -> tuple[float, Floats]:
    """Return the mean cross entropy of a batch and its gradient by the logits (rows × rows).

    The positive of a row is its own column. Another row of the same item is no negative.
    """
    same = items[:, None] == items[None, :]
    masked = np.where(same & ~np.eye(len(items), dtype=bool), -np.inf, logits)
    shifted = masked - masked.max(axis=1, keepdims=True)
    chances = np.exp(shifted)
    total = chances.sum(axis=1)
    loss = float((np.log(total) - np.diag(shifted)).mean())
    return loss, (chances / total[:, None] - np.eye(len(items))) / len(items)


def train(
    rows: Rows, counts: tuple[int, int], size: Size, random: np.random.Generator, correction: Floats
) -> Floats:
    """Return scores, of as many users × items, of a model trained with `correction` off its logits.

    `correction` is of each row: of its item as a negative of the others, and as a positive.
    """
    users, items = (
        Parameter(random.normal(scale=0.1, size=(count, size.dimensions))) for count in counts
    )
    appeal = Parameter(np.zeros(counts[1]))
    for batch in _batches(len(rows.users), size, random):
        of_users, of_items = rows.users[batch], rows.items[batch]
        logits = users.values[of_users] @ items.values[of_items].T
        logits += appeal.values[of_items] - correction[batch]
        _, slope = loss_and_slope(logits, of_items)
        gradients = [np.zeros_like(one.values) for one in (users, items, appeal)]
        np.add.at(gradients[0], of_users, slope @ items.values[of_items])
        np.add.at(gradients[1], of_items, slope.T @ users.values[of_users])
        np.add.at(gradients[2], of_items, slope.sum(axis=0))
        for parameter, gradient in zip((users, items, appeal), gradients, strict=True):
            parameter.step(gradient)
    return np.asarray(users.values @ items.values.T + appeal.values, np.float64)


def _batches(rows: int, size: Size, random: np.random.Generator) -> Iterator[Numbers]:
    for _ in range(size.epochs):
        order = random.permutation(rows)
        for start in range(0, rows - size.batch + 1, size.batch):
            yield order[start : start + size.batch]


def compare(truth: Floats, rows: Rows, size: Size, seed: int) -> dict[str, float]:
    """Return each way's rank correlation; the models begin alike and see the same batches."""
    users, items = truth.shape
    return {
        name: round(
            rank_correlation(
                train(rows, (users, items), size, np.random.default_rng([seed, 1]), correction),
                truth,
            ),
            4,
        )
        for name, correction in log_q(rows, items).items()
    }


def examples(logs: dict[str, pl.DataFrame], folder: Path) -> dict[str, Rows]:
    """Take logs through the service and the models; return the positives of the examples."""
    # Spark and the service: not for the tests of the arithmetic
    from benchmarks.exposures.through import COMMON, published
    from eta_data import TrainingSet
    from lakehouse.contracts.kinds import DataType
    from lakehouse.contracts.tenant import TenantSettings

    settings_of = dict.fromkeys(logs, TenantSettings.model_validate(COMMON))
    files = {}
    for name, log in logs.items():
        files[name] = [(folder / f"{name}.csv", DataType.INTERACTIONS)]
        _as_file(log).write_csv(files[name][0][0])
    settings = published(files, settings_of, folder)
    found = {}
    for name in logs:
        data = TrainingSet.open(settings.lake, name, table="training.training_examples")
        columns = ["user_id", "item_id", "label", "event_time", "item_popularity"]
        batches = data.arrow(65_536, columns=columns, remainder="keep", seed=0)
        found[name] = _positives(pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches))))
    return found


def _as_file(log: pl.DataFrame) -> pl.DataFrame:
    return log.select(
        pl.format("u{}", "user").alias("user_id"),
        pl.format("i{}", "item").alias("item_id"),
        pl.lit("click").alias("interaction_type"),
        pl.col("event_time").dt.epoch("ms").alias("timestamp"),
    )


def _positives(rows: pl.DataFrame) -> Rows:
    used = rows.filter(pl.col("label") == 1).sort("event_time", "user_id", "item_id")
    return Rows(
        used["user_id"].str.slice(1).cast(pl.Int64).to_numpy(),
        used["item_id"].str.slice(1).cast(pl.Int64).to_numpy(),
        used["item_popularity"].fill_null(0).cast(pl.Int64).to_numpy(),
    )


def run(size: Size, folder: Path) -> dict[str, Any]:
    """Return the figures of each seed and their means."""
    made = {seed: make_log(size, np.random.default_rng([seed, 0])) for seed in SEEDS}
    rows = examples({f"log-{seed}": log for seed, (_, log) in made.items()}, folder)
    by_seed = {
        seed: compare(truth, rows[f"log-{seed}"], size, seed) for seed, (truth, _) in made.items()
    }
    return {
        "size": asdict(size),
        "positives": {seed: len(rows[f"log-{seed}"].users) for seed in SEEDS},
        "rank_correlation": by_seed,
    }


def main() -> None:
    """Run all seeds, print all figures as JSON and write those of the results' page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="keep the lake here")
    parser.add_argument("--dry-run", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run(Size(), folder)
    print(json.dumps(found, indent=2))
    if not options.dry_run:
        RESULT.write_text(json.dumps(_document(found), indent=2, ensure_ascii=False) + "\n")


def _document(found: dict[str, Any]) -> dict[str, Any]:
    by_seed: dict[int, dict[str, float]] = found["rank_correlation"]
    names = {
        "none": "uncorrected",
        "as of the row": "corrected by `item_popularity`, as of the row",
        "of the set": "corrected by the item's share of the set's positives",
    }
    size = found["size"]
    return {
        "title": "The log-Q correction on logs of known truth",
        "page": "models",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": "2 cores",
        "command": "uv run python -m benchmarks.logq",
        "decisions": ["0056", "0059"],
        "columns": [
            "in-batch softmax",
            "rank correlation with the truth, mean of five seeds",
            "each seed",
        ],
        "rows": [
            [
                text,
                f"{mean(one[name] for one in by_seed.values()):.3f}",
                " ".join(f"{one[name]:.3f}" for one in by_seed.values()),
            ]
            for name, text in names.items()
        ],
        "note": f"Five logs of {size['users']} users and {size['items']} items, "
        f"{size['rows_per_user']} interactions of each user, uploaded, published and read as "
        f"`training_examples`; {min(found['positives'].values()):,} to "
        f"{max(found['positives'].values()):,} positives, as a pair is one once. Spearman's "
        "correlation of a user's scores with the truth over all items, the mean of users. The "
        "three models of a seed begin alike and see the same batches.",
    }


if __name__ == "__main__":
    main()
