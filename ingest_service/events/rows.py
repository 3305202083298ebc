"""The events of many requests as one `RowFile`: what a batch reads."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from ingest_service.json_files.rows import JsonChunk, JsonColumns, RowTexts, joined
from ingest_service.report import Finding
from ingest_service.sources import FileReading
from lakehouse.contracts.layout import SourceLayout


class EventRows:
    """Rows in memory, numbered through from 1: their places within the batch. One piece."""

    place_unit = "event"
    header_line = 0
    position = 0

    def __init__(self, parts: Sequence[RowTexts], columns: JsonColumns) -> None:
        self._parts = parts
        self.header = columns.names

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def pieces(self) -> Iterator[Sequence[RowTexts]]:
        """Yield all of them."""
        yield self._parts

    def parse(self, piece: Sequence[RowTexts], columns: Sequence[str]) -> JsonChunk:
        """Return the rows of a piece."""
        return joined(piece, columns)

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
