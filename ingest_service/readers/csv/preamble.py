"""What stands before a file's header, and what a file without the right header may be.

Excel's `sep=;` line is read. Titles and comments are skipped when the source mapping says so; when
it does not, the refusal says where the header seems to be, and which setting reads the file.
"""

import re
from collections.abc import Sequence, Set
from itertools import pairwise
from typing import Final

from ingest_service.readers.csv.delimiters import CANDIDATES
from ingest_service.readers.csv.header import first_record

LINES: Final = 50
_SEP: Final = re.compile(rb'"?sep=([^"\r\n])"?')
_NUMBER: Final = re.compile(r"[-+]?\d[\d.,:T/ -]*")


def separator_of(line: bytes) -> str | None:
    """Return the delimiter that a line like Excel's `sep=;` names, None for any other line.

    Excel adds delimiters behind it where it saves the file again.
    """
    found = _SEP.match(line)
    if found is None or line[found.end() :].strip(b"\r\n" + found[1]):
        return None
    return found[1].decode("latin-1")


def advice(lines: Sequence[str], header_line: int, missing: Set[str], wanted: Set[str]) -> str:
    """Return what to do about columns that a header lacks, "" when nothing shows.

    `lines`: the first of the file. `missing`: the columns that it should have.
    """
    found = _line_of_names(lines, missing) or _line_of_names(lines, wanted)
    at = found or _line_of_table(lines, header_line)
    if at is not None and at != header_line:
        return (
            f"line {at} looks like the header: if it is, set `skip_lines: {at - 1}` in the source "
            "mapping, or `comment` to the character that the lines before it begin with"
        )
    if header_line <= len(lines) and _looks_like_data(lines[header_line - 1]):
        return (
            f"line {header_line} looks like data: if the file has no header, set `header: none` "
            "and `names`, its columns in order, in the source mapping"
        )
    return ""


def _line_of_names(lines: Sequence[str], names: Set[str]) -> int | None:
    """The first line that has all of these columns."""
    for number, line in enumerate(lines, 1):
        for delimiter in CANDIDATES:
            if names and names <= set(first_record(line, delimiter)):
                return number
    return None


def _line_of_table(lines: Sequence[str], header_line: int) -> int | None:
    """The first line of several columns, where the line that was taken for the header has one."""
    if header_line > len(lines) or _fields(lines[header_line - 1]) > 1:
        return None
    for number, (line, after) in enumerate(pairwise(lines), 1):
        if number > header_line and _fields(line) > 1 and _fields(line) == _fields(after):
            return number
    return None


def _fields(line: str) -> int:
    return max(len(first_record(line, delimiter)) for delimiter in CANDIDATES)


def _looks_like_data(line: str) -> bool:
    fields = max((first_record(line, delimiter) for delimiter in CANDIDATES), key=len)
    return any(_NUMBER.fullmatch(field.strip()) for field in fields)
