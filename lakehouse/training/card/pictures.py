"""Pictures of distributions as SVG, which takes its colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from lakehouse.training.card.blocks import Bar, clean

_WIDTH: Final = 320
_HEIGHT: Final = 96
_BELOW: Final = 18
_LEFT: Final = 38
_GAP: Final = 4.0
_LINE_WIDTH: Final = 100
_LINE_HEIGHT: Final = 13


def columns_svg(bars: Sequence[Bar], label: str) -> str:
    """Return bins side by side: two columns each, the share of the positives and the negatives."""
    highest = max(max(bar.positives, bar.negatives) for bar in bars) or 1.0
    step = (_WIDTH - _LEFT) / len(bars)
    width = (min(step, 80) - _GAP) / 2
    parts = [_axis(highest)]
    for place, bar in enumerate(bars):
        middle = _LEFT + place * step + step / 2
        for share, kind, left in (
            (bar.positives, "positive", middle - width),
            (bar.negatives, "negative", middle),
        ):
            height = share / highest * (_HEIGHT - 12)
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{_HEIGHT - height:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"/>'
            )
        told = f"{bar.name}: {bar.positives:.1%} of the positives, {bar.negatives:.1%} of the rest"
        parts.append(
            f'<rect class="hit" x="{middle - step / 2:.1f}" y="0" width="{step:.1f}" '
            f'height="{_HEIGHT}"><title>{escape(clean(told))}</title></rect>'
        )
    parts.append(_names(bars))
    return (
        f'<svg role="img" aria-label="{escape(clean(label))}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT + _BELOW}">{"".join(parts)}</svg>'
    )


def line_svg(bar: Bar, highest: float) -> str:
    """Return one text's two shares, one above the other; their figures stand beside it."""
    half = (_LINE_HEIGHT - 1) / 2
    rects = "".join(
        f'<rect class="{kind}" x="0" y="{top:.1f}" width="{share / highest * _LINE_WIDTH:.1f}" '
        f'height="{half:.1f}"/>'
        for share, kind, top in (
            (bar.positives, "positive", 0.0),
            (bar.negatives, "negative", half + 1),
        )
    )
    size = f'width="{_LINE_WIDTH}" height="{_LINE_HEIGHT}"'
    return f'<svg aria-hidden="true" {size}>{rects}</svg>'


def _axis(highest: float) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="12" y2="12"/>'
        f'<text x="{_LEFT - 4}" y="16" text-anchor="end">{highest:.0%}</text>'
        f'<text x="{_LEFT - 4}" y="{_HEIGHT}" text-anchor="end">0</text>'
    )


def _names(bars: Sequence[Bar]) -> str:
    """Name the first and the last bin; the others are named where the pointer rests."""
    below = _HEIGHT + _BELOW - 4
    first, last = (escape(clean(bars[place].name)) for place in (0, -1))
    if len(bars) == 1:
        middle = (_LEFT + _WIDTH) / 2
        return f'<text x="{middle}" y="{below}" text-anchor="middle">{first}</text>'
    return (
        f'<text x="{_LEFT}" y="{below}">{first}</text>'
        f'<text x="{_WIDTH}" y="{below}" text-anchor="end">{last}</text>'
    )
