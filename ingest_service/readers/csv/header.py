"""The first record of a file: the names of its columns."""

import csv
from collections.abc import Sequence, Set
from dataclasses import dataclass
from io import StringIO
from typing import Final

from ingest_service.readers.csv.encoding import not_utf8, nul_byte
from ingest_service.readers.csv.structure import Marks, bare_returns
from lakehouse.contracts.layout import LONGEST_FIELD
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import EXPLANATIONS, FileFault, ReasonCode

MAX_COLUMNS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a file, each with a name of its own.

    `nameless`: those at the end that the header gives no name; no record may have a value there.
    `repeated`: names that come again for columns that are not read. `single`: the names that the
    header itself gives to one column each.
    """

    names: tuple[str, ...]
    nameless: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    single: tuple[str, ...] = ()


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


def joined_names(records: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of a header of several lines: the words of each column, with a space."""
    width = max(map(len, records))
    padded = [[*record, *[""] * (width - len(record))] for record in records]
    return [" ".join(filter(None, map(str.strip, words))) for words in zip(*padded, strict=True)]


def header_of(
    names: Sequence[str],
    line: int,
    wanted: Set[str],
    *,
    row_width: int | None = None,
    has_empty_ends: bool = False,
    is_looked_at: bool = False,
) -> Header:
    """Return the columns that are called so; `wanted` are names that may be read, all when empty.

    `row_width`: how many fields each row has, where that is another number; with `has_empty_ends`
    the difference is empty fields at the end. Raises `FileRefusedError` for too many, or for one of
    those that comes twice, unless the file `is_looked_at` alone.
    """
    width = len(names) if row_width is None else row_width
    if max(width, len(names)) > MAX_COLUMNS:
        raise FileRefusedError(
            FileFault.TOO_MANY_COLUMNS,
            f"the header has {max(width, len(names)):,} columns, more than {MAX_COLUMNS:,}",
            remedy="leave out the columns that the source mapping does not read",
            line=line,
        )
    names = names[:width]
    named = len(names)
    while named > 1 and not names[named - 1].strip():
        named -= 1
    if not wanted and len(names) - named >= named:
        named = len(names)  # a title above the table, rather than its header
    twice = sorted({name for name in names[:named] if names[:named].count(name) > 1})
    read_twice = [name for name in twice if name in wanted or not wanted]
    if read_twice and not is_looked_at:
        shown = ", ".join(repr(name) for name in read_twice)
        raise FileRefusedError(
            FileFault.DUPLICATE_HEADER,
            f"the header names a column more than once: {shown}",
            remedy="give every column its own name",
            line=line,
            columns=read_twice,
        )
    unique = _unique([*names[:named], *(f"(column {n + 1})" for n in range(named, width))])
    nameless = unique[named:] if has_empty_ends or not is_looked_at else ()
    single = tuple(name for name in names[:named] if name not in twice)
    return Header(tuple(unique), tuple(nameless), tuple(twice), single)


def damaged_names(line: bytes, delimiter: str, columns: int) -> list[str] | None:
    """Return the names in a line with a quote out of place, None when that is not sure.

    It is when the line has as many names as the rows have fields, quotes left aside.
    """
    try:
        text = line.decode("utf-8").rstrip("\r\n").replace('"', "")
    except UnicodeDecodeError:
        return None
    names = text.split(delimiter)
    return names if len(names) == columns > 1 else None


def first_record(text: str, delimiter: str, escape: str | None = None) -> list[str]:
    """Return the fields of the first record of a text, none when it cannot be read."""
    csv.field_size_limit(LONGEST_FIELD)  # of the whole process, so set by who needs it
    reader = csv.reader(
        StringIO(text, newline=""), delimiter=delimiter, escapechar=escape, strict=True
    )
    try:
        return next(reader, None) or [""]
    except csv.Error:
        return []


def _unique(names: Sequence[str]) -> list[str]:
    taken, unique = set(names), []
    seen: set[str] = set()
    for name in names:
        own, number = name, 1
        while own in seen:
            number += 1
            candidate = f"{name} ({number})"
            own = candidate if candidate not in taken else own
        seen.add(own)
        unique.append(own)
    return unique
