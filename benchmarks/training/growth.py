"""How cost grows with the number of interactions: an exponent per model."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

MEASURABLE_SECONDS: Final = 1.0
"""Below this at the largest size a model's seconds are the engine's overhead."""


def growth(cases: Sequence[dict[str, Any]], what: str = "by_model") -> dict[str, float]:
    """Return the exponent b of seconds = a · interactions^b per model, and for all as `total`.

    A least-squares line through the logarithms; the run without new rows is subtracted already.
    `what` is `by_model`, seconds by the clock, or `processor_by_model`.
    """
    sizes = [case["interactions"] for case in cases]
    lines = seconds_by_model(cases, what)
    lines["total"] = [sum(seconds) for seconds in zip(*lines.values(), strict=True)]
    return {
        name: exponent(sizes, seconds)
        for name, seconds in lines.items()
        if seconds[-1] >= MEASURABLE_SECONDS
    }


def seconds_by_model(
    cases: Sequence[dict[str, Any]], what: str = "by_model"
) -> dict[str, list[float]]:
    """Return the full refresh's seconds per model, one for each case."""
    runs = [case["full_refresh"][what] for case in cases]
    return {name: [run[name] for run in runs] for name in runs[0]}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log(seconds) over log(size)."""
    floor = 0.01
    slope, _ = np.polyfit(np.log(sizes), np.log(np.maximum(seconds, floor)), 1)
    return round(float(slope), 3)
