"""Texts within a record that cannot be parsed: whole cells and words, pairs of name and value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_PAIR: Final = re.compile(
    rf"(?P<key>{_STRING})\s*:\s*(?P<value>{_STRING}|[^\s,\"{{}}\[\]]+)", re.DOTALL
)
_KEY: Final = re.compile(rf"{_STRING}\s*:", re.DOTALL)
_OPENED: Final = re.compile(rf"({_STRING})\s*:\s*([\[{{])", re.DOTALL)
_TEXT: Final = re.compile(_STRING, re.DOTALL)
_BETWEEN: Final = (
    re.compile(r"[\x00-\x20,;|\"'{}\[\]()<>\\]+"),
    re.compile(r"[\x00-\x20,;|\"'{}\[\]()<>:=&/?#\\]+"),
)
"""What stands between the words of a record; the second for links and pairs of name and value."""
_LONGEST: Final = 2_048
"""Bytes of the longest identifier: 512 characters."""


def pairs_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield what looks like a name and a value of JSON, decoded."""
    for match in _PAIR.finditer(text):
        value = match["value"]
        yield _decoded(match["key"]), _decoded(value) if value[0] == '"' else value


def opened_by(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what looks like a name of a list or object of JSON, decoded, and whether of a list."""
    for match in _OPENED.finditer(text):
        yield _decoded(match[1]), match[2] == "["


def cells_of(text: str, delimiter: str, quote: str = '"') -> list[str]:
    """Return what stands between delimiters and line ends, without the quotes around it."""
    found = []
    for line in text.rstrip("\r\n").splitlines():
        for cell in line.split(delimiter):
            bare = cell.strip()
            is_quoted = quote in (bare[:1], bare[-1:])
            found.append(bare.strip(quote).replace(quote * 2, quote) if is_quoted else cell)
    return found


def words_of(text: str) -> set[str]:
    """Return the texts in quotes and the words of a text; the names of JSON's values are none."""
    rest = _KEY.sub(" ", text)
    found = {_decoded(match[0]) for match in _TEXT.finditer(rest)}
    for between in _BETWEEN:
        found.update(between.split(rest))
    return found - {""}


def prefixed_texts(data: bytes) -> Iterator[str]:
    """Yield every text that has its length before it, as Avro writes one, wherever it begins."""
    for at in range(len(data)):
        size, begin = _length(data, at)
        if 0 < size <= _LONGEST and begin + size <= len(data):
            with suppress(UnicodeDecodeError):
                yield data[begin : begin + size].decode()


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place (variable length, zigzag), and where it ends."""
    number, shift = 0, 0
    while at < len(data) and shift < 21:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    return -1, at


def _decoded(text: str) -> str:
    with suppress(ValueError):
        return str(json.loads(text, strict=False))
    return text[1:-1]
