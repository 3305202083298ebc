"""Writes a card as Markdown (CommonMark with tables, as GitHub and Hugging Face show it).

Texts are escaped so that none makes a link, an element, a column or a line; bars of a picture are
rows of a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lakehouse.training.card.blocks import (
    Bar,
    Block,
    Card,
    Code,
    Grid,
    Paragraph,
    Picture,
    Pictures,
    clean,
)
from lakehouse.training.card.html import clean_line

_MARKS: Final = re.compile(r"([\\`*_{}\[\]#!|~@$^]|(?<!\d):|:(?!\d))")
_FIRST: Final = re.compile(r"^([-+>=]|\d+[.)](?=\s|$))")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def card_markdown(card: Card) -> str:
    """Return the document."""
    parts = [f"# {escaped(card.title)}"]
    for section in card.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_WRITERS[type(block)](block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text of one line that stands for itself alone, in a cell or a paragraph."""
    marked = re.sub("[&<>]", lambda match: _ENTITIES[match[0]], _MARKS.sub(r"\\\1", clean(text)))
    # www.… becomes a link without any mark
    linkless = re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:-1]}&#46;", marked)
    return _FIRST.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", linkless)


def _paragraph(block: Paragraph) -> str:
    return f"> **Note:** {escaped(block.text)}" if block.kind == "warning" else escaped(block.text)


def _grid(block: Grid) -> str:
    marks = ["---:" if place in block.numbers else "---" for place in range(len(block.header))]
    return _table(block.header, marks, block.rows)


def _code(block: Code) -> str:
    lines = [clean_line(line) for line in block.text.strip("\n").split("\n")]
    longest = max((len(run) for run in re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{block.language}", *lines, fence])


def _pictures(block: Pictures) -> str:
    return "\n\n".join(_picture(picture) for picture in block.pictures)


def _picture(picture: Picture) -> str:
    def share(bar: Bar) -> tuple[str, ...]:
        return bar.name, f"{bar.positives:.1%}", f"{bar.negatives:.1%}"

    header = ("bin" if picture.is_number else "value", "of the positives", "of the negatives")
    table = _table(header, ["---", "---:", "---:"], [share(bar) for bar in picture.bars])
    return f"### {escaped(picture.name)}\n\n{escaped(picture.caption)}\n\n{table}"


def _table(header: Sequence[str], marks: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[escaped(cell) for cell in row] for row in rows]
    told = [[escaped(name) for name in header], [*marks], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in told)


_WRITERS: Final[Mapping[type[Block], Callable[[Any], str]]] = {
    Paragraph: _paragraph,
    Grid: _grid,
    Code: _code,
    Pictures: _pictures,
}
