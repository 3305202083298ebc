"""Reasons and warnings of rows as tables: those of the reader beside those of the validator."""

from typing import Final

import polars as pl

from lakehouse.contracts.reasons import EXPLANATIONS, WARNINGS, ReasonCode, WarningCode

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


def header_rows(repeated: pl.Series, other: pl.Series) -> pl.DataFrame:
    """Return the reason of rows that name columns: again, or `other` ones."""
    meaning = EXPLANATIONS[ReasonCode.REPEATED_HEADER].meaning
    said = "the row names columns, as a header does, and under others than theirs"
    found = [_of_rows(repeated, ReasonCode.REPEATED_HEADER, meaning)]
    found.append(_of_rows(other, ReasonCode.REPEATED_HEADER, said))
    return pl.concat(found).sort("row", maintain_order=True)


def named_rows(rows: pl.Series) -> pl.DataFrame:
    """Return the warning of rows that are called as columns are."""
    code = WarningCode.COLUMN_NAMES
    return _of_rows(rows, code, WARNINGS[code].meaning)


def _of_rows(rows: pl.Series, code: ReasonCode | WarningCode, message: str) -> pl.DataFrame:
    return (
        rows.alias("row")
        .to_frame()
        .select(
            "row",
            code=pl.lit(code.value),
            field=pl.lit(""),
            column=pl.lit(""),
            message=pl.lit(message),
        )
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
