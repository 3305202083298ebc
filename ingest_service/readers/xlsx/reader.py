"""A sheet of an Excel workbook as rows of texts, read as its XML streams by."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from ingest_service.pipeline.places import PlaceNames
from ingest_service.pipeline.report import FileReading, RowIssue
from ingest_service.readers.csv.preamble import LINES, advice
from ingest_service.readers.table.chunk import (
    Fault,
    TableChunk,
    TableRows,
    TextBudget,
    fault_frame,
    table_reading,
)
from ingest_service.readers.table.columns import TableColumns, about_identifier
from ingest_service.readers.xlsx.cells import SheetRow, SheetStream, column_number
from ingest_service.readers.xlsx.header import (
    NOTHING,
    SheetDialect,
    SheetHeader,
    is_comment,
    read_header,
    texts_of,
)
from ingest_service.readers.xlsx.package import Package, Sheet
from ingest_service.readers.xlsx.sheets import chosen_sheet
from ingest_service.readers.xlsx.strings import SharedStrings
from ingest_service.readers.xlsx.values import CellReader, CellValue, Trait, moment_text
from ingest_service.zip_archive import names_shown
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import (
    EXPLANATIONS,
    WARNINGS,
    FileFault,
    ReasonCode,
    WarningCode,
)

PIECE_ROWS: Final = 5_000
PIECE_BYTES: Final = 8 * 1024 * 1024
_RANGE: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7}):\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_WARNINGS: Final = {
    Trait.TYPED: WarningCode.TYPED_IDENTIFIER,
    Trait.LONG: WarningCode.LONG_NUMBER_IDENTIFIER,
}
_SHOWN_RANGES: Final = 5

Values = dict[str, CellValue]


@dataclass(frozen=True, slots=True)
class SheetPiece:
    """Rows of the sheet and their numbers: of each the cells under a named column."""

    numbers: list[int]
    rows: list[Values]


class XlsxRows(TableRows):
    """A sheet as a `RowFile`; `places` and lines are its own row numbers.

    `wanted_sheet` names it; `fits` says whether columns are those that the mapping needs.
    """

    def __init__(
        self,
        path: Path,
        asked: TableColumns,
        dialect: SheetDialect,
        wanted_sheet: str | None,
        fits: Callable[[tuple[str, ...]], bool],
    ) -> None:
        self._asked = asked
        self._dialect = dialect
        self._stack = ExitStack()
        self._size = path.stat().st_size
        self._budget = TextBudget(path)
        with ExitStack() as stack:
            self._package = Package.open(path)
            stack.callback(self._package.archive.close)
            strings = SharedStrings.of(self._package)
            self._reader = CellReader(strings, self._package.formats, self._package.epoch)
            headers: dict[int, SheetHeader] = {}

            def header_of(sheet: Sheet) -> SheetHeader:
                if sheet.number not in headers:
                    headers[sheet.number] = self._header_of(sheet)
                return headers[sheet.number]

            self._sheet = chosen_sheet(
                self._package.sheets,
                wanted_sheet,
                lambda sheet: header_of(sheet) is not NOTHING,
                lambda sheet: fits(tuple(header_of(sheet).columns.values())),
            )
            self._header = header_of(self._sheet)
            if self._header is NOTHING:
                raise _empty_sheet(self._sheet)
            self._stack = stack.pop_all()
        self.header = tuple(self._header.columns.values())
        self.kept = self.header
        repeated = set(self._header.repeated)
        self.single = tuple(name for name in self.header if name not in repeated)
        self.header_line = max(1, self._header.row)
        self.place_names = PlaceNames(
            f"sheet{self._sheet.number}:row", f"sheet {self._sheet.name!r}, row "
        )
        self.place_unit = "record"
        self.position = 0
        self._nameless_rows = self._nameless_alone = 0
        self._first_nameless = self._last_row = 0
        self._merged: list[str] = []

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def pieces(self) -> Iterator[SheetPiece]:
        """Yield the rows in pieces; raises `FileRefusedError` where the file is damaged."""
        stream = SheetStream()
        piece, size = SheetPiece([], []), 0
        with self._package.part(self._sheet.part) as file:
            for row in stream.rows(file):
                values = self._values(row)
                if values is None:
                    continue
                piece.numbers.append(row.number)
                piece.rows.append(values)
                size += sum(len(value.text or "") + 8 for value in values.values())
                if len(piece.rows) >= PIECE_ROWS or size >= PIECE_BYTES:
                    self._budget.take(size)
                    self.position = min(self._size, self.position + size // 4)
                    yield piece
                    piece, size = SheetPiece([], []), 0
        self._merged = stream.merged
        if piece.rows:
            self._budget.take(size)
            yield piece

    def parse(self, piece: SheetPiece, columns: Sequence[str]) -> TableChunk:
        """Return the rows of a piece."""
        faults: list[Fault] = []
        texts = {name: self._column(piece, name, faults) for name in columns}
        numbers = np.array(piece.numbers, dtype=np.int64)
        return TableChunk(
            pl.DataFrame(texts, schema=dict.fromkeys(columns, pl.String)),
            numbers,
            numbers,
            fault_frame(sorted(faults)),
            self.place_names,
            partial(self._records, piece),
        )

    def reading(self) -> FileReading:
        """Return which sheet is read."""
        return table_reading("xlsx", self._sheet.name)

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:  # noqa: ARG002
        """Yield what of the workbook is not read."""
        others = [sheet for sheet in self._package.sheets if sheet is not self._sheet]
        if others:
            hidden = sum(sheet.is_hidden for sheet in others)
            names = names_shown([sheet.name for sheet in others])
            why = f"sheet {self._sheet.name!r} is read; not read: {names}"
            why += f" ({hidden} hidden)" if hidden else ""
            yield self._warning(WarningCode.OTHER_SHEETS, why)
        if self._sheet.is_hidden:
            why = f"sheet {self._sheet.name!r}, which is read, is hidden"
            yield self._warning(WarningCode.OTHER_SHEETS, why)
        for name in self._header.repeated:
            meaning = WARNINGS[WarningCode.REPEATED_COLUMN].meaning
            yield self._warning(WarningCode.REPEATED_COLUMN, meaning, name)

    def ending(self) -> Iterator[RowIssue]:
        """Yield what was noticed on the way: cells under no name, and merged ones."""
        if self._nameless_rows:
            why = (
                f"{self._nameless_rows:,} rows, the first is {self._first_nameless:,}, have "
                "values in columns without a name, which are not read"
            )
            if self._nameless_alone:
                why += f"; {self._nameless_alone:,} of them have none elsewhere and are no rows"
            yield self._warning(WarningCode.NAMELESS_COLUMN, why)
        ranges = [one for one in self._merged if self._is_read(one)]
        if ranges:
            shown = ", ".join(ranges[:_SHOWN_RANGES])
            more = f" and {len(ranges) - _SHOWN_RANGES:,} more" * (len(ranges) > _SHOWN_RANGES)
            meaning = WARNINGS[WarningCode.MERGED_CELLS].meaning
            yield self._warning(WarningCode.MERGED_CELLS, f"{shown}{more}: {meaning}")

    def explain(self, error: FileRefusedError) -> None:
        """Add to a refusal for missing columns what the sheet's first rows show."""
        super().explain(error)
        if error.code is not FileFault.MISSING_COLUMNS or self._dialect.names is not None:
            return
        lines: list[str] = []
        with self._package.part(self._sheet.part) as file:
            for row in islice(SheetStream().rows(file), LINES):
                if row.number > LINES:
                    break
                lines += [""] * (row.number - len(lines) - 1)
                lines.append("\t".join(text for _, text in texts_of(row, self._reader)))
        hint = advice(lines, self.header_line, set(error.columns), self._asked.wanted)
        if hint:
            error.remedy = f"{hint.replace('line ', 'row ')}; else {error.remedy}"

    def _header_of(self, sheet: Sheet) -> SheetHeader:
        with self._package.part(sheet.part) as file:
            rows = SheetStream().rows(file)
            first = next(
                (row for row in rows if row.number > self._dialect.skip_rows or row.cells), None
            )
            if first is None:
                return NOTHING
            return read_header(chain([first], rows), self._reader, self._dialect, self._asked)

    def _values(self, row: SheetRow) -> Values | None:
        """Return what a row's cells say, by column; None where it is no row."""
        skipped = max(self._header.row, self._dialect.skip_rows)
        if row.number <= skipped:
            return None
        if self._dialect.comment is not None:
            texts = texts_of(row, self._reader)
            if texts and is_comment(texts, self._dialect):
                return None
        found: Values = {}
        is_nameless = False
        for cell in row.cells:
            value = self._reader.value(cell)
            if value.moment is None and not value.text and value.trait is not Trait.NOT_COMPUTED:
                continue
            name = self._header.columns.get(cell.column)
            if name is None:
                is_nameless = True
            else:
                found[name] = value
        if is_nameless:
            self._first_nameless = self._first_nameless or row.number
            self._nameless_rows += 1
        has_something = any(
            v.moment or v.trait is Trait.NOT_COMPUTED or (v.text or "").strip()
            for v in found.values()
        )
        self._last_row = row.number
        self._nameless_alone += is_nameless and not has_something
        return found if has_something else None

    def _column(self, piece: SheetPiece, name: str, faults: list[Fault]) -> list[str | None]:
        as_time = name in self._asked.times
        with_comma = self._asked.with_comma(name)
        field = self._asked.identifiers.get(name)
        texts: list[str | None] = []
        for at, row in enumerate(piece.rows):
            value = row.get(name)
            if value is None:
                texts.append(None)
                continue
            texts.append(_text(value, as_time=as_time, with_comma=with_comma))
            if value.trait is Trait.NOT_COMPUTED:
                code = ReasonCode.NOT_COMPUTED
                faults.append((at, code.value, name, name, EXPLANATIONS[code].meaning))
            elif value.trait is not Trait.PLAIN and field is not None:
                faults.append((at, *about_identifier(_WARNINGS[value.trait], field, name)))
        return texts

    def _records(self, piece: SheetPiece, rows: Sequence[int]) -> list[Mapping[str, Any]]:
        return [
            {name: self._own(name, piece.rows[row].get(name)) for name in self.kept} for row in rows
        ]

    def _own(self, name: str, value: CellValue | None) -> str | None:
        if value is None:
            return None
        is_plain = name in self._asked.wanted and name not in self._asked.times
        return _text(value, as_time=not is_plain, with_comma=self._asked.with_comma(name))

    def _is_read(self, merged: str) -> bool:
        """Whether a merged range has a second cell under a column of this sheet's rows."""
        found = _RANGE.fullmatch(merged)
        if found is None:
            return False
        first, last = column_number(found[1]), column_number(found[3])
        top, bottom = int(found[2]), int(found[4])
        if bottom <= self._header.row or top > self._last_row:
            return False
        names = self._header.columns
        read = {c for c in range(first, min(last, first + 1_000) + 1) if c in names}
        return bool(read) and (bottom > top or len(read) > 1 or first not in read)

    def _warning(self, code: WarningCode, reason: str, column: str = "") -> RowIssue:
        return RowIssue(self.header_line, column, code.value, reason)


def _text(value: CellValue, *, as_time: bool, with_comma: bool) -> str | None:
    if value.moment is not None:
        return moment_text(value.moment, as_time=as_time)
    if with_comma and value.text is not None and value.is_number:
        return value.text.replace(".", ",")
    return value.text


def _empty_sheet(sheet: Sheet) -> FileRefusedError:
    return FileRefusedError(
        FileFault.EMPTY_FILE,
        f"sheet {sheet.name!r} of the workbook holds nothing",
        remedy="add a header and rows, or name another sheet",
    )
