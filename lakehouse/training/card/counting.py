"""Counts of values in bounded memory, one pass, in any order: numbers, texts and identifiers.

A number is counted under itself rounded to three significant digits. What that loses is less than
half a percent of the value; whole numbers below 1,000 lose nothing. All figures of distributions
and drift come from these counts, so none of them is from a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

SIGNIFICANT_DIGITS: Final = 3
MOST_TEXTS: Final = 4_096
"""Different values of a text that are counted at a time."""
TEXT_CHARACTERS: Final = 200
"""Values are counted by as many of their first characters."""
_MERGED_AT: Final = 2_000_000

VALUES: Final = pl.Schema({"value": pl.Float64(), "positives": pl.Int64(), "rows": pl.Int64()})
TEXTS: Final = pl.Schema({"value": pl.String(), "positives": pl.Int64(), "rows": pl.Int64()})


class NumberCounts:
    """How often a feature has each number, among all rows and among the positives.

    Nulls and numbers without a size (NaN, infinity) are counted apart.
    """

    def __init__(self) -> None:
        self.rows = self.nulls = self.not_finite = 0
        self._counts = pl.DataFrame(schema=VALUES)

    def update(self, found: pl.DataFrame) -> None:
        """Add `value`, `positives`, `rows`: one row per value, at least; null stands for none."""
        numbers = found.with_columns(pl.col("value").cast(pl.Float64, strict=False))
        self.rows += _total(numbers)
        finite = numbers.filter(pl.col("value").is_finite())
        nulls = _total(numbers.filter(pl.col("value").is_null()))
        self.nulls += nulls
        self.not_finite += _total(numbers) - nulls - _total(finite)
        # minus zero is zero
        rounded = pl.col("value").round_sig_figs(SIGNIFICANT_DIGITS) + 0.0
        both = pl.concat([self._counts, finite.with_columns(rounded).cast(VALUES)])
        self._counts = both.group_by("value").sum()

    @property
    def counts(self) -> pl.DataFrame:
        """One row per rounded number, in order: `value`, `positives`, `rows`."""
        return self._counts.sort("value")

    def add_absent(self, rows: int) -> None:
        """Count rows that have no value at all, such as those without an attribute."""
        self.rows += rows
        self.nulls += rows


class TextCounts:
    """How often a feature has each text, for the most frequent of any number of texts.

    The summary of Misra and Gries, merged as in Agarwal et al., "Mergeable summaries" (PODS 2012):
    beyond `MOST_TEXTS` different values the count of the first that has no place is taken off all.
    A count is then short by at most `error`; below that many values all are exact and `error` is 0.
    """

    def __init__(self) -> None:
        self.rows = self.nulls = self.error = 0
        self._counts = pl.DataFrame(schema=TEXTS)

    def update(self, found: pl.DataFrame) -> None:
        """See `NumberCounts.update`."""
        self.rows += _total(found)
        said = found.filter(pl.col("value").is_not_null())
        self.nulls += _total(found) - _total(said)
        texts = said.with_columns(pl.col("value").cast(pl.String).str.slice(0, TEXT_CHARACTERS))
        both = pl.concat([self._counts, texts.select(*TEXTS).cast(TEXTS)])
        counts = both.group_by("value").sum()
        if counts.height > MOST_TEXTS:
            counts = counts.sort("rows", "value", descending=[True, False])
            short = int(counts.item(MOST_TEXTS, "rows"))
            self.error += short
            less = (pl.col(name) - short for name in ("rows", "positives"))
            counts = counts.with_columns(column.clip(lower_bound=0) for column in less)
            counts = counts.filter(pl.col("rows") > 0)
        self._counts = counts

    @property
    def counts(self) -> pl.DataFrame:
        """One row per text, the most frequent first: `value`, `positives`, `rows`."""
        return self._counts.sort("rows", "value", descending=[True, False])

    def add_absent(self, rows: int) -> None:
        """See `NumberCounts.add_absent`."""
        self.rows += rows
        self.nulls += rows


class Identifiers:
    """How many different identifiers there are, as hashes: eight bytes each, and no identifier.

    Hashes of one process can be compared, and with each other alone.
    """

    def __init__(self) -> None:
        self._merged = pl.Series(dtype=pl.UInt64)
        self._waiting: list[pl.Series] = []

    def update(self, values: pl.Series) -> None:
        """Add identifiers, repeats or not."""
        self._waiting.append(hashed(values).unique())
        if sum(map(len, self._waiting)) > _MERGED_AT:
            self._merge()

    def take(self, other: Identifiers) -> None:
        """Add those of another."""
        self._waiting.append(other.hashes)

    def __len__(self) -> int:
        return self.hashes.len()

    @property
    def hashes(self) -> pl.Series:
        """The different hashes."""
        self._merge()
        return self._merged

    def without(self, other: Identifiers) -> int:
        """Return how many there are that `other` has not."""
        return len(self) - int(self.hashes.is_in(other.hashes.implode()).sum())

    def are_in(self, texts: Sequence[str]) -> list[bool]:
        """Return of each text whether it is one of the identifiers."""
        return hashed(pl.Series(texts, dtype=pl.String)).is_in(self.hashes.implode()).to_list()

    def _merge(self) -> None:
        if self._waiting:
            self._merged = pl.concat([self._merged, *self._waiting]).unique()
            self._waiting = []


def hashed(values: pl.Series) -> pl.Series:
    """Return a 64-bit hash of each text."""
    return values.cast(pl.String).hash(seed=7)


def _total(found: pl.DataFrame) -> int:
    return int(found.get_column("rows").sum())
