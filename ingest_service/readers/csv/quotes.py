"""Text as the reader of records knows it: other quotes as `"`, without the last lines.

All that reads records knows one quote. So another one changes places with it on the way in, which
can be undone, and values and raw records are put back as the file has them. Where quotes are text,
they change places with a control character that the file may not hold.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import polars as pl

from ingest_service.readers.csv.encoding import Encoding
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

QUOTE: Final = '"'
_NONE: Final = "\x1e"
"""Stands for a quote that is text."""


class Source(Protocol):
    """A file's text from the start, as UTF-8."""

    encoding: Encoding

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        ...

    def rewind(self) -> None:
        """Go back to the start of the text."""
        ...

    def read(self, size: int) -> bytes:
        """Return text made of about `size` bytes of the file, nothing at its end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class EditedText:
    """The text of a source with other quotes, and without its last lines; a `Source`."""

    def __init__(self, source: Source, quote: str | None, skip_last_lines: int) -> None:
        self._source = source
        self._quote = quote
        self._skip_last_lines = skip_last_lines
        self._held = b""
        self._has_ended = False
        self.encoding = source.encoding

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._source.position

    def rewind(self) -> None:
        """Go back to the start of the text."""
        self._source.rewind()
        self._held = b""
        self._has_ended = False

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def read(self, size: int) -> bytes:
        """Return edited text made of about `size` bytes of the file, nothing at its end."""
        if not self._skip_last_lines:
            return self._with_quotes(self._source.read(size))
        while not self._has_ended:
            block = self._source.read(size)
            data = self._held + block
            self._has_ended = not block
            cut = _start_of_last_lines(data, self._skip_last_lines, is_end=not block)
            self._held = data[cut:]
            if cut:
                return self._with_quotes(data[:cut])
        return b""

    def _with_quotes(self, data: bytes) -> bytes:
        if self._quote is None and _NONE.encode() in data:
            raise FileRefusedError(
                FileFault.BAD_QUOTE,
                "the file holds the control character 0x1E, which a file without quotes may not",
                remedy="take it out, or leave `quote: none` out of the source mapping",
            )
        return swapped(data, self._quote)


def _start_of_last_lines(data: bytes, lines: int, *, is_end: bool) -> int:
    """Return where the last lines begin; before the end one more may come."""
    at = len(data)
    wanted = lines if is_end and not data.endswith(b"\n") else lines + 1
    for _ in range(wanted):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


def swapped(data: bytes, quote: str | None) -> bytes:
    """Return text in which this quote and `"` have changed places; twice is as before."""
    if quote == QUOTE:
        return data
    pair = (QUOTE + (quote or _NONE)).encode()
    return data.translate(bytes.maketrans(pair, pair[::-1]))


def swapped_texts(frame: pl.DataFrame, quote: str | None) -> pl.DataFrame:
    """Return values with the quotes as the file has them."""
    if quote == QUOTE or not frame.width:
        return frame
    other = quote or _NONE
    return frame.select(pl.all().str.replace_many([QUOTE, other], [other, QUOTE]))


def swapped_names(names: Sequence[str], quote: str | None) -> list[str]:
    """Return names with the quotes as the file has them."""
    return [swapped(name.encode(), quote).decode() for name in names]
