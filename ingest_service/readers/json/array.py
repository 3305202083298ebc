"""The elements of one JSON array, however long it is."""

import codecs
from collections.abc import Iterator

from ingest_service.readers.csv.encoding import TextSource, not_utf8
from ingest_service.readers.json.rows import JsonRecord
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.strict_json import (
    MAX_BYTES,
    Parsed,
    StrictDecoder,
    StrictJsonError,
    check_depth,
)

RECORDS: int = 20_000
"""Elements in one piece at most."""


class ArrayReader:
    """Reads elements as their text comes in.

    An element that cannot be read may only be cut off by the end of what was read so far, so more
    is read, up to the size a value may have, before that is called a fault.
    """

    def __init__(self, source: TextSource, chunk_bytes: int) -> None:
        self._source = source
        self._chunk_bytes = chunk_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._decoder = StrictDecoder()

    def pieces(self) -> Iterator[list[JsonRecord]]:
        """Yield the elements in pieces; raises `FileRefusedError` at a fault of the array."""
        self._expect("[")
        records: list[JsonRecord] = []
        place = 0
        is_open = self._peek() != "]"
        while is_open:
            place += 1
            records.append(self._element(place))
            if len(records) >= RECORDS or self._at > self._chunk_bytes:
                yield records
                records = []
                self._forget()
            is_open = self._peek() == ","
            if is_open:
                self._expect(",")
        self._expect("]")
        if self._peek():
            raise self._fault("something follows the array")
        if records:
            yield records

    def _element(self, place: int) -> JsonRecord:
        """Read an element; what makes it no JSON and leaves its end sure is its fault alone."""
        self._peek()
        while True:
            parsed: Parsed | None = None
            fault = ""
            try:
                parsed = self._decoder.value_at(self._text, self._at)
                end = parsed.end
            except StrictJsonError as error:
                if error.end is None:
                    if self._ended or len(self._text) - self._at > MAX_BYTES:
                        raise self._fault(error.message, error.position, place) from None
                    self._read()
                    continue
                end, fault = error.end, error.message
            if end == len(self._text) and not self._ended:
                self._read()  # a number may go on
                continue
            break
        raw = self._text[self._at : end]
        line = self._line
        self._line += raw.count("\n")
        self._at = end
        try:
            check_depth(raw)
        except StrictJsonError as error:
            return JsonRecord(raw.encode(), line, place, None, error.message)
        return JsonRecord(raw.encode(), line, place, parsed, fault)

    def _peek(self) -> str:
        """Go to the next character that is no white space and return it; "" at the end."""
        while True:
            while self._at < len(self._text):
                char = self._text[self._at]
                if char not in " \t\r\n":
                    return char
                self._line += char == "\n"
                self._at += 1
            if self._ended:
                return ""
            self._forget()
            self._read()

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise self._fault(f"a {char!r} is missing")
        self._at += 1

    def _read(self) -> None:
        block = self._source.read(self._chunk_bytes)
        self._ended = not block
        try:
            self._text += self._utf8.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            line = self._line + self._text.count("\n", self._at)
            raise not_utf8(error.object, line) from None

    def _forget(self) -> None:
        self._text, self._at = self._text[self._at :], 0

    def _fault(
        self, message: str, position: int | None = None, place: int | None = None
    ) -> FileRefusedError:
        line = self._line + self._text.count("\n", self._at, position or self._at)
        which = "" if place is None else f", in element {place}"
        return FileRefusedError(
            FileFault.BAD_JSON,
            f"the array cannot be read on line {line}{which}: {message}",
            remedy="correct the file there, or write one object per line: then wrong lines are "
            "listed one by one",
            line=line,
        )
