"""A card as a JSON document, and back: kept beside the manifest, it becomes HTML or Markdown later.

`format` is 1: within it fields are added, and none changes its meaning. A block says by `kind` what
it is: paragraph, grid, code or pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import isfinite
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
    Section,
)

FORMAT: Final = 1
_KINDS: Final[Mapping[type[Block], str]] = {
    Paragraph: "paragraph",
    Grid: "grid",
    Code: "code",
    Pictures: "pictures",
}


def card_document(card: Card) -> bytes:
    """Return the document."""
    sections = [
        {"title": section.title, "blocks": [_block(block) for block in section.blocks]}
        for section in card.sections
    ]
    document = {"format": FORMAT, "title": card.title, "sections": sections}
    return f"{json.dumps(document, ensure_ascii=False)}\n".encode(errors="backslashreplace")


def read_card(document: bytes) -> Card:
    """Return the card of a document; raises `ValueError` for what is none."""
    try:
        found = json.loads(document)
        if found["format"] != FORMAT:
            raise ValueError(f"a card of format {found['format']}")
        sections = [
            Section(str(one["title"]), [_READERS[block["kind"]](block) for block in one["blocks"]])
            for one in found["sections"]
        ]
        return Card(str(found["title"]), sections)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("this is no card") from error


def _block(block: Block) -> dict[str, Any]:
    told = {"kind": _KINDS[type(block)], **asdict(block)}
    if isinstance(block, Grid):
        told["numbers"] = sorted(block.numbers)
    if isinstance(block, Paragraph):
        told["style"] = block.kind
        told["kind"] = _KINDS[Paragraph]
    return told


def _grid(block: Mapping[str, Any]) -> Grid:
    header, rows = block["header"], block["rows"]
    return Grid(
        _texts(header), [_texts(row) for row in rows], frozenset(map(int, block["numbers"]))
    )


def _paragraph(block: Mapping[str, Any]) -> Paragraph:
    style = block["style"]
    if style not in ("plain", "quiet", "warning"):
        raise ValueError("this is no card")
    return Paragraph(str(block["text"]), style)


def _pictures(block: Mapping[str, Any]) -> Pictures:
    return Pictures(
        [
            Picture(
                str(one["name"]),
                str(one["caption"]),
                _bars(one["bars"]),
                bool(one["is_number"]),
            )
            for one in block["pictures"]
        ]
    )


def _bars(bars: list[Any]) -> list[Bar]:
    found = [
        Bar(str(bar["name"]), _share(bar["positives"]), _share(bar["negatives"])) for bar in bars
    ]
    if not found:  # a picture of nothing has no scale
        raise ValueError("this is no card")
    return found


def _share(value: Any) -> float:
    share = float(value)
    if not (isfinite(share) and share >= 0):
        raise ValueError("this is no card")
    return share


def _code(block: Mapping[str, Any]) -> Code:
    language = str(block["language"])
    if not language.isalnum():
        raise ValueError("this is no card")
    return Code(language, str(block["text"]))


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Block]]] = {
    "paragraph": _paragraph,
    "grid": _grid,
    "code": _code,
    "pictures": _pictures,
}
