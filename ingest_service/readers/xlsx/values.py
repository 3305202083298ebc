"""What a cell says, as a text: numbers with the digits that the file has, dates by their format."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from openpyxl.styles.numbers import is_date_format
from openpyxl.utils.datetime import from_excel

from ingest_service.readers.table.columns import LARGEST_EXACT
from ingest_service.readers.xlsx.cells import Cell
from ingest_service.readers.xlsx.strings import SharedStrings, unescaped
from lakehouse.contracts.times import typed_time

_WHOLE: Final = re.compile(r"-?[0-9]{1,400}")
_ZEROS: Final = re.compile(r"0{2,400}")
EXACT_DIGITS: Final = 15
"""What spreadsheets keep of a number."""
_MOST_WHOLE: Final = 10**18


class Trait(StrEnum):
    """What is told of a cell that names something, or of one without a value."""

    PLAIN = "plain"
    TYPED = "typed"
    LONG = "long"
    NOT_COMPUTED = "not_computed"


class CellValue(NamedTuple):
    """A cell's text, or the time that it is, and what is to be told of it."""

    text: str | None = None
    moment: datetime | None = None
    trait: Trait = Trait.PLAIN
    is_number: bool = False


class CellReader:
    """Reads cells of one workbook. `formats`: number formats by style; dates count from `epoch`."""

    def __init__(self, strings: SharedStrings, formats: Sequence[str], epoch: datetime) -> None:
        self._strings = strings
        self._epoch = epoch
        self._is_date = [bool(one) and bool(is_date_format(one)) for one in formats]
        self._zeros = [len(one) if _ZEROS.fullmatch(one) else 0 for one in formats]

    def value(self, cell: Cell) -> CellValue:
        """Return what a cell says."""
        kind, text = cell.kind, cell.text
        if text is None or (not text and cell.has_formula and kind != "str"):
            return CellValue(trait=Trait.NOT_COMPUTED)
        if kind == "s":
            return CellValue(self._strings[int(text) if text.strip().isdecimal() else -1])
        if kind in ("str", "inlineStr"):
            return CellValue(unescaped(text))
        if not text:
            return CellValue()
        if kind == "b":
            word = {"1": "true", "0": "false"}.get(text.strip(), text)
            return CellValue(word, trait=Trait.TYPED)
        if kind == "e":
            return CellValue(text)
        if kind == "d":
            return self._iso(text)
        return self._number(text.strip(), cell.style)

    def _number(self, text: str, style: str) -> CellValue:
        at = int(style) if style.isdecimal() and len(style) < 8 else 0
        if at < len(self._is_date) and self._is_date[at]:
            return self._moment(text)
        if _WHOLE.fullmatch(text):
            return _whole(int(text), self._zeros[at] if at < len(self._zeros) else 0)
        try:
            number = float(text)
        except ValueError:
            return CellValue(text)
        if number.is_integer() and abs(number) < _MOST_WHOLE:
            return _whole(int(number), self._zeros[at] if at < len(self._zeros) else 0)
        trait = Trait.LONG if abs(number) >= LARGEST_EXACT else Trait.TYPED
        return CellValue(repr(number), trait=trait, is_number=True)

    def _moment(self, text: str) -> CellValue:
        try:
            found = from_excel(float(text), self._epoch)
        except (ValueError, OverflowError):
            return CellValue(text, trait=Trait.TYPED)
        if isinstance(found, datetime):
            return CellValue(moment=found, trait=Trait.TYPED)
        if isinstance(found, date):
            return CellValue(moment=datetime(found.year, found.month, found.day), trait=Trait.TYPED)
        if isinstance(found, time | timedelta):
            return CellValue(str(found), trait=Trait.TYPED)
        return CellValue(text, trait=Trait.TYPED)

    def _iso(self, text: str) -> CellValue:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return CellValue(text, trait=Trait.TYPED)
        return CellValue(moment=found, trait=Trait.TYPED)


def _whole(number: int, zeros: int) -> CellValue:
    """Return a whole number, with the zeros before it that its format shows."""
    text = str(number)
    if number >= 0 and len(text) < zeros:
        return CellValue(text.zfill(zeros), trait=Trait.TYPED)
    is_long = len(text.lstrip("-")) > EXACT_DIGITS
    return CellValue(text, trait=Trait.LONG if is_long else Trait.PLAIN)


def moment_text(moment: datetime, *, as_time: bool) -> str:
    """Return a time as `times.typed_time` writes it, or as a person would in a text."""
    if as_time:
        return typed_time(moment)
    if moment.time() == time():
        return moment.date().isoformat()
    return moment.isoformat()
