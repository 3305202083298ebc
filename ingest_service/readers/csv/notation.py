"""Files with other line ends, quotes or a longer delimiter, as plain CSV and back.

Old Macs ended lines with a carriage return, some exports put `::` or `, ` between fields, and some
texts stand in apostrophes, or in nothing while they hold quotes. All that reads records knows a
line feed, a quotation mark and one byte. So a file's text is rewritten on its way in, in a
way that can be undone, and values and raw records are put back as the file has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.contracts.layout import UNIT_SEPARATOR
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

_SEPARATOR: Final = UNIT_SEPARATOR.encode()
_LINE_ENDS: Final = {"\r": "\n", "\n": "\r"}
_QUOTE_SIGN: Final = b"\x1e"
"""Stands for a quote that is text."""
_QUOTES: Final[dict[str | None, dict[str, str]]] = {
    '"': {},
    "'": {"'": '"', '"': "'"},
    None: {'"': "\x1e", "\x1e": '"'},
}
"""Characters that change places, by the quote of the file."""


@dataclass(frozen=True, slots=True)
class Notation:
    """What of a file's text is rewritten.

    `long_delimiter`: the one of several bytes, which becomes a unit separator (0x1F).
    `has_old_line_ends`: carriage returns and line feeds change places. `quote`: around texts, None
    where quotes are text; it changes places with the quotation mark, or that with a control sign.
    """

    long_delimiter: bytes = b""
    has_old_line_ends: bool = False
    quote: str | None = '"'

    @property
    def is_plain(self) -> bool:
        """Whether nothing is rewritten."""
        return not self.long_delimiter and not self._swapped

    @property
    def _swapped(self) -> dict[str, str]:
        return _QUOTES[self.quote] | (_LINE_ENDS if self.has_old_line_ends else {})

    def swap(self, data: bytes) -> bytes:
        """Return text in which line ends and quotes have changed places; twice is as before."""
        swapped = self._swapped
        if not swapped:
            return data
        return data.translate(
            bytes.maketrans("".join(swapped).encode(), "".join(swapped.values()).encode())
        )

    @property
    def _delimiter(self) -> bytes:
        """The long delimiter after the swap."""
        return self.swap(self.long_delimiter)

    def rewritten(self, data: bytes) -> bytes:
        """Return text of the file as plain CSV; it may end within a delimiter."""
        data = self.swap(data)
        return data.replace(self._delimiter, _SEPARATOR) if self.long_delimiter else data

    def rewritten_end(self, data: bytes, more: bytes) -> bytes:
        """Return rewritten text with a few more bytes of the file."""
        kept = max(0, len(data) - len(self.long_delimiter))
        end = data[kept:] + self.swap(more)
        return data[:kept] + end.replace(self._delimiter, _SEPARATOR)

    def may_go_on(self, data: bytes) -> bool:
        """Whether rewritten text ends with the start of a delimiter."""
        longest = len(self.long_delimiter) - 1
        return any(data.endswith(self._delimiter[:n]) for n in range(longest, 0, -1))

    def original(self, data: bytes) -> bytes:
        """Return plain CSV as the file has it."""
        if self.long_delimiter:
            data = data.replace(_SEPARATOR, self._delimiter)
        return self.swap(data)

    def original_texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return values of plain CSV as the file has them."""
        if self.is_plain or not frame.width:
            return frame
        pairs = {UNIT_SEPARATOR: self.long_delimiter.decode()} if self.long_delimiter else {}
        pairs |= self._swapped
        return frame.select(pl.all().str.replace_many(list(pairs), list(pairs.values())))

    def plain(self, text: str) -> str:
        """Return a text of the file as plain CSV has it."""
        return self.rewritten(text.encode()).decode()

    def original_names(self, names: Sequence[str]) -> list[str]:
        """Return names as the file has them."""
        return [self.original(name.encode()).decode() for name in names]

    def refuse_separators(self, data: bytes, first_line: int) -> None:
        """Refuse text of the file that has a byte which stands for its delimiter or a quote."""
        if self.quote is None and _QUOTE_SIGN in data:
            line = first_line + data.count(b"\n", 0, data.index(_QUOTE_SIGN))
            raise FileRefusedError(
                FileFault.BAD_QUOTE,
                f"line {line} holds the control character 0x1E, which no file without quotes may",
                remedy="take it out, or leave `quote: none` out of the source mapping",
                line=line,
            )
        at = data.find(_SEPARATOR) if self.long_delimiter else -1
        if at >= 0:
            line = first_line + data.count(b"\n", 0, at)
            raise FileRefusedError(
                FileFault.BAD_DELIMITER,
                f"line {line} holds the control character 0x1F, which no file may hold whose "
                "delimiter has several characters",
                remedy="take it out, or export the file with a delimiter of one character",
                line=line,
            )


PLAIN_NOTATION: Final = Notation()


def has_old_line_ends(start: bytes) -> bool:
    """Whether the start of a file has lines that end with a carriage return alone."""
    if b"\r" not in start[:-1]:
        return False
    outside = b"".join(start.split(b'"')[::2])
    return b"\r" in outside and b"\n" not in outside
