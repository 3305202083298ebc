"""Writes a card as one HTML file that asks for nothing: no script, its own style, its own pictures.

Every text is escaped and stands in an element of its own for its direction (`bdi`), so a name that
is written from right to left turns nothing but itself. The policy in the head allows the style by
its hash, and nothing else.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from lakehouse.training.card.blocks import (
    Block,
    Card,
    Code,
    Grid,
    Paragraph,
    Picture,
    Pictures,
    clean,
)
from lakehouse.training.card.pictures import columns_svg, line_svg

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_KEY: Final = (
    '<svg aria-hidden="true" width="12" height="12"><rect class="{}" width="12" height="12"/></svg>'
)


def card_html(card: Card) -> str:
    """Return the page."""
    body = "\n".join(
        f"<section>\n<h2>{_text(section.title)}</h2>\n"
        + "\n".join(_WRITERS[type(block)](block) for block in section.blocks)
        + "\n</section>"
        for section in card.sections
    )
    title = escape(clean(card.title))
    return _PAGE.format(policy=card_policy(), title=title, style=_style(), body=body)


@cache
def card_policy() -> str:
    """Return what a page may do: show its own style, and nothing else."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def _style() -> str:
    return files("lakehouse.training.card").joinpath("card.css").read_text("utf-8")


def _text(text: str) -> str:
    return f"<bdi>{escape(clean(text))}</bdi>"


def _paragraph(block: Paragraph) -> str:
    return f'<p class="{block.kind}">{escape(clean(block.text))}</p>'


def _grid(block: Grid) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        told = []
        for place, cell in enumerate(cells):
            kind = ' class="number"' if place in block.numbers else ""
            name, scope = (tag, "") if place or tag == "th" else ("th", ' scope="row"')
            told.append(f"<{name}{scope}{kind}>{_text(cell)}</{name}>")
        return f"<tr>{''.join(told)}</tr>"

    is_named = any(block.header)
    head = f"<thead>{row(block.header, 'th')}</thead>" if is_named else ""
    opened = "<table>" if is_named else '<table class="facts">'
    body = "\n".join(row(cells, "td") for cells in block.rows)
    return f'<div class="scroll">{opened}{head}<tbody>\n{body}\n</tbody></table></div>'


def _code(block: Code) -> str:
    lines = "\n".join(clean_line(line) for line in block.text.strip("\n").split("\n"))
    return f"<pre><code>{escape(lines)}</code></pre>"


def clean_line(line: str) -> str:
    """Return a cleaned line of code with its indentation."""
    return " " * (len(line) - len(line.lstrip(" "))) + clean(line)


def _pictures(block: Pictures) -> str:
    legend = "".join(
        f"<span>{_KEY.format(kind)}{text}</span>"
        for kind, text in (("positive", "share of the positives"), ("negative", "of the negatives"))
    )
    drawn = "\n".join(_picture(picture) for picture in block.pictures)
    return f'<div class="legend">{legend}</div>\n<div class="pictures">\n{drawn}\n</div>'


def _picture(picture: Picture) -> str:
    drawn = _columns(picture) if picture.is_number else _lines(picture)
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>"
    return f"<figure><h3>{_text(picture.name)}</h3>{drawn}{caption}</figure>"


def _columns(picture: Picture) -> str:
    return columns_svg(picture.bars, f"{picture.name}: {picture.caption}")


def _lines(picture: Picture) -> str:
    highest = max(max(bar.positives, bar.negatives) for bar in picture.bars) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{_text(bar.name)}</th><td class="bar">{line_svg(bar, highest)}</td>'
        f'<td class="number">{bar.positives:.1%} / {bar.negatives:.1%}</td></tr>'
        for bar in picture.bars
    )
    return f"<table><tbody>{rows}</tbody></table>"


_WRITERS: Final[Mapping[type[Block], Callable[[Any], str]]] = {
    Paragraph: _paragraph,
    Grid: _grid,
    Code: _code,
    Pictures: _pictures,
}
