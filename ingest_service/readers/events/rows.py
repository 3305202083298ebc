"""The events of many requests as one `RowFile`: what a batch reads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from ingest_service.pipeline.report import FileReading
from ingest_service.readers.events.plain import PlainBody, read_together
from ingest_service.readers.json.rows import JsonChunk, JsonColumns, ObjectRows, RowTexts, joined

EventTexts = RowTexts | PlainBody
"""The events of one request, read already or not."""


def texts_of_events(events: EventTexts) -> RowTexts:
    """Return events as texts."""
    return events.texts() if isinstance(events, PlainBody) else events


class EventRows(ObjectRows):
    """Rows in memory, numbered through from 1: their places within the batch. One piece."""

    place_unit = "event"
    titles = None
    header_line = 0
    position = 0

    def __init__(self, parts: Sequence[EventTexts], columns: JsonColumns) -> None:
        self._parts = parts
        self.header = columns.names

    def close(self) -> None:
        """Nothing is open."""

    def pieces(self) -> Iterator[Sequence[EventTexts]]:
        """Yield all of them."""
        yield self._parts

    def parse(self, piece: Sequence[EventTexts], columns: Sequence[str]) -> JsonChunk:
        """Return the rows of a piece."""
        plain = [part for part in piece if isinstance(part, PlainBody)]
        if len(plain) != len(piece) or (chunk := read_together(plain, columns)) is None:
            chunk = joined(list(map(texts_of_events, piece)), columns)
        if len(piece) == 1:
            return chunk
        numbers = np.repeat(np.arange(len(piece)), [part.count for part in piece])
        return replace(chunk, requests=pl.Series(numbers))

    def reading(self) -> FileReading:
        """JSON is UTF-8."""
        return FileReading("utf-8")
