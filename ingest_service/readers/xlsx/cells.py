"""The cells of a sheet, row by row, as the file has them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final, NamedTuple

from ingest_service.readers.table.columns import MAX_CELL_BYTES, cell_too_long
from ingest_service.readers.xlsx.faults import damaged_workbook
from ingest_service.readers.xlsx.xml_stream import XmlStream

MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
MOST_MERGED: Final = 10_000
"""Merged ranges that are looked at."""
_DIGITS: Final = "0123456789"
_NO_ATTRIBUTE: Final = ""


class Cell(NamedTuple):
    """A cell: its column from 0, its type and style as written, its text; None without a value."""

    column: int
    kind: str
    style: str
    text: str | None
    has_formula: bool


@dataclass(slots=True)
class SheetRow:
    """A row that has cells, and its number from 1."""

    number: int
    cells: list[Cell] = field(default_factory=list)


class SheetStream(XmlStream):
    """Reads the rows of a sheet, then which cells are merged: `merged` is complete at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.merged: list[str] = []
        self._rows: list[SheetRow] = []
        self._row = SheetRow(0)
        self._column = -1
        self._kind = self._style = ""
        self._parts: list[str] = []
        self._size = 0
        self._takes_text = self._has_value = self._has_formula = False
        self._in_aid = 0
        self._columns: dict[str, int] = {}

    def rows(self, file: IO[bytes]) -> Iterator[SheetRow]:
        """Yield the rows that have cells; raises `FileRefusedError`."""
        for _ in self.run(file):
            yield from self._rows
            self._rows.clear()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take in the start of an element."""
        if name == "c":
            self._begin_cell(attributes)
        elif name in ("v", "t"):
            self._takes_text = not self._in_aid
            self._has_value = True
        elif name == "f":
            self._has_formula = True
        elif name == "row":
            self._begin_row(attributes.get("r"))
        elif name == "rPh":
            self._in_aid += 1
        elif name == "mergeCell" and len(self.merged) < MOST_MERGED:
            self.merged.append(attributes.get("ref", ""))

    def end(self, name: str) -> None:
        """Take in its end."""
        if name in ("v", "t"):
            self._takes_text = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            if self._row.cells:
                self._rows.append(self._row)
        elif name == "rPh":
            self._in_aid -= 1

    def text(self, data: str) -> None:
        """Take in a piece of text."""
        if self._takes_text:
            self._parts.append(data)
            self._size += len(data)
            if self._size > MAX_CELL_BYTES:
                raise cell_too_long(column_letters(self._column), f"row {self._row.number:,}")

    def _begin_row(self, written: str | None) -> None:
        number = self._row.number + 1 if written is None else _number(written)
        if not self._row.number < number <= MOST_ROWS:
            raise damaged_workbook(f"a row has the number {number:,} behind {self._row.number:,}")
        self._row = SheetRow(number)
        self._column = -1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        place = attributes.get("r")
        column = self._column + 1 if place is None else self._column_of(place)
        if not self._column < column < MOST_COLUMNS:
            raise damaged_workbook(f"the cells of row {self._row.number:,} are not in order")
        self._column = column
        self._kind, self._style = attributes.get("t", ""), attributes.get("s", "")
        self._size = 0
        self._has_value = self._has_formula = False

    def _end_cell(self) -> None:
        text = "".join(self._parts) if self._has_value else None
        self._parts.clear()
        if text is not None or self._has_formula:
            self._row.cells.append(
                Cell(self._column, self._kind, self._style, text, self._has_formula)
            )

    def _column_of(self, place: str) -> int:
        letters = place.rstrip(_DIGITS)
        found = self._columns.get(letters)
        if found is None:
            if not 0 < len(letters) <= 3 or not letters.isascii() or not letters.isalpha():
                raise damaged_workbook("a cell has no place in the grid")
            found = column_number(letters)
            self._columns[letters] = found
        return found


def column_number(letters: str) -> int:
    """Return the number of a column from 0: A is 0, AA is 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def column_letters(number: int) -> str:
    """Return what spreadsheets call a column."""
    letters = ""
    number += 1
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
