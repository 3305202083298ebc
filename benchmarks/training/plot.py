"""A picture of the figures: seconds per model and engine, or how cost grows."""

from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.training.growth import MEASURABLE_SECONDS, seconds_by_model

SPARK: Final = "#2a6f97"
DUCKDB: Final = "#e07a5f"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the picture (PNG) of what `python -m benchmarks.training` found."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = [name for name in ("generated", "news") if "pairs" in result.get(name, {})]
    panels = 1 if "scale" in result else max(1, len(cases))
    figure = Figure(figsize=(6.5 * panels, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if "scale" in result:
        _draw_growth(axes[0], result)
    for name, panel in zip(cases, axes, strict=False):
        _draw_pairs(panel, name, result[name])
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=110)


def _draw_pairs(axes: Any, name: str, case: dict[str, Any]) -> None:
    models = list(case["pairs"][0]["spark"]["seconds"])
    for shift, engine, colour in ((-0.2, "spark", SPARK), (0.2, "duckdb", DUCKDB)):
        heights = [
            median(pair[engine]["seconds"][model] for pair in case["pairs"]) for model in models
        ]
        places = [place + shift for place in range(len(models))]
        bars = axes.bar(places, heights, width=0.38, color=colour, label=engine)
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_xticks(range(len(models)), [model.replace("_", "\n") for model in models])
    axes.set_ylabel("seconds (median)")
    axes.set_title(f"{name}: {case['interactions']:,} interactions", loc="left")
    axes.legend(frameon=False)


def _draw_growth(axes: Any, result: dict[str, Any]) -> None:
    cases = result["scale"]
    sizes = [case["interactions"] for case in cases]
    lines = {
        name: seconds
        for name, seconds in seconds_by_model(cases).items()
        if seconds[-1] >= MEASURABLE_SECONDS
    }
    for name, seconds in sorted(lines.items(), key=lambda line: -line[1][-1]):
        label = f"{name} ({result['growth'][name]:.2f})"
        axes.plot(sizes, seconds, marker="o", linewidth=1.6, markersize=4, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size / 1e6:g} M" for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("interactions")
    axes.set_ylabel("seconds of a full refresh")
    axes.set_title("how cost grows (fitted exponent)", loc="left")
    axes.grid(color="#e6e6e6")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
