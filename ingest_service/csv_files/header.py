"""The first record of a file: the names of its columns."""

import csv
from io import StringIO
from typing import Final

from ingest_service.csv_files.encoding import not_utf8, nul_byte
from ingest_service.csv_files.structure import Marks, bare_returns
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import EXPLANATIONS, FileFault, ReasonCode

MAX_COLUMNS: Final = 1_000


def header_text(marks: Marks, line: int) -> str:
    """Return the record as text, without its line end; raises `FileRefusedError`."""
    data = marks.data
    if (nul := data.find(0)) >= 0:
        raise nul_byte(line + data.count(b"\n", 0, nul))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise not_utf8(data, line) from None
    bare = bare_returns(marks)
    if len(bare):
        at = line + marks.line_of(int(bare[0]))
        raise FileRefusedError(
            FileFault.BARE_CARRIAGE_RETURN,
            f"line {at} holds a carriage return that ends no line",
            remedy=EXPLANATIONS[ReasonCode.BARE_CARRIAGE_RETURN].remedy,
            line=at,
        )
    return text.removesuffix("\n").removesuffix("\r")


def header_names(text: str, delimiter: str, line: int) -> tuple[str, ...]:
    """Return the column names; raises `FileRefusedError` for too many or one that comes twice."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = next(reader, None) or [""]
    if len(names) > MAX_COLUMNS:
        raise FileRefusedError(
            FileFault.TOO_MANY_COLUMNS,
            f"the header has {len(names):,} columns, more than {MAX_COLUMNS:,}",
            remedy="leave out the columns that the source mapping does not read",
            line=line,
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        shown = ", ".join(repr(name) for name in twice)
        raise FileRefusedError(
            FileFault.DUPLICATE_HEADER,
            f"the header names a column more than once: {shown}",
            remedy="give every column its own name",
            line=line,
            columns=twice,
        )
    return tuple(names)
