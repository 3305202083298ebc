"""Cells of CSV files that people open in a spreadsheet program, which runs what begins with `=`.

Such a cell gets an apostrophe in front, as spreadsheets write a text that is no formula. `plain`
takes it off again, so an export that is corrected and sent back holds what it held.
"""

import re
from typing import Final

_LEADING: Final = (
    r"\x00-\x20\x7f-\xa0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u3000\ufe00-\ufe0f\ufeff"
)
"""White space and invisible characters: programs trim them, or read over them."""
_STARTS: Final = r"=@+\-\uff1d\uff20\uff0b\uff0d\ufe66\ufe6b\ufe62\ufe63\u2212"
"""The signs that begin a formula, their full-width and small forms, and the minus sign."""
FORMULA: Final = rf"^(?:[\t\r\n]|[{_LEADING}]*[{_STARTS}])"
"""What a spreadsheet may run, as Python and polars read it (OWASP, "CSV Injection"): a cell that
begins with such a sign, whatever stands invisibly before it, or with a tab or a line end. A
`NUMBER` is none."""
NUMBER: Final = r"^[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?$"
MARK: Final = "'"

_FORMULA: Final = re.compile(FORMULA)
_NUMBER: Final = re.compile(NUMBER[1:-1])
_MARKED: Final = re.compile(f"{MARK}+{FORMULA[1:]}")


def neutral(cell: str) -> str:
    """Return the cell as no spreadsheet program runs it."""
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return MARK + cell if is_formula or _MARKED.match(cell) else cell


def plain(cell: str) -> str:
    """Return what `neutral` was given."""
    return cell[1:] if _MARKED.match(cell) else cell
