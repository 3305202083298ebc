"""Whom a file of text names: an export, or an upload on its way in, read by its own header.

Such a file tells itself what it is: the names of its columns, with RecBole's types behind a colon,
or the names of JSON's values. Delimiter, quotes and encoding are told from its first line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO, Final

from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.layout import LONGEST_FIELD
from lakehouse.privacy.unparsed import pairs_of

PIECE: Final = 4 * 1024 * 1024
HEAD: Final = 64 * 1024
DELIMITERS: Final = ("\t", ",", ";", "|")
_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))


def named_in_text(file: IO[bytes], fields: IdentifyingFields, texts: frozenset[str]) -> int:
    """Return how many rows of a file have one of these texts in a field that names a person.

    0 for a file that shows no such field. Reads it in pieces.
    """
    head = file.read(HEAD)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return 0  # no text
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    file.seek(0)
    lines = io.BufferedReader(_Kept(file))
    stream = io.TextIOWrapper(lines, encoding=encoding, errors="surrogateescape", newline="")
    first = head.decode(encoding, errors="replace").lstrip("\ufeff").lstrip()
    if first[:1] in ("{", "["):
        return sum(text in texts for text in _json_values(stream, fields))
    line = first.partition("\n")[0].rstrip("\r")
    for delimiter in DELIMITERS:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        columns = [at for at, name in enumerate(cells) if fields.field_of(name.strip()) is not None]
        if columns:
            return sum(
                any(value in texts for value in row)
                for row in _rows(stream, delimiter, columns, len(cells))
            )
    return 0


class _Kept(io.RawIOBase):
    """A file that stays open when what reads it as text is dropped."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _rows(
    lines: Iterable[str], delimiter: str, columns: list[int], width: int
) -> Iterator[list[str]]:
    """Yield what the columns that name a person hold; of a row of another width all it holds."""
    # RecBole and pandas take a quote within a field as it stands, and so does the csv module.
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(_without_nul(lines), delimiter=delimiter)
    for number, row in enumerate(reader):
        if number:
            yield [row[at] for at in columns] if len(row) == width else row


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    return (line.replace("\0", "") for line in lines)


def _json_values(stream: IO[str], fields: IdentifyingFields) -> Iterator[str]:
    """Yield the values of names that name a person, at whatever depth."""
    rest = ""
    while piece := stream.read(PIECE):
        rest += piece
        end = max(rest.rfind("\n"), rest.rfind("}")) + 1
        yield from _values_of(rest[:end], fields)
        rest = rest[end:]
    yield from _values_of(rest, fields)


def _values_of(text: str, fields: IdentifyingFields) -> Iterator[str]:
    for name, value in pairs_of(text):
        if fields.may_be(name) is not None:
            yield value
