"""How often a dated catalogue row was said in one batch, with something else in between.

Of the rows A, B, A of one item and one `updated_at` in a file the last one counts, and sending the
file again must store nothing. So the second A is another event than the first: the number of its
occurrence is part of its id, and a batch that is sent again has the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from ingest_service.dedupe.segments import gathered
from lakehouse.contracts.identity import SEPARATOR, repeated_ids
from lakehouse.contracts.tenant import DataType

_SCHEMA: Final = {
    "key": pl.UInt64,
    "payload": pl.UInt64,
    "runs": pl.UInt32,
    "is_last": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class _Runs:
    """Counted rows and the sorted hashes of their keys, a sieve: most arriving keys are new."""

    rows: pl.DataFrame
    hashes: npt.NDArray[np.uint64] = field(repr=False)

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "_Runs":
        return cls(rows, np.sort(rows["key"].hash().to_numpy()))

    @classmethod
    def merged(cls, parts: Sequence["_Runs"]) -> "_Runs":
        return cls.of(pl.concat([part.rows for part in parts], rechunk=True))

    @property
    def height(self) -> int:
        return self.rows.height

    def may_hold_any(self, hashes: npt.NDArray[np.uint64]) -> bool:
        places = np.searchsorted(self.hashes, hashes)
        return bool((self.hashes[np.minimum(places, len(self.hashes) - 1)] == hashes).any())


class Occurrences:
    """Counts the dated rows of one batch, piece by piece in their order.

    Keeps 29 bytes per item, time and content of the batch; nothing for undated rows, and nothing
    for other data types.
    """

    def __init__(self, data_type: DataType) -> None:
        self._definition = data_type.definition
        self._segments: list[_Runs] = []

    def apply(
        self,
        rows: pl.DataFrame,
        prints: pl.DataFrame,
        is_state: pl.Series | None,
        requests: pl.Series | None = None,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return rows and fingerprints, those said again with an id and a key of their own.

        `requests` numbers what each row was sent with, if one batch has what several clients sent:
        whether one of them sends again must not depend on who shares its batch.
        """
        if (
            not self._definition.is_state
            or (is_state is not None and is_state.all())
            or not rows.height
        ):
            return rows, prints
        numbers = self._numbers(self._keys(rows, prints, is_state, requests))
        if not (numbers > 0).any():
            return rows, prints
        ids = repeated_ids(rows["event_id"], numbers)
        keys = ids.to_frame("event_id").select(plh.col("event_id").nchash.xxh3_128()).to_series()
        key = pl.when(pl.lit(numbers > 0)).then(pl.lit(keys)).otherwise("key").alias("key")
        return rows.with_columns(ids), prints.with_columns(key)

    def _keys(
        self,
        rows: pl.DataFrame,
        prints: pl.DataFrame,
        is_state: pl.Series | None,
        requests: pl.Series | None,
    ) -> pl.DataFrame:
        """Return `key`, of item, time and request, null for undated rows, and `payload`."""
        request = (
            pl.lit("") if requests is None else pl.lit(requests.gather(rows["row"])).cast(pl.String)
        )
        moment = pl.col(self._definition.time_column).to_physical().cast(pl.String)
        text = pl.concat_str(request, moment, self._definition.state_of, separator=SEPARATOR)
        if is_state is not None:
            text = pl.when(~pl.lit(is_state)).then(text)
        key = rows.select(key=text).select(plh.col("key").nchash.xxh3_64()).to_series()
        if is_state is not None:
            key = (
                key.to_frame()
                .select(pl.when(~pl.lit(is_state)).then("key").alias("key"))
                .to_series()
            )
        return pl.DataFrame({"key": key, "payload": prints["payload"]})

    def _numbers(self, keys: pl.DataFrame) -> pl.Series:
        """Return how often each row's content was said before; 0 for undated rows (null keys)."""
        numbers = pl.repeat(0, keys.height, dtype=pl.UInt32, eager=True)
        dated = keys.with_row_index("row").drop_nulls("key")
        known = self._take_known(dated)
        again = dated["key"].is_duplicated() | dated["key"].is_in(known["key"].implode())
        once = dated.filter(~again).select("key", "payload", runs=1, is_last=True)
        counted = _counted(dated.filter(again), known)
        fresh = pl.concat(
            [known, once.cast(_SCHEMA), counted.select(*_SCHEMA)]  # type: ignore[arg-type]
        )
        fresh = _newest(fresh) if counted.height else fresh
        if fresh.height:
            self._segments = gathered([*self._segments, _Runs.of(fresh)], _Runs.merged)
        return numbers.scatter(counted["row"], counted["runs"] - 1)

    def _take_known(self, dated: pl.DataFrame) -> pl.DataFrame:
        """Return what is known of the rows' keys, and forget it: it is entered again."""
        found = [pl.DataFrame(schema=_SCHEMA)]
        hashes = np.sort(dated["key"].hash().to_numpy())
        kept = []
        for segment in self._segments:
            if segment.may_hold_any(hashes):
                found.append(segment.rows.join(dated, on="key", how="semi"))
                rest = segment.rows.join(dated, on="key", how="anti")
                segment = _Runs.of(rest)  # noqa: PLW2901
            if segment.height:
                kept.append(segment)
        self._segments = kept
        return pl.concat(found)


def _counted(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return `row` and, up to and with it, the runs of its content; the last row of a key is last.

    A run is what says the same without anything else in between.
    """
    last = known.filter("is_last").select("key", last="payload")
    runs = known.select("key", "payload", before="runs")
    joined = rows.join(last, on="key", how="left", maintain_order="left")
    joined = joined.join(runs, on=["key", "payload"], how="left", maintain_order="left")
    previous = pl.coalesce(pl.col("payload").shift(1).over("key"), "last")
    begins = (previous != pl.col("payload")).fill_null(value=True).cast(pl.UInt32)
    return (
        joined.with_columns(begins=begins)
        .with_columns(
            runs=pl.col("before").fill_null(0) + pl.col("begins").cum_sum().over("key", "payload"),
            is_last=pl.col("row") == pl.col("row").max().over("key"),
        )
        .select("row", *(pl.col(name).cast(kind) for name, kind in _SCHEMA.items()))
    )


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per key and content, the last entered; one of each key's is the last said."""
    latest = rows.with_row_index("at")
    said = latest.filter("is_last").group_by("key").agg(pl.col("at").max().alias("last_at"))
    latest = latest.unique(["key", "payload"], keep="last", maintain_order=True)
    latest = latest.join(said, on="key", how="left", maintain_order="left")
    return latest.select("key", "payload", "runs", is_last=pl.col("at") == pl.col("last_at"))
