"""A file of interactions like those that tenants send, the same for the same seed."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

USERS: Final = 200_000
ITEMS: Final = 50_000
FIRST_MS: Final = 1_600_000_000_000
LAST_MS: Final = 1_750_000_000_000
PIECE_ROWS: Final = 500_000


def write_interactions(path: Path, rows: int, seed: int) -> None:
    """Write `rows` distinct interactions with contract column names."""
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, rows, PIECE_ROWS):
            count = min(PIECE_ROWS, rows - start)
            _piece(random, count).write_csv(file, include_header=start == 0)


def _piece(random: np.random.Generator, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": random.integers(0, USERS, count),
            "item_id": random.integers(0, ITEMS, count),
            "interaction_type": random.choice(["view", "click", "purchase", "like"], count),
            "timestamp": random.integers(FIRST_MS, LAST_MS, count),
            "device_type": random.choice(["ios", "android", "web"], count),
            "session_id": random.integers(0, 1_000_000, count),
        }
    ).with_columns(
        user_id=pl.lit("user-") + pl.col("user_id").cast(pl.String),
        item_id=pl.lit("item-") + pl.col("item_id").cast(pl.String),
        session_id=pl.lit("s-") + pl.col("session_id").cast(pl.String),
    )
