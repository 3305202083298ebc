"""What the rows themselves prove of the sampling: no false negative, none from the future, uniform.

The exact expectation needs every item that a user knows. Items known by views alone stand in no
pinned table, but a row's probability says how many items were eligible, so it is known for which
positives the labelled pairs are all that their user knew. Over those the expectation is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Final

import polars as pl

from lakehouse.storage.lake import Lake
from lakehouse.training.card.counting import hashed
from lakehouse.training.content_hash import DRAWN_BY, WEIGHTED_WAYS
from lakehouse.training.manifest import AVAILABILITY, Manifest
from lakehouse.training.rows import tenant_batches

MOST_ROWS: Final = 5_000_000
"""Rows looked at together; of a larger set those of every n-th user, by hash."""
_COLUMNS: Final = (
    "user_id",
    "item_id",
    "label",
    "negative_type",
    "draw_index",
    "sampling_probability",
    "event_time",
)
_NO_ITEM: Final = 2**32 - 1
_NO_ITEMS: Final = pl.DataFrame(
    schema={"item_id": pl.String, "available_at": pl.Datetime("us", "UTC")}
)
_USER_HOUR: Final = ("user", "hour")


@dataclass(frozen=True, slots=True)
class Uniformity:
    """Draws per item against what a uniform draw among the eligible items would give.

    `ratio` is the mean over `items` of (drawn - expected)² / variance: 1, give or take `error`
    (one standard deviation), if the draws are uniform.
    """

    ratio: float
    error: float
    items: int
    draws: int


@dataclass(frozen=True, slots=True)
class SamplingProof:
    """What was counted over the rows of every `one_in`-th user, `draws` sampled negatives.

    `collisions`: draws whose item is a positive or an explicit negative of the same user, at any
    time. `too_early`: draws of an item that was not available in the hour. `unknown_items`: draws
    of an item that is not among those that may be drawn. `impossible`: those whose probability
    would need more eligible items than there were, of those drawn uniformly. `by_way`: draws by
    `drawn_by`, empty where all are drawn uniformly. `uniformity` is of those drawn uniformly, over
    the positives whose user knows no item but labelled ones; None where there is no such positive
    with a choice.
    """

    one_in: int
    draws: int
    collisions: int
    too_early: int
    unknown_items: int
    impossible: int
    uniformity: Uniformity | None
    by_way: Mapping[str, int] = field(default_factory=dict)


def prove_sampling(
    lake: Lake, manifest: Manifest, *, most_rows: int = MOST_ROWS
) -> SamplingProof | None:
    """Check the sampled negatives of a snapshot; None when it has none.

    Memory holds `most_rows` at most, which take up to about 200 bytes each, and the items. Raises
    `EtaError` when the rows are gone.
    """
    if not manifest.counts.sampled_negatives:
        return None
    one_in = max(1, ceil(manifest.row_count / most_rows))
    items = _items(lake, manifest)
    rows = pl.concat(_rows(lake, manifest, items, one_in))
    pairs = rows.filter(pl.col("is_labelled")).select("user", "item", "available")
    drawn = rows.filter(~pl.col("is_labelled"))
    moments = _moments(drawn.filter(pl.col("draw_index") == 1), pairs, items)
    draws = drawn.join(moments.select(*_USER_HOUR, "there", "labelled"), on=_USER_HOUR, how="left")
    is_uniform = ~pl.col("way").is_in(WEIGHTED_WAYS).fill_null(value=False)
    told = (pl.col("probability") < 1) & is_uniform
    eligible = _eligible(manifest)
    counts = draws.select(
        too_early=(pl.col("available") > pl.col("hour")).sum(),
        unknown_items=(pl.col("item") == _NO_ITEM).sum(),
        impossible=(told & (eligible > pl.col("there") - pl.col("labelled"))).sum(),
    ).row(0, named=True)
    return SamplingProof(
        one_in=one_in,
        draws=draws.height,
        collisions=drawn.join(pairs, on=["user", "item"], how="semi").height,
        uniformity=_uniformity(manifest, draws.filter(is_uniform), pairs, items),
        by_way=_by_way(manifest, drawn),
        **counts,
    )


def _by_way(manifest: Manifest, drawn: pl.DataFrame) -> dict[str, int]:
    if manifest.parameters.negatives is None:
        return {}
    return dict(drawn.group_by("way").len().sort("way").iter_rows())


def _items(lake: Lake, manifest: Manifest) -> pl.DataFrame:
    """Return the items that may be drawn, by the hour from which on: `item` (its place), `id`."""
    columns = ["item_id", "available_at"]
    found = pl.concat([_NO_ITEMS, *tenant_batches(lake, manifest, AVAILABILITY, columns)])
    return (
        found.select(id=hashed(found.get_column("item_id")), available=_hour("available_at"))
        .sort("available", "id")
        .with_row_index("item")
        .with_columns(pl.col("item").cast(pl.UInt32))
    )


def _rows(
    lake: Lake, manifest: Manifest, items: pl.DataFrame, one_in: int
) -> Iterator[pl.DataFrame]:
    """Yield labelled pairs and draws of every n-th user, with numbers in place of identifiers."""
    has_ways = manifest.parameters.negatives is not None
    columns = [*_COLUMNS, *([DRAWN_BY] if has_ways else [])]
    for frame in tenant_batches(lake, manifest, manifest.data_table, columns):
        numbers = frame.select(
            user=hashed(frame.get_column("user_id")),
            id=hashed(frame.get_column("item_id")),
            hour=_hour("event_time"),
            draw_index="draw_index",
            probability="sampling_probability",
            # null where the row is a positive
            is_labelled=(pl.col("negative_type") != "sampled").fill_null(value=True),
            way=pl.col(DRAWN_BY) if has_ways else pl.lit(None, pl.String),
        ).filter(pl.col("user") % one_in == 0)
        yield (
            numbers.join(items, on="id", how="left")
            .with_columns(pl.col("item").fill_null(_NO_ITEM))
            .drop("id")
        )


def _moments(events: pl.DataFrame, pairs: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Return per user and hour how many items were there, and how many of them are labelled."""
    moments = events.select(_USER_HOUR).unique().sort("hour")
    there = items.get_column("available").search_sorted(moments.get_column("hour"), side="right")
    counted = (
        pairs.select("user", hour="available")
        .sort("hour")
        .with_columns(labelled=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("user"))
    )
    return (
        moments.with_columns(there=there.cast(pl.Int64))
        .join_asof(counted, on="hour", by="user", strategy="backward", check_sortedness=False)
        .with_columns(pl.col("labelled").fill_null(0))
    )


