"""In what order rows arrived: by `known_at`, then batch, then the place within the batch.

Two rows of one batch became known at the same moment, and what tells them apart is where they
stood: the line, the index within the request, the offset. `source_ref` is written so that its text
sorts that way, but not every writer has padded its numbers, so the number itself counts first. The
macro `position` says the same in SQL.
"""

from typing import Final

import polars as pl

POSITION: Final = r"([0-9]{1,19})$"
"""Where the number stands: `line:42`, `event:7`, `topic:3:0000000000000000042`."""

NOWHERE: Final = -1
"""The position of a row whose place ends in no number that 64 bits can hold."""


def positions(source_refs: pl.Series) -> pl.Series:
    """Return the position of each row within its batch, as a whole number."""
    return source_refs.to_frame("place").select(position("place").alias("position")).to_series()


def position(column: str) -> pl.Expr:
    """Return the position that a column of places stands for; see `positions`."""
    digits = pl.col(column).str.extract(POSITION)
    return digits.cast(pl.Int64, strict=False).fill_null(NOWHERE)


def arrival(*first: str) -> list[pl.Expr]:
    """Return what to sort rows by: the columns named, then the order in which they arrived."""
    named = [pl.col(name) for name in first]
    return [*named, *map(pl.col, ("known_at", "batch_id")), position("source_ref")]
