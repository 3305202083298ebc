"""Random tables, and the files that they are written as.

Each has a style of its own: ids or free texts, quotes where needed or everywhere, line ends within
quotes, lines of a text that look like rows, letters of any script, byte order marks within.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from lakehouse.contracts.layout import SourceLayout

DELIMITERS: Final = (",", ";", "\t", "|", "::", ", ", "~")
_WORDS: Final = (
    *("shoe", "27 inch", "blau", "Größe", "日本語", "עברית", "naïve", "x", "0", "3.50", "1,5", "é"),
    *(
        "2024-01-02",
        "10:20",
        "a b",
        "it's",
        "N/A",
        "\ufeffmark",
        "\U0001f600",
        "-",
        "(2)",
        "#1",
        "%",
    ),
)
_AWKWARD: Final = ("", "", '"', '""', "\n", "\r\n", ",", ";", "\t", "|", ":", "::", "\\", "'", " ")


@dataclass(frozen=True, slots=True)
class Style:
    """How a table is written. `quotes_all`: every field is quoted, not those alone that need it."""

    delimiter: str
    line_end: str
    quotes_all: bool
    ends_open: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A table and its file's text; `lines` are the lines that records begin on, from 1."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    style: Style
    records: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of the file."""
        text = "".join(self.records)
        return text.removesuffix(self.style.line_end) if self.style.ends_open else text

    @property
    def lines(self) -> list[int]:
        """The line that each row begins on."""
        lines, line = [], 1
        for record in self.records:
            lines.append(line)
            line += record.count("\n" if "\n" in self.style.line_end else "\r")
        return lines[1:]


def table(random: Random, *, most_rows: int = 30) -> Written:
    """Return a random table of two to nine columns."""
    columns = random.randint(2, 9)
    style = Style(
        random.choice(DELIMITERS),
        random.choice(["\n", "\r\n"]),
        random.random() < 0.3,
        random.random() < 0.2,
    )
    has_ids, share = random.random() < 0.5, random.choice([0, 0.02, 0.1, 0.4])
    header = tuple(f"column {n}" if random.random() < 0.1 else f"c{n}" for n in range(columns))
    rows = []
    for number in range(random.randint(1, most_rows)):
        cells = [_cell(random, share, style, columns) for _ in range(columns)]
        if has_ids:
            cells[0] = f"i{number}"
        if not any(cells):
            cells[-1] = "x"
        rows.append(tuple(cells))
    records = tuple(record(cells, style) for cells in (header, *rows))
    return Written(header, tuple(rows), style, records)


def record(cells: Sequence[str], style: Style) -> str:
    """Write one record."""
    return style.delimiter.join(_written(cell, style) for cell in cells) + style.line_end


def whole_records(text: str, style: Style) -> Iterator[tuple[str, ...]]:
    """Yield the records of a text up to the first that is none."""
    layout = SourceLayout(delimiter=style.delimiter)
    cell = r'(?:"[^"]*(?:""[^"]*)*"|(?:(?!' + re.escape(style.delimiter) + r')[^"\n])*)'
    one = re.compile(f"{cell}(?:{re.escape(style.delimiter)}{cell})*\\r?\\n")
    at = 0
    while found := one.match(text, at):
        yield from map(tuple, layout.csv_records(found[0]))
        at = found.end()


def _written(cell: str, style: Style) -> str:
    special = (style.delimiter, style.delimiter[0], '"', "\n", "\r")
    if style.quotes_all or any(one in cell for one in special) or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _cell(random: Random, share: float, style: Style, columns: int) -> str:
    if random.random() >= share:
        words = random.randint(0, 3)
        return " ".join(random.choice(_WORDS) for _ in range(words)).replace(style.delimiter, "")
    if random.random() < 0.1:
        like_a_row = style.delimiter.join(random.choice(_WORDS) for _ in range(columns))
        return f"said\n{like_a_row}\nand more"
    return "".join(random.choice([*_AWKWARD, *_WORDS]) for _ in range(random.randint(1, 6)))
