"""What arriving rows are beside each other: repeated, contradicted, or a newer state of an item."""

from enum import IntEnum

import polars as pl


class Verdict(IntEnum):
    """What the window says about a row."""

    NEW = 0
    DUPLICATE = 1
    CONFLICT = 2


def judge_repeated(rows: pl.DataFrame) -> pl.Series:
    """Return the verdicts on rows of which no key was known, but which may repeat each other."""
    verdict = (
        pl.when(pl.int_range(pl.len()).over("key") == 0)
        .then(Verdict.NEW)
        .when(pl.col("payload") == pl.col("payload").first().over("key"))
        .then(Verdict.DUPLICATE)
        .otherwise(Verdict.CONFLICT)
    )
    return rows.select(verdict.cast(pl.UInt8)).to_series()


def judge_states(rows: pl.DataFrame, verdicts: pl.Series) -> pl.Series:
    """Return the verdicts, those on states by the row before them of the same item.

    A first row of its item keeps the verdict that it had beside the rows known before. A dated
    row that is not new says nothing of what is newest.
    """
    counted = rows.with_columns(verdict=verdicts, item=state_key(rows)).filter(
        pl.col("is_state") | ((verdicts == Verdict.NEW) & pl.col("item").is_not_null())
    )
    before = pl.struct("is_state", "payload").shift(1).over("item")
    judged = counted.with_columns(before=before).filter("is_state")
    repeats = pl.col("before").struct.field("is_state") & (
        pl.col("before").struct.field("payload") == pl.col("payload")
    )
    verdict = (
        pl.when(pl.col("before").struct.field("is_state").is_null())
        .then("verdict")
        .when(repeats)
        .then(Verdict.DUPLICATE)
        .otherwise(Verdict.NEW)
        .cast(pl.UInt8)
    )
    judged = judged.select("row", verdict=verdict)
    return verdicts.scatter(judged["row"], judged["verdict"])


def newest_states(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out the states that a later row of their item, dated or not, has replaced."""
    if not rows.height:
        return rows
    is_last = rows.select(state_key(rows)).to_series().is_last_distinct()
    return rows.filter(is_last | ~pl.col("is_state"))


def state_key(rows: pl.DataFrame) -> pl.Expr:
    """Return the key that a state of the row's item has; null where a row is of no item."""
    if "state_key" in rows.columns:
        return pl.col("state_key")
    return pl.when("is_state").then("key")
