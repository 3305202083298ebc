"""Rows that were refused before and are taken in again: what is known of them from then."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ingest_service.dedupe.window import BatchWindow, Verdict


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a replay knows of its rows, by position.

    `arrived_at`: when each came. `contradicts`: which were refused since another row is stored
    under their id; `stored` returns the stored fingerprints of such keys, however old they are.
    `is_edited`: somebody corrected them.
    """

    arrived_at: pl.Series
    contradicts: pl.Series
    stored: Callable[[pl.Series], pl.DataFrame]
    is_edited: bool

    def judge(
        self,
        window: BatchWindow,
        rows: pl.Series,
        prints: pl.DataFrame,
        is_state: pl.Series | None,
    ) -> pl.Series:
        """Return what rows, of these positions and fingerprints, are beside those that are stored.

        A row that contradicted a stored one still does, though the window may have forgotten that
        one: all stored rows are asked.
        """
        contradicts = self.contradicts.gather(rows)
        if not contradicts.any():
            return window.judge(prints, is_state)
        numbered = prints.with_row_index("row")
        suspects = numbered.filter(contradicts)
        known = suspects.join(self.stored(suspects["key"]), on="key", suffix="_stored")
        is_same = (pl.col("payload") == pl.col("payload_stored")).any()
        verdict = pl.when(is_same).then(Verdict.DUPLICATE).otherwise(Verdict.CONFLICT)
        judged = known.group_by("row").agg(verdict.cast(pl.UInt8).alias("verdict"))
        rest = numbered.join(judged, on="row", how="anti", maintain_order="left")
        rest_state = None if is_state is None else is_state.gather(rest["row"])
        new = window.judge(rest.drop("row"), rest_state)
        verdicts = pl.repeat(Verdict.NEW, prints.height, dtype=pl.UInt8, eager=True)
        verdicts = verdicts.scatter(rest["row"], new)
        return verdicts.scatter(judged["row"], judged["verdict"])
