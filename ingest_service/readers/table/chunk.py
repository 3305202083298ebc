"""Rows of a table on their way out: as texts, and for the quarantine as JSON objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ingest_service.pipeline.places import PlaceNames
from ingest_service.pipeline.report import FileReading
from ingest_service.readers.csv.structure import Positions
from ingest_service.readers.open_file import OpenFile
from ingest_service.readers.table.no_json import kept
from ingest_service.unpack import FREE_BYTES, MAX_RATIO
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.strict_json import dumps
from lakehouse.contracts.validator import REASON_SCHEMA, UNKNOWN

Fault = tuple[int, str, str, str, str]
"""Row, code, field, column, message."""


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Rows of a table, in order; see `RowChunk`. `records` returns rows as their columns' values.

    A row has no bytes of its own in such a file, so the quarantine keeps it as a JSON object.
    """

    frame: pl.DataFrame
    lines: Positions
    places: Positions
    faults: pl.DataFrame
    place_names: PlaceNames
    records: Callable[[Sequence[int]], list[Mapping[str, Any]]]
    traits: Traits = UNKNOWN
    requests: pl.Series | None = None

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The rows as JSON objects with every column that was read."""
        return [dumps(kept(record)).encode() for record in self.records(rows)]


def fault_frame(faults: Sequence[Fault]) -> pl.DataFrame:
    """Return faults as the validator has reasons."""
    return pl.DataFrame(faults, schema=REASON_SCHEMA, orient="row")


class TableRows(OpenFile):
    """What every reader of tables says alike.

    `header`: every name that can be asked for; `kept`: the columns that a row in quarantine has.
    """

    has_named_fields = False
    header: tuple[str, ...]
    kept: tuple[str, ...]
    header_line = 1
    single: tuple[str, ...]

    def layout(self, mapping_name: str) -> SourceLayout:
        """Return how its rows are kept: as JSON objects."""
        return SourceLayout(
            format="json", columns=self.kept, mapping=mapping_name, typed_times=True
        )

    def explain(self, error: FileRefusedError) -> None:
        """Add to a refusal for missing columns those that there are."""
        if error.code is FileFault.MISSING_COLUMNS and self.header:
            shown = ", ".join(repr(name[:60]) for name in self.header[:20])
            more = ", …" if len(self.header) > 20 else ""
            error.remedy = f"{error.remedy}; its columns are {shown}{more}"


class TextBudget:
    """Counts the texts that come out of a file, which must not be far more than the file is.

    A few bytes of a table can stand for a long text in each of a million rows.
    """

    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size
        self._out = 0

    def take(self, count: int) -> None:
        """Count bytes; raises `FileRefusedError` beyond what a file of this size may hold."""
        self._out += count
        if self._out > FREE_BYTES and self._out > MAX_RATIO * self._size:
            raise FileRefusedError(
                FileFault.FILE_TOO_LARGE,
                f"the file's values have more than {MAX_RATIO} times its size",
                remedy="split it, or export it as CSV",
            )


def table_reading(file_format: str, sheet: str | None = None) -> FileReading:
    """Return how a table was read: its texts are UTF-8 by definition."""
    return FileReading("utf-8", format=file_format, sheet=sheet)


def slices(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows, `start, count`, whose lengths add up to `most` or are one row."""
    start = total = 0
    for row, length in enumerate(lengths):
        if row > start and total + length > most:
            yield start, row - start
            start, total = row, 0
        total += length
    if start < len(lengths):
        yield start, len(lengths) - start
