"""Reasons and warnings of rows as tables: those of the reader beside those of the validator."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode, WarningCode

REASON_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt32,
        "code": pl.String,
        "field": pl.String,
        "column": pl.String,
        "message": pl.String,
    }
)
WARNING_CODES: Final = [code.value for code in WarningCode]


def repeated_headers(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return a reason for each row that repeats the header.

    Each of its values, two at least, is the name of its column.
    """
    if len(columns) < 2:
        return REASON_SCHEMA.to_frame()
    # A header is likely to come again as it was; so most batches end here, at little cost.
    exact = (pl.col(name) == name for name in columns)
    if not frame.select(pl.any_horizontal(exact).any()).item():
        return REASON_SCHEMA.to_frame()
    same = [pl.col(name).str.strip_chars() == name for name in columns]
    rows = frame.select(
        row=pl.row_index().cast(pl.UInt32),
        is_header=pl.all_horizontal(one.fill_null(value=True) for one in same)
        & (pl.sum_horizontal(one.cast(pl.UInt32).fill_null(0) for one in same) > 1),
    ).filter("is_header")
    code = ReasonCode.REPEATED_HEADER
    return rows.select(
        "row",
        code=pl.lit(code.value),
        field=pl.lit(""),
        column=pl.lit(""),
        message=pl.lit(EXPLANATIONS[code].meaning),
    )


def divided(
    faults: pl.DataFrame | None, headers: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what makes rows wrong, and what is only odd about them."""
    if faults is None or not faults.height:
        return headers, REASON_SCHEMA.to_frame()
    is_warning = pl.col("code").is_in(WARNING_CODES)
    reasons = faults.filter(~is_warning)
    return pl.concat([reasons, besides(headers, reasons)]), faults.filter(is_warning)


def besides(found: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    """Drop what the reader's faults stand for."""
    whole = faults.filter(pl.col("column") == "")
    kept = found.join(whole, on="row", how="anti", maintain_order="left")
    return kept.join(faults, on=["row", "column"], how="anti", maintain_order="left")
