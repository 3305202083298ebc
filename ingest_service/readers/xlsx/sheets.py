"""Which sheet of a workbook holds the rows: the one that is named, or the only one that can."""

from collections.abc import Callable, Sequence
from typing import Final

from ingest_service.readers.xlsx.package import Sheet
from ingest_service.zip_archive import names_shown
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

_NAME_IT: Final = "name it with `sheet=NAME` (`eta upload --sheet NAME`), or give its number"


def chosen_sheet(
    sheets: Sequence[Sheet],
    wanted: str | None,
    is_filled: Callable[[Sheet], bool],
    fits: Callable[[Sheet], bool],
) -> Sheet:
    """Return the sheet to read; raises `FileRefusedError` where that is not sure.

    Without a name it is the only visible one that `is_filled`, or of several the only one whose
    first row has the columns (`fits`).
    """
    if wanted is not None:
        return _named(sheets, wanted)
    visible = [sheet for sheet in sheets if not sheet.is_hidden]
    filled = [sheet for sheet in visible if is_filled(sheet)]
    if not filled:
        hidden = [sheet.name for sheet in sheets if sheet.is_hidden]
        raise FileRefusedError(
            FileFault.EMPTY_FILE,
            "no sheet of the workbook that is shown holds anything"
            + (f"; hidden: {names_shown(hidden)}" if hidden else ""),
            remedy=f"if a hidden sheet holds the rows, {_NAME_IT}" if hidden else "add rows",
        )
    if len(filled) == 1:
        return filled[0]
    fitting = [sheet for sheet in filled if fits(sheet)]
    if len(fitting) == 1:
        return fitting[0]
    could = fitting or filled
    raise FileRefusedError(
        FileFault.SEVERAL_SHEETS,
        f"{len(could)} sheets of the workbook "
        + ("have the columns" if fitting else "hold something, and none has the columns")
        + f": {names_shown([sheet.name for sheet in could])}",
        remedy=_NAME_IT if fitting else f"{_NAME_IT}; a mapping names the columns it has",
    )


def _named(sheets: Sequence[Sheet], wanted: str) -> Sheet:
    exact = [sheet for sheet in sheets if sheet.name == wanted]
    alike = [sheet for sheet in sheets if sheet.name.casefold() == wanted.casefold()]
    for found in (exact, alike):
        if len(found) == 1:
            return found[0]
    numbered = [sheet for sheet in sheets if str(sheet.number) == wanted]
    if numbered:
        return numbered[0]
    raise FileRefusedError(
        FileFault.UNKNOWN_SHEET,
        f"the workbook has no sheet {wanted[:60]!r}; it has "
        f"{names_shown([sheet.name for sheet in sheets])}",
        remedy=f"{_NAME_IT}, from 1",
    )
