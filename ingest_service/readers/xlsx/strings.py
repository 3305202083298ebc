"""The texts that cells of a workbook share, kept as one block of bytes."""

import re
from array import array
from collections.abc import Iterator
from typing import Final

from ingest_service.readers.xlsx.faults import damaged_workbook, too_large
from ingest_service.readers.xlsx.package import Package
from ingest_service.readers.xlsx.xml_stream import XmlStream

MOST_BYTES: Final = 512 * 1024 * 1024
"""Far more than a million rows of texts; what is kept takes as much memory."""
_ESCAPED: Final = re.compile("_x((?:[0-9A-CEFa-cef][0-9A-Fa-f]|[Dd][0-7])[0-9A-Fa-f]{2})_")
"""Halves of a character (D800 to DFFF) are none."""


class SharedStrings(XmlStream):
    """The n-th text by its number. Of a text in several styles all parts count, but no reading
    aids (ruby)."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._parts: list[str] = []
        self._size = 0
        self._is_text = False
        self._in_aid = 0

    @classmethod
    def of(cls, package: Package) -> "SharedStrings":
        """Read those of a workbook; none when it has none."""
        strings = cls()
        if package.strings_part is not None:
            with package.part(package.strings_part) as file:
                _exhaust(strings.run(file))
        return strings

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise damaged_workbook("a cell names a text that it does not have")
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode()

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        """Take in the start of an element."""
        if name == "t":
            self._is_text = not self._in_aid
        elif name == "rPh":
            self._in_aid += 1

    def end(self, name: str) -> None:
        """Take in its end."""
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._in_aid -= 1
        elif name == "si":
            self._bytes += unescaped("".join(self._parts)).encode()
            self._parts.clear()
            self._ends.append(len(self._bytes))

    def text(self, data: str) -> None:
        """Take in a piece of text."""
        if self._is_text:
            self._parts.append(data)
            self._size += len(data)
            if self._size > MOST_BYTES:
                raise too_large(f"its texts have more than {MOST_BYTES:,} bytes")


def unescaped(text: str) -> str:
    """Return a text with the characters that XML cannot hold, which are written as `_x000D_`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _exhaust(steps: Iterator[None]) -> None:
    for _ in steps:
        pass
