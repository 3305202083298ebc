"""XML of a workbook, read as it streams by: no document type, no entities, bounded memory."""

from collections.abc import Iterator
from typing import Protocol
from xml.parsers import expat

from ingest_service.readers.xlsx.faults import damaged_workbook

READ_BYTES = 64 * 1024
MOST_TOKEN_BYTES = 8 * 1024 * 1024
"""Of one tag or comment; texts come in pieces."""
MOST_DEPTH = 64


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...


class XmlStream:
    """Calls `start`, `text` and `end` for what a document has; names are without a prefix.

    A workbook has no document type; one that has is refused, so nothing can be defined that
    unpacks to more than it is.
    """

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_type
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self.text
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take in the start of an element."""

    def end(self, name: str) -> None:
        """Take in its end."""

    def text(self, data: str) -> None:
        """Take in a piece of text."""

    def run(self, source: Source) -> Iterator[None]:
        """Read all of it, and yield after every piece; raises `FileRefusedError`."""
        fed = 0
        try:
            while block := source.read(READ_BYTES):
                fed += len(block)
                self._parser.Parse(block, False)
                if fed - self._parser.CurrentByteIndex > MOST_TOKEN_BYTES:
                    raise damaged_workbook("a tag in it is far too long")
                yield
            self._parser.Parse(b"", True)
        except expat.ExpatError:
            raise damaged_workbook("its XML is not well formed, or cut off") from None
        yield

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise damaged_workbook("its XML is nested too deeply")
        self.start(name.rpartition(":")[2] if ":" in name else name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self.end(name.rpartition(":")[2] if ":" in name else name)


def _refuse_type(*_: object) -> None:
    raise damaged_workbook("its XML has a document type, which no workbook has")
