"""The content hash of a training set, computed from its rows outside Spark.

The same formula as the dbt models `training_contents` and `evaluation_contents` (see the doc block
`content_hash`), so that an export can prove it holds the rows its manifest names.
"""

from __future__ import annotations

from typing import Final

import polars as pl
import polars_hash as plh

_SALTS: Final = ("a", "b")
_SEED: Final = 42
_UNIT: Final = 1e18
_MODULUS: Final = 1 << 64

EXAMPLE: Final = (
    pl.col("tenant_id"),
    pl.col("user_id"),
    pl.col("item_id"),
    pl.col("anchor_item_id"),
    pl.col("draw_index"),
    pl.col("interaction_type"),
    pl.col("negative_type"),
    (pl.col("label") * _UNIT).cast(pl.Int64),
    (pl.col("sampling_probability") * _UNIT).cast(pl.Int64),
    pl.col("event_time").dt.epoch("us"),
)
"""What is hashed of a row of `training.training_data`."""
_WEIGHT: Final = pl.col("type_weight")
_WEIGHT_UNIT: Final = 1e9
SHOWN_POSITION: Final = "shown_position"
DRAWN_BY: Final = "drawn_by"
DRAWN_POPULARITY: Final = "drawn_popularity"
WEIGHTED_WAYS: Final = ("popularity", "category")
"""Values of `drawn_by` of negatives that were not drawn uniformly."""
EVALUATED: Final = (*EXAMPLE, pl.col("split"), pl.col("is_cold_user"), pl.col("is_cold_item"))
"""What is hashed of a row of `evaluation.evaluation_data`."""


class ContentHash:
    """Takes rows in any order and in any pieces; `hexdigest` is that of all taken so far.

    A weight other than 1 is hashed where rows have one, where a negative stood that was shown, and
    how one was drawn that was not drawn uniformly: without, they have the hash that they had before
    there were such. It is a sum, so rows can be taken out again; `start` is the hash of the rows
    that are there already.
    """

    def __init__(self, columns: tuple[pl.Expr, ...] = EXAMPLE, start: str = "0" * 32) -> None:
        self._columns = columns
        self._sums = [int(start[:16], 16), int(start[16:], 16)]

    def update(self, rows: pl.DataFrame) -> None:
        """Add rows with all columns of their table."""
        self._add(rows, 1)

    def remove(self, rows: pl.DataFrame) -> None:
        """Take out rows, with all columns of their table."""
        self._add(rows, -1)

    def _add(self, rows: pl.DataFrame, sign: int) -> None:
        values = [_netstring(value) for value in self._columns]
        if _WEIGHT.meta.output_name() in rows.columns:
            weight = _netstring((_WEIGHT * _WEIGHT_UNIT).cast(pl.Int64))
            is_one = _WEIGHT.fill_null(1.0) == 1.0
            values.append(pl.when(is_one).then(pl.lit("")).otherwise(weight))
        if SHOWN_POSITION in rows.columns:
            place = pl.col(SHOWN_POSITION)
            values.append(pl.when(place.is_null()).then(pl.lit("")).otherwise(_netstring(place)))
        if DRAWN_BY in rows.columns:
            way = pl.concat_str(_netstring(pl.col(DRAWN_BY)), _netstring(pl.col(DRAWN_POPULARITY)))
            is_uniform = ~pl.col(DRAWN_BY).is_in(WEIGHTED_WAYS).fill_null(value=False)
            values.append(pl.when(is_uniform).then(pl.lit("")).otherwise(way))
        text = pl.concat_str(values)
        salted = rows.select(**{salt: pl.concat_str([pl.lit(salt), text]) for salt in _SALTS})
        for position, salt in enumerate(_SALTS):
            hashes = salted.select(plh.col(salt).nchash.xxhash64(seed=_SEED)).to_series()
            # halves are summed apart: a sum of 64-bit numbers would wrap, or become a float
            low, high = (hashes & 0xFFFFFFFF).sum(), (hashes // (1 << 32)).sum()
            self._sums[position] += sign * (int(low) + (int(high) << 32))

    def hexdigest(self) -> str:
        """Return the 32 digits."""
        return "".join(f"{total % _MODULUS:016x}" for total in self._sums)


def _netstring(value: pl.Expr) -> pl.Expr:
    text = value.cast(pl.String)
    framed = pl.concat_str([text.str.len_bytes().cast(pl.String), pl.lit(":"), text])
    return framed.fill_null("-")
