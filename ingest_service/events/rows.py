"""The events of many requests as one `RowFile`: what a batch reads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import numpy as np

from ingest_service.json_files.rows import JsonChunk, JsonColumns, JsonRecord, chunk_of
from ingest_service.report import Finding
from ingest_service.sources import FileReading
from lakehouse.contracts.layout import SourceLayout

PIECE_ROWS: Final = 10_000


class EventRows:
    """Records in memory, numbered through from 1: their places within the batch."""

    place_unit = "event"
    header_line = 0

    def __init__(self, records: Sequence[JsonRecord], columns: JsonColumns) -> None:
        self._records = records
        self._columns = columns
        self.header = columns.names
        self.position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def pieces(self) -> Iterator[tuple[int, Sequence[JsonRecord]]]:
        """Yield them in pieces, each with the number of its first."""
        for first in range(0, len(self._records), PIECE_ROWS):
            yield first, self._records[first : first + PIECE_ROWS]

    def parse(self, piece: tuple[int, Sequence[JsonRecord]], columns: Sequence[str]) -> JsonChunk:
        """Return the rows of a piece."""
        first, records = piece
        places = np.arange(first + 1, first + 1 + len(records), dtype=np.int64)
        chunk = chunk_of(records, columns, self._columns.objects)
        return replace(chunk, lines=places, places=places)

    def reading(self) -> FileReading:
        """JSON is UTF-8."""
        return FileReading("utf-8")

    def layout(self, mapping_name: str) -> SourceLayout:
        """Return what it takes to read one of the events alone."""
        return SourceLayout(format="json", columns=self.header, mapping=mapping_name)

    def oddities(self, read: Sequence[str]) -> Iterator[Finding]:  # noqa: ARG002
        """Yield nothing: objects name their fields themselves."""
        yield from ()

    def ending(self) -> Iterator[Finding]:
        """Yield nothing."""
        yield from ()
