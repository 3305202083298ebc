"""What the generated pages share: where the project is, and Markdown tables."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

PROJECT_DIR: Final = Path(__file__).resolve().parents[2]
_WIDTH: Final = 118


def notice(source: str) -> str:
    """Return the sentence that says what a page is made from, and by what."""
    return f"Made from {source} by `python -m tools.reference`; do not edit it by hand."


def paragraph(*sentences: str) -> str:
    """Return the sentences as one paragraph, in lines as the other pages have them."""
    text = " ".join(sentences)
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; what a cell holds cannot end it."""
    return [
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
        *(f"| {' | '.join(_cell(value) for value in row)} |" for row in rows),
    ]


def page(lines: Iterable[str]) -> str:
    """Return the text of a file of these lines."""
    return "\n".join(lines) + "\n"


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")
