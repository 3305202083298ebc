"""Cells of CSV files that people open in a spreadsheet program, which runs what begins with `=`.

Such a cell gets an apostrophe in front, as spreadsheets write a text that is no formula. `plain`
takes it off again, so an export that is mended and sent back holds what it held.
"""

import re
from typing import Final

FORMULA: Final = r"^[=@\t\r+-]"
"""What a spreadsheet may run, as Python and polars read it; a `NUMBER` is none."""
NUMBER: Final = r"^[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?$"
MARK: Final = "'"

_FORMULA: Final = re.compile(FORMULA)
_NUMBER: Final = re.compile(NUMBER[1:-1])
_MARKED: Final = re.compile(f"{MARK}+[=@\\t\\r+-]")


def neutral(cell: str) -> str:
    """Return the cell as no spreadsheet program runs it."""
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return MARK + cell if is_formula or _MARKED.match(cell) else cell


def plain(cell: str) -> str:
    """Return what `neutral` was given."""
    return cell[1:] if _MARKED.match(cell) else cell
