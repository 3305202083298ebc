"""The start of a file: what stands before its header, the delimiter and the header."""

from dataclasses import dataclass, replace
from typing import Final

from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.delimiters import (
    CANDIDATES,
    LONG_CANDIDATES,
    Delimiter,
    delimiter_by_count,
    given_delimiter,
)
from ingest_service.readers.csv.header import (
    Header,
    damaged_names,
    first_record,
    header_of,
    header_text,
    joined_names,
)
from ingest_service.readers.csv.preamble import separator_of
from ingest_service.readers.csv.records import Records
from ingest_service.readers.csv.samples import sample_of
from ingest_service.readers.csv.tables import Table, find_table
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

HEADER_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Beginning:
    """`header_line`: where the header is, from 1. `skipped`: lines passed over without being told
    to, before it. `is_blank`: the file holds empty lines alone. `has_damaged_header`: a quote in
    the header is out of place. `titles`: its lines, where the columns are called otherwise.
    """

    delimiter: Delimiter
    header: Header
    header_line: int
    skipped: int = 0
    is_blank: bool = False
    has_damaged_header: bool = False
    titles: tuple[tuple[str, ...], ...] = ()


def find_beginning(records: Records, options: CsvOptions) -> Beginning:
    """Read up to the first row; raises `FileRefusedError`."""
    dialect = options.dialect
    separator, is_blank = _go_to_header(records, options)
    comment = dialect.comment and records.notation.plain(dialect.comment)
    delimiter = _known_delimiter(options, separator)
    if not records.peek_line():
        raise empty("the file is empty")
    if dialect.names is not None and not dialect.header_lines:
        return _named(records, dialect.names, delimiter)
    if is_blank:
        table = Table(delimiter or Delimiter(CANDIDATES[0], 0.5, "detected"))
    else:
        table = find_table(
            records.peek(),
            delimiter,
            options.wanted,
            needed=options.needed,
            comment=comment,
            escape=dialect.escape,
            is_looked_at=options.is_looked_at,
            may_skip=not dialect.tells_where_it_begins and separator is None,
        )
    for _ in range(table.skipped):
        records.drop_line()
    records.divide_by(table.delimiter.value)
    return _with_header(records, options, table, is_blank=is_blank)


def _go_to_header(records: Records, options: CsvOptions) -> tuple[str | None, bool]:
    """Pass over what is no header for sure; return a `sep=` line's delimiter, and whether the file
    holds empty lines alone.
    """
    dialect = options.dialect
    records.follow_line_ends()
    records.quote_with(dialect.quote)
    for _ in range(dialect.skip_lines):
        if not records.drop_line():
            raise empty("the file has no more lines than `skip_lines` says to skip")
    comment = records.notation.swap((dialect.comment or "").encode())
    separator = separator_of(records.peek_line()) if records.line == 1 else None
    if separator is not None:
        records.drop_line()
    while records.skip_blank_lines() and comment and records.peek_line().startswith(comment):
        records.drop_line()
    is_blank = not records.peek_line() and records.line > 1
    if is_blank:
        if comment or dialect.skip_lines or separator is not None:
            raise empty("the file ends before its header")
        records.rewind()
    return separator, is_blank


def _named(records: Records, names: tuple[str, ...], delimiter: Delimiter | None) -> Beginning:
    if delimiter is None:
        start = records.peek()
        values = (*CANDIDATES, *LONG_CANDIDATES)
        cells = {value: sample_of(start, value).records[0].cells for value in values}
        delimiter = delimiter_by_count(cells, len(names))
    records.divide_by(delimiter.value)
    return Beginning(delimiter, Header(names, single=names), records.line)


def _with_header(
    records: Records, options: CsvOptions, table: Table, *, is_blank: bool
) -> Beginning:
    line, delimiter, escape = records.line, records.delimiter, options.dialect.escape
    is_damaged = False
    titles: list[list[str]] = []
    try:
        marks = records.next_header(HEADER_BYTES)
        names = first_record(header_text(marks, line), delimiter, escape)
    except FileRefusedError as fault:
        found = damaged_names(records.peek_line(), delimiter, table.width)
        if fault.code is not FileFault.BAD_QUOTE or not options.keeps_going or found is None:
            raise
        found = list(options.dialect.names or records.notation.original_names(found))
        names, is_damaged = found, True
        records.drop_line()
    else:
        records.line += len(marks.line_ends)
        names, titles = _other_lines(records, options, names)
    header = header_of(
        names,
        line,
        options.wanted,
        row_width=table.row_width,
        is_looked_at=options.is_looked_at,
        has_empty_ends=table.ends_empty,
    )
    return Beginning(
        *(table.delimiter, header, line, table.skipped, is_blank, is_damaged),
        titles=tuple(map(tuple, titles)),
    )


def _other_lines(
    records: Records, options: CsvOptions, first: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the names of a header of several lines, or those that a mapping has instead, and the
    lines whose names are no columns' then.
    """
    dialect, found = options.dialect, [first]
    while len(found) < dialect.header_lines:
        if not records.peek_line():
            raise empty("the file ends within the lines that `header` says it has")
        marks = records.next_header(HEADER_BYTES)
        text = header_text(marks, records.line)
        found.append(first_record(text, records.delimiter, dialect.escape))
        records.line += len(marks.line_ends)
    names = records.notation.original_names(joined_names(found) if len(found) > 1 else first)
    titles = [records.notation.original_names(one) for one in found]
    if dialect.names is None:
        return names, titles if len(found) > 1 else []
    if len(dialect.names) != len(names):
        raise FileRefusedError(
            FileFault.RAGGED_ROW,
            f"the header has {len(names):,} columns, and the source mapping has "
            f"{len(dialect.names):,} `names` for them",
            remedy="name every column in `names`, in order",
            line=records.line - 1,
        )
    return list(dialect.names), titles


def _known_delimiter(options: CsvOptions, separator: str | None) -> Delimiter | None:
    if options.delimiter is not None:
        return given_delimiter(options.delimiter)
    if separator is not None:
        return replace(given_delimiter(separator), how="sep_line")
    return None


def empty(message: str) -> FileRefusedError:
    """Return what to raise for a file without anything to read."""
    return FileRefusedError(
        FileFault.EMPTY_FILE,
        message,
        remedy="send a file with a header and at least one row",
        line=1,
    )
