"""What is said of a workbook that cannot be read."""

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault


def damaged_workbook(why: str) -> FileRefusedError:
    """Return what to raise for a workbook that breaks the rules of its format."""
    return FileRefusedError(
        FileFault.DAMAGED_FILE,
        f"the workbook is damaged: {why}",
        remedy="open and save it in a spreadsheet, or export the sheet as CSV",
    )


def too_large(what: str) -> FileRefusedError:
    """Return what to raise for a workbook of which too much would have to be kept in memory."""
    return FileRefusedError(
        FileFault.FILE_TOO_LARGE,
        f"the workbook cannot be read within bounds: {what}",
        remedy="export the sheet as CSV, or split it",
    )
