"""A picture of the comparison: hit rates, and where the difference lies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INK = "#333333"
POPULARITY = "#8d6a9f"
MODEL = "#2a6f97"


def plot(
    path: Path, popularity: float, rates: Sequence[float], differences: NDArray[np.float64]
) -> None:
    """Write the picture (PNG). `differences` are bootstrap means of model less popularity."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = ["popularity", *(f"seed {number}" for number in range(1, len(rates) + 1))]
    bars = left.bar(names, [popularity, *rates], color=[POPULARITY, *[MODEL] * len(rates)])
    left.bar_label(bars, fmt="%.3f", padding=2)
    left.set_title("HR@10 on the test, whole catalogue")
    left.tick_params(axis="x", rotation=30)
    right.hist(differences, bins=60, color=MODEL)
    low, high = np.quantile(differences, [0.025, 0.975])
    for place in (low, high):
        right.axvline(place, color=INK, linestyle="--", linewidth=1)
    right.axvline(0, color=INK, linewidth=1)
    right.set_title(f"factorisation less popularity, 95 %: {low:.3f} to {high:.3f}")
    right.set_xlabel("difference of HR@10, users drawn with replacement")
    for axes in (left, right):
        _tidy(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=110)


def _tidy(axes: Any) -> None:
    axes.title.set_fontsize(10)
    axes.title.set_fontweight("bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