def _uniformity(
    manifest: Manifest, draws: pl.DataFrame, pairs: pl.DataFrame, items: pl.DataFrame
) -> Uniformity | None:
    """Compare the draws whose positive had a choice and whose user knows labelled items alone."""
    exact = draws.filter(
        pl.col("probability") < 1,
        _eligible(manifest) == pl.col("there") - pl.col("labelled"),
        pl.col("item") != _NO_ITEM,
    )
    if exact.is_empty():
        return None
    chance = pl.col("probability")
    weighed = exact.filter(pl.col("draw_index") == 1).select(
        *_USER_HOUR, expected=chance, variance=chance * (1 - chance)
    )
    later = _sums_from(items.select("item", hour="available"), weighed, [])
    known = pairs.join(weighed.select("user").unique(), on="user", how="semi")
    taken = _sums_from(known.select("item", "user", hour="available"), weighed, ["user"])
    drawn = exact.group_by("item").agg(drawn=pl.len().cast(pl.Float64))
    compared = (
        later.join(taken.group_by("item").sum(), on="item", how="left", suffix="_known")
        .join(drawn, on="item", how="left")
        .fill_null(0.0)
        .select(
            "drawn",
            expected=pl.col("expected") - pl.col("expected_known"),
            variance=pl.col("variance") - pl.col("variance_known"),
        )
        .filter(pl.col("variance") > 1e-6)  # what is left of a difference of sums is no chance
    )
    if compared.is_empty():
        return None
    squares = (pl.col("drawn") - pl.col("expected")) ** 2 / pl.col("variance")
    spread = (2 + 1 / pl.col("variance")).sum()
    ratio, total = compared.select(squares.mean(), spread.alias("spread")).row(0)
    return Uniformity(ratio, sqrt(total) / compared.height, compared.height, exact.height)


def _sums_from(places: pl.DataFrame, weighed: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return per row of `places` the sums over the positives of its hour and all later ones.

    Those of its user alone, if `by` says so.
    """
    names = ("expected", "variance")
    hours = weighed.group_by(*by, "hour").agg(pl.col(name).sum() for name in names)
    running = [pl.col(name).cum_sum(reverse=True) for name in names]
    sums = hours.sort("hour").with_columns(total.over(by) if by else total for total in running)
    found = places.sort("hour").join_asof(
        sums, on="hour", by=by or None, strategy="forward", check_sortedness=False
    )
    return found.select("item", *(pl.col(name).fill_null(0.0) for name in names))


def _eligible(manifest: Manifest) -> pl.Expr:
    """The number of items that a draw chose among, where there was a choice: k / probability."""
    asked = manifest.parameters.negatives_per_positive
    return (asked / pl.col("probability")).round().cast(pl.Int64)


def _hour(column: str) -> pl.Expr:
    """Hours since 1970."""
    hours = pl.col(column).dt.epoch("us") // 3_600_000_000
    return hours.cast(pl.Int32)
