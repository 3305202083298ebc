"""What a row of a training set weighs: its type's weight, halved with every half-life of its age.

The tables hold the weight of the type alone. Age needs a moment that it is counted up to, and that
one moves with every run: it would make every row another one. So it is worked out where a set is
handed over, up to the moment that its manifest names; another moment scales all rows alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from lakehouse.training.manifest import Manifest

SAMPLE_WEIGHT: Final = "sample_weight"
TYPE_WEIGHT: Final = "type_weight"
_DAY: Final = timedelta(days=1) / timedelta(microseconds=1)


def has_sample_weights(manifest: Manifest) -> bool:
    """Whether the rows weigh other than 1: their tenant has declared types or a half-life."""
    made_with = manifest.parameters
    return made_with.event_types is not None or made_with.half_life_days is not None


def weighted_until(manifest: Manifest) -> datetime:
    """Return the moment up to which age counts: the cutoff, else the newest `known_at` read."""
    cutoff = manifest.parameters.cutoff
    if cutoff is None:
        return manifest.newest_known_at
    moment = datetime.fromisoformat(cutoff)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def described_weight(manifest: Manifest) -> str:
    """Return what the column of weights holds, for the README of an export."""
    half_life = manifest.parameters.half_life_days
    text = "weight of the row's type; a sampled or shown negative has its positive's"
    if half_life is None:
        return text
    until = weighted_until(manifest)
    return f"{text}; halved for every {half_life:g} days of age by {until:%Y-%m-%d %H:%M:%S} UTC"


def with_sample_weights(rows: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """Return rows of a snapshot with `sample_weight`, if theirs are other than 1.

    `type_weight · 0.5^(age / half_life_days)`, the age in days from the event to `weighted_until`;
    an event that is dated after it, by a clock that is wrong, has no age: it would weigh more than
    all others together. Without a half-life it is the type's weight.
    """
    if not has_sample_weights(manifest):
        return rows
    weight = pl.col(TYPE_WEIGHT).fill_null(1.0)
    half_life = manifest.parameters.half_life_days
    if half_life is not None:
        until = pl.lit(weighted_until(manifest)).dt.epoch("us")
        days = (until - pl.col("event_time").dt.epoch("us")) / _DAY
        weight = weight * pl.lit(0.5).pow(days.clip(lower_bound=0) / half_life)
    return rows.with_columns(weight.alias(SAMPLE_WEIGHT))
