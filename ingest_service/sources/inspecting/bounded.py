"""The start of a file as a `RowFile`: reading ends at a limit, or where what was sent ends."""

from collections.abc import Iterator
from typing import Any

from ingest_service.readers.base import RowFile
from lakehouse.contracts.mapping import FileRefusedError


class Bounded:
    """Reads whole pieces until `limit` bytes are read; everything else is the file's own.

    `is_start`: what is read is only the start of a file, so a fault behind the first piece is where
    it was cut. `is_whole`: nothing was left out; known when all pieces were read.
    """

    def __init__(self, file: RowFile, limit: int, *, is_start: bool = False) -> None:
        self._file = file
        self._limit = limit
        self._is_start = is_start
        self.is_whole = not is_start

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "Bounded":
        self._file.__enter__()
        return self

    def __exit__(self, *ending: Any) -> None:
        self._file.__exit__(*ending)

    def pieces(self) -> Iterator[Any]:
        """Yield the pieces of the start."""
        pieces, count = self._file.pieces(), 0
        while True:
            is_enough = count > 0 and self._file.position >= self._limit
            try:
                piece = next(pieces, None)
            except FileRefusedError:
                if is_enough or (count and self._is_start):
                    self.is_whole = False
                    return
                raise
            if piece is None:
                return
            if is_enough:
                self.is_whole = False
                return
            count += 1
            yield piece
