"""A picture of published training sets: how popularity, labels and negatives lie.

Reads counts per item and kind, never users. One row of three panels per tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import whole_file
from lakehouse.training.manifest import TRAINING_DATA, Manifest
from lakehouse.training.rows import tenant_batches

POSITIVE: Final = "#2a6f97"
SAMPLED: Final = "#e07a5f"
EXPLICIT: Final = "#8d6a9f"
_INK: Final = "#333333"
_GRID: Final = "#e6e6e6"
_STYLE: Final[Any] = {
    "font.size": 9,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


def plot_training_sets(lake: Lake, manifests: Sequence[Manifest], path: Path) -> Path:
    """Write the picture of the snapshots to `path` (PNG), replacing it whole; return `path`."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12, 3.7 * len(manifests)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(manifests), 3, squeeze=False)
        for manifest, (popularity, labels, comparison) in zip(manifests, grid, strict=True):
            counts = item_counts(lake, manifest)
            _plot_popularity(popularity, manifest, counts)
            _plot_labels(labels, manifest)
            _plot_comparison(comparison, counts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            figure.savefig(partial, format="png", dpi=110)
    return path


def item_counts(lake: Lake, manifest: Manifest) -> pl.DataFrame:
    """Return item_id, positives and negatives (sampled), one row per item of a snapshot."""
    columns = ["tenant_id", "item_id", "label", "negative_type"]
    parts = [
        rows.group_by("item_id").agg(
            positives=(pl.col("label") == 1).sum().cast(pl.Int64),
            negatives=(pl.col("negative_type") == "sampled").sum().cast(pl.Int64),
        )
        for rows in tenant_batches(lake, manifest, TRAINING_DATA, columns)
    ]
    return pl.concat(parts).group_by("item_id").sum().sort("item_id")


def _plot_popularity(axes: Any, manifest: Manifest, counts: pl.DataFrame) -> None:
    for column, colour, name in (
        ("positives", POSITIVE, "positives"),
        ("negatives", SAMPLED, "sampled negatives"),
    ):
        ordered = counts.get_column(column).sort(descending=True)
        ordered = ordered.filter(ordered > 0)
        ranks = range(1, ordered.len() + 1)
        axes.plot(ranks, ordered.to_numpy(), color=colour, linewidth=1.8, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(f"{manifest.tenant_id}: popularity of items")
    axes.set_xlabel("rank of the item")
    axes.set_ylabel("examples with the item")
    axes.legend()


def _plot_labels(axes: Any, manifest: Manifest) -> None:
    counts = manifest.counts
    bars = (
        ("positive", counts.positives, POSITIVE),
        ("sampled\nnegative", counts.sampled_negatives, SAMPLED),
        ("explicit\nnegative", counts.explicit_negatives, EXPLICIT),
    )
    drawn = axes.bar([name for name, _, _ in bars], [count for _, count, _ in bars], width=0.6)
    for bar, (_, _, colour) in zip(drawn, bars, strict=True):
        bar.set_color(colour)
    axes.bar_label(drawn, labels=[f"{count:,}" for _, count, _ in bars], padding=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
    axes.set_title(f"labels, k = {manifest.parameters.negatives_per_positive}")
    axes.set_ylabel("examples")


def _plot_comparison(axes: Any, counts: pl.DataFrame) -> None:
    axes.scatter(
        counts.get_column("positives").to_numpy(),
        counts.get_column("negatives").to_numpy(),
        s=9,
        alpha=0.45,
        linewidths=0,
        color=SAMPLED,
    )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=-0.3)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title("negatives against popularity")
    axes.set_xlabel("positives with the item")
    axes.set_ylabel("sampled negatives with the item")
