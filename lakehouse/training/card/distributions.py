"""The features of a snapshot in a card: a table of their figures, and a picture each.

Values of a column that is marked as personal are not shown, and no text that is the id of a user
or an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import polars as pl

from lakehouse.training.card.blocks import Bar, Block, Grid, Paragraph, Picture, Pictures, short
from lakehouse.training.card.counting import NumberCounts, TextCounts
from lakehouse.training.card.drift import TOP, decile_edges, rows_by_bin
from lakehouse.training.card.figures import Feature, Figures
from lakehouse.training.card.gather import Contents
from lakehouse.training.card.meanings import UNKNOWN, Meaning

_HEADER: Final = (
    "feature",
    "with a value",
    "least",
    "10 %",
    "median",
    "90 %",
    "greatest",
    "meaning",
)
_SHOWN: Final = (0.0, 0.1, 0.5, 0.9, 1.0)
_PERSONAL: Final = "for values of columns that are marked as personal are not shown"
_HIDDEN: Final = "(an id or a long text, not shown)"
_MOST_WHOLE: Final = 1e9


def feature_table(found: Contents) -> list[Block]:
    """Return one row per feature: values, nulls, quantiles, meaning."""
    assert found.figures is not None
    rows = [_row(found, name, counts) for name, counts in found.figures.features.items()]
    every = found.figures.rows
    for name, nulls in found.figures.other.items():
        blank = [""] * len(_SHOWN)
        rows.append((name, _percent(every - nulls, every), *blank, _text(found, name)))
    blocks: list[Block] = [Grid(_HEADER, rows, frozenset(range(1, 7)))]
    said = (
        f"Over all {every:,} rows, none left out. Numbers are rounded to three significant digits."
    )
    blocks.append(Paragraph(said, "quiet"))
    blocks += [Paragraph(text) for text in _exceptions(found.figures)]
    return blocks


def distributions(found: Contents) -> list[Block]:
    """Return the pictures, and which features have none."""
    assert found.figures is not None
    pictures, personal, empty = [], [], []
    for name, counts in found.figures.features.items():
        if _meaning(found, name).is_personal:
            personal.append(short(name))
        elif picture := _picture(found, name, counts):
            pictures.append(picture)
        else:
            empty.append(short(name))
    blocks: list[Block] = []
    if pictures:
        said = (
            "Numbers lie in bins between their own deciles, texts are the ten most frequent. Bars "
            "are shares among the rows of the same label that have a value."
        )
        blocks += [Paragraph(said, "quiet"), Pictures(pictures)]
    if personal:
        blocks.append(Paragraph(f"No picture, {_PERSONAL}: {', '.join(personal)}."))
    if empty:
        blocks.append(Paragraph(f"No picture, for no row has a value: {', '.join(empty)}."))
    if found.figures.other:
        names = ", ".join(short(name) for name in found.figures.other)
        blocks.append(Paragraph(f"No picture, for the card does not draw their type: {names}."))
    return blocks


def number(value: float) -> str:
    """Return a number as people write it, with at most three significant digits if not whole."""
    if value == round(value) and abs(value) < _MOST_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantiles(counts: NumberCounts) -> list[float]:
    """Return the values at `_SHOWN`; empty where there is none."""
    values = counts.counts.with_columns(below=pl.col("rows").cum_sum())
    if values.is_empty():
        return []
    total = values.item(-1, "below")
    reached = (values.filter(pl.col("below") >= share * total) for share in _SHOWN)
    return [float(found.item(0, "value")) for found in reached]


def _row(found: Contents, name: str, counts: Feature) -> tuple[str, ...]:
    with_value = _percent(counts.rows - counts.nulls, counts.rows)
    figures = [""] * len(_SHOWN)
    if isinstance(counts, NumberCounts) and not _meaning(found, name).is_personal:
        figures = [number(value) for value in quantiles(counts)] or figures
    return (short(name), with_value, *figures, _text(found, name))


def _exceptions(figures: Figures) -> list[str]:
    told = []
    for name, counts in figures.features.items():
        if isinstance(counts, NumberCounts) and counts.not_finite:
            rows = f"{counts.not_finite:,} rows"
            told.append(f"{short(name)}: {rows} are NaN or infinite, in no quantile and no bin.")
        if isinstance(counts, TextCounts) and counts.error:
            told.append(
                f"{short(name)}: very many different texts; counts of the most frequent may be "
                f"short by up to {counts.error:,} rows each."
            )
    return told


def _picture(found: Contents, name: str, counts: Feature) -> Picture | None:
    assert found.figures is not None
    values = counts.counts
    if values.is_empty():
        return None
    positives = int(values.get_column("positives").sum())
    negatives = int(values.get_column("rows").sum()) - positives
    if isinstance(counts, NumberCounts):
        edges = decile_edges(counts)
        by_bin = zip(
            _bins(edges, quantiles(counts)[-1]),
            rows_by_bin(counts, edges, "positives"),
            rows_by_bin(counts, edges),
            strict=True,
        )
        bars = [_bar(told, held, rows, positives, negatives) for told, held, rows in by_bin if rows]
        return Picture(short(name), f"{len(bars)} bins, upper ends included", bars, is_number=True)
    if isinstance(counts, TextCounts):
        # texts beyond the counted ones have rows, too
        top = values.head(TOP)
        ids = found.is_identifier(top.get_column("value").to_list())
        bars = [
            _bar(_HIDDEN if is_id else short(text) or "(blank)", held, rows, positives, negatives)
            for (text, held, rows), is_id in zip(top.iter_rows(), ids, strict=True)
        ]
        return Picture(short(name), _texts_told(counts, values.height), bars, is_number=False)
    return None


def _texts_told(counts: TextCounts, height: int) -> str:
    if counts.error:
        return f"the {TOP} most frequent of more than {height:,} texts"
    if height > TOP:
        return f"the {TOP} most frequent of {height:,} texts"
    return "1 text" if height == 1 else f"all {height:,} texts"


def _bins(edges: Sequence[float], greatest: float) -> list[str]:
    """Name the bins by their ends."""
    names = [f"≤ {number(edges[0])}"]
    for low, high in pairwise(edges):
        names.append(f"{number(low)} – {number(high)}")
    return [*names, f"{number(edges[-1])} – {number(greatest)}"]


def _bar(name: str, held: int, rows: int, positives: int, negatives: int) -> Bar:
    return Bar(name, held / (positives or 1), (rows - held) / (negatives or 1))


def _meaning(found: Contents, name: str) -> Meaning:
    return found.meanings.get(name.partition("[")[0], UNKNOWN)


def _text(found: Contents, name: str) -> str:
    return _meaning(found, name).text


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
