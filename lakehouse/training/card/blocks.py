"""What a card is made of: one document, written as HTML and as Markdown, which cannot disagree.

Every text in it may be a tenant's. So none has markup, and both writers escape all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_CHARACTERS: Final = 80
"""Of a name that a tenant has chosen."""
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text. `kind` is `plain`, `quiet`, or `warning` for what a reader must not miss."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; `numbers` are the places of the columns that hold numbers.

    Without names in the header it is a list of facts: what, and how much.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of a program or a shell."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin or text of a feature: its name, and its share of the positives and the negatives."""

    name: str
    positives: float
    negatives: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The distribution of one feature. Numbers have bins in order, texts a line each."""

    name: str
    caption: str
    bars: Sequence[Bar]
    is_number: bool


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures side by side, under one legend."""

    pictures: Sequence[Picture]


Block = Paragraph | Grid | Code | Pictures


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Card:
    """A whole card."""

    title: str
    sections: Sequence[Section]


def clean(text: str) -> str:
    """Return a text on one line without characters that are not seen, or that turn the line.

    Control characters, and those that change the direction of what follows, become `\ufffd`.
    """
    one_line = " ".join(re.split(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+", text))
    return _SURROGATE.sub("\ufffd", _UNSEEN.sub("\ufffd", one_line)).strip()


def short(text: str) -> str:
    """Return a cleaned text, cut where it is long."""
    cleaned = clean(text[: 4 * MOST_CHARACTERS])
    is_long = len(cleaned) > MOST_CHARACTERS or len(text) > 4 * MOST_CHARACTERS
    return f"{cleaned[:MOST_CHARACTERS]}…" if is_long else cleaned
