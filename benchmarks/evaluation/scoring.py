"""Reads an exported snapshot, ranks its whole catalogue, and compares hit rates in pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.evaluation.factorisation import Examples, Floats, Ints

Hits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Positives:
    """Pairs of user and item numbers."""

    users: Ints
    items: Ints


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exported snapshot by numbers: users and items in order of their ids."""

    user_count: int
    popularity: Floats
    """Positives of each item among the training rows."""
    train: Examples
    liked: Positives
    """The positives of train."""
    validation: Positives
    test: Positives


def read_snapshot(folder: Path) -> Snapshot:
    """Read a Parquet export. Explicit negatives are left out: a disliked film was chosen too."""
    items = pl.read_parquet(folder / "items.parquet").sort("item_id").with_row_index("item")
    rows = pl.scan_parquet(
        folder / "evaluation_data",
        hive_partitioning=True,
        hive_schema={"split": pl.String, "label": pl.Float64},
    ).filter(pl.col("negative_type").fill_null("") != "explicit")
    examples = rows.select("user_id", "item_id", "split", "label", "event_time").collect()
    users = examples.select("user_id").unique().sort("user_id").with_row_index("user")
    # an order of the rows that their files do not decide: the seed alone shuffles them
    numbered = (
        examples.join(users, on="user_id")
        .join(items.select("item_id", "item"), on="item_id")
        .sort("event_time", "user", "item", "label")
    )
    train = numbered.filter(pl.col("split") == "train")
    return Snapshot(
        user_count=users.height,
        popularity=items["train_positive_count"].to_numpy().astype(np.float32),
        train=Examples(
            train["user"].to_numpy().astype(np.int64),
            train["item"].to_numpy().astype(np.int64),
            train["label"].to_numpy().astype(np.float32),
        ),
        liked=_positives(train.filter(pl.col("label") == 1)),
        validation=_positives(numbered.filter(pl.col("split") == "validation")),
        test=_positives(numbered.filter(pl.col("split") == "test")),
    )


def hits(scores: Floats, wanted: Positives, *seen: Positives, depth: int = 10) -> Hits:
    """Return 1 for each wanted pair whose item is among the `depth` best of the whole catalogue.

    Items that the user has already (`seen`) are not offered. `scores` is users × items; an item
    that scores as much as the wanted one stands before it.
    """
    offered = scores.astype(np.float64)
    for have in seen:
        offered[have.users, have.items] = -np.inf
    own = offered[wanted.users, wanted.items][:, None]
    better = (offered[wanted.users] >= own).sum(axis=1) - 1
    found: Hits = (better < depth).astype(np.float64)
    return found


def bootstrap(differences: Hits, *, samples: int, seed: int) -> NDArray[np.float64]:
    """Return the means of `samples` draws of users with replacement, in order.

    The differences are those of two rankings for the same users: a paired comparison.
    """
    random = np.random.default_rng(seed)
    count = differences.size
    means = [differences[random.integers(0, count, count)].mean() for _ in range(samples)]
    return np.sort(np.asarray(means))


def _positives(rows: pl.DataFrame) -> Positives:
    return Positives(
        rows["user"].to_numpy().astype(np.int64), rows["item"].to_numpy().astype(np.int64)
    )
