"""The columns of a sheet: where its rows begin, and what its cells stand under."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ingest_service.readers.csv.header import MAX_COLUMNS
from ingest_service.readers.table.columns import TableColumns
from ingest_service.readers.xlsx.cells import SheetRow
from ingest_service.readers.xlsx.values import CellReader, moment_text
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault


@dataclass(frozen=True, slots=True)
class SheetDialect:
    """What a mapping says of a sheet: rows before the header that are not read, what rows begin
    with that are none, and the names of the columns where no row has them."""

    skip_rows: int = 0
    comment: str | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SheetHeader:
    """`columns`: the name of each column of the grid that has one. `row`: where they are named, 0
    when nowhere. `repeated`: names that come again for columns that are not read."""

    row: int
    columns: dict[int, str]
    repeated: tuple[str, ...] = ()


NOTHING: Final = SheetHeader(0, {})


def texts_of(row: SheetRow, reader: CellReader) -> list[tuple[int, str]]:
    """Return the cells of a row that hold something, with their columns."""
    found = []
    for cell in row.cells:
        value = reader.value(cell)
        text = value.text
        if value.moment is not None:
            text = moment_text(value.moment, as_time=False)
        if text is not None and text.strip():
            found.append((cell.column, text))
    return found


def read_header(
    rows: Iterator[SheetRow], reader: CellReader, dialect: SheetDialect, asked: TableColumns
) -> SheetHeader:
    """Return the columns, having taken the rows up to the header; `NOTHING` when none is left.

    Raises `FileRefusedError` for a column that is read and comes twice, and for too many.
    """
    if dialect.names is not None:
        return SheetHeader(0, dict(enumerate(dialect.names)))
    for row in rows:
        if row.number <= dialect.skip_rows:
            continue
        texts = texts_of(row, reader)
        if texts and not is_comment(texts, dialect):
            return _header(row.number, texts, asked)
    return NOTHING


def is_comment(texts: Sequence[tuple[int, str]], dialect: SheetDialect) -> bool:
    """Whether a row is none, by what it begins with."""
    return dialect.comment is not None and texts[0][1].startswith(dialect.comment)


def _header(number: int, texts: list[tuple[int, str]], asked: TableColumns) -> SheetHeader:
    if len(texts) > MAX_COLUMNS:
        raise FileRefusedError(
            FileFault.TOO_MANY_COLUMNS,
            f"row {number:,} of the sheet names {len(texts):,} columns, more than {MAX_COLUMNS:,}",
            remedy="leave out the columns that the source mapping does not read",
            line=number,
        )
    names = [name for _, name in texts]
    twice = sorted({name for name in names if names.count(name) > 1})
    read_twice = [name for name in twice if name in asked.wanted]
    if read_twice:
        raise FileRefusedError(
            FileFault.DUPLICATE_HEADER,
            f"the header names a column more than once: {', '.join(map(repr, read_twice))}",
            remedy="give every column its own name",
            line=number,
            columns=read_twice,
        )
    columns: dict[int, str] = {}
    for column, name in texts:
        count = sum(1 for known in columns.values() if known == name)
        columns[column] = f"{name} ({column + 1})" if count else name
    return SheetHeader(number, columns, tuple(twice))
