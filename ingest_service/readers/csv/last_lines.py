"""A file's text without its last lines, which its source mapping says are no rows."""

import re
from pathlib import Path
from typing import Final

from ingest_service.readers.csv.encoding import Encoding, TextSource
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

_LINE_END: Final = re.compile(rb"\r\n?|\n")
_MOST_HELD: Final = 16 * 1024 * 1024


class WithoutLastLines(TextSource):
    """Holds back the newest lines until it is known that others follow; `count` is at least 1.

    A line end at the end of the file begins no line. Memory is that of the lines held back, 16 MiB
    at most: raises `FileRefusedError` for longer ones.
    """

    def __init__(
        self, path: Path, given: str | Encoding | None, declared: str | None, count: int
    ) -> None:
        self._count = count
        super().__init__(path, given, declared)

    def rewind(self) -> None:
        """Go back to the start of the text."""
        super().rewind()
        self._held = b""

    def read(self, size: int) -> bytes:
        """Return text, nothing at the end; more than `size` where lines were held back."""
        while True:
            data = super().read(size)
            held = self._held + data
            ends = [found.end() for found in _LINE_END.finditer(held)]
            is_open = bool(held) and (not ends or ends[-1] < len(held))
            kept = self._count - (is_open and not data)
            cut = ends[-1 - kept] if len(ends) > kept else 0
            self._held = held[cut:] if data else b""
            if len(self._held) > _MOST_HELD:
                raise FileRefusedError(
                    FileFault.RECORD_TOO_LONG,
                    f"the last {self._count:,} lines are longer than {_MOST_HELD:,} bytes",
                    remedy="look whether the file has line ends, or leave `skip_last_lines` out",
                )
            if cut or not data:
                return held[:cut]
