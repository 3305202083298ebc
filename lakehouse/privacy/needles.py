"""What is looked for: identifiers in every form in which bytes may hold them.

An identifier is no word of a language: `customer-1` stands in `customer-10`, which is another
person. So how it is looked for depends on its length. From `LONG` bytes on it is looked for as
bare bytes, wherever they are. From `SHORT` on it must stand alone, between separators or as a whole
value. A shorter one is looked for as a whole value of a column that names a person, and as a word
of a quarantined record; its bytes are everywhere and mean nothing.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
from ahocorasick_rs import BytesAhoCorasick

LONG: Final = 20
SHORT: Final = 8
SUBJECT_COLUMNS: Final = frozenset({"user_id", "anonymous_id"})
SEPARATORS: Final = frozenset({*range(0x21), *b",;|\"'{}[]()<>=&?/#\\"})


class Needles:
    """Identifiers to look for; for several threads."""

    def __init__(self, subjects: Iterable[str]) -> None:
        self.subjects = tuple(dict.fromkeys(subjects))
        self._patterns: list[bytes] = []
        self._is_long: list[bool] = []
        self._owners: list[str] = []
        short = set()
        for subject in self.subjects:
            size = len(subject.encode())
            if size < SHORT:
                short.add(subject)
                continue
            for form in _forms(subject):
                self._patterns.append(form)
                self._is_long.append(size >= LONG)
                self._owners.append(subject)
        self.short = frozenset(short)
        self.longest = max(map(len, self._patterns), default=0)

    @property
    def counts(self) -> dict[str, int]:
        """How many identifiers are looked for as bytes, as words and as values."""
        sizes = [len(subject.encode()) for subject in self.subjects]
        return {
            "as_bytes": sum(size >= LONG for size in sizes),
            "as_words": sum(SHORT <= size < LONG for size in sizes),
            "as_values": sum(size < SHORT for size in sizes),
        }

    def count(self, data: bytes, *, after: int = 0, goes_on: bool = False) -> int:
        """Return how often any stands in bytes, and ends behind the first `after` of them.

        `goes_on`: more bytes follow, so what ends with the last one does not count yet.
        """
        last = len(data) - 1 if goes_on else len(data)
        return sum(1 for end in self._ends(data) if after < end <= last)

    def rows(self, values: pa.Array, *, of_subjects: bool = False) -> set[int]:
        """Return the positions of the texts or bytes of an array that hold any.

        `of_subjects`: the array is of a column that names a person.
        """
        plain = _plain(values)
        found = {
            row for row, start, end, text in self._in_values(plain) if _stands(text, start, end)
        }
        if of_subjects and self.short:
            is_short = pl.Series(plain).cast(pl.String).is_in(list(self.short)).fill_null(False)
            found |= set(is_short.arg_true().to_list())
        return found

    def words(self, values: pa.Array) -> set[int]:
        """Return the positions that hold any, the short ones as words included."""
        found = self.rows(values)
        if self.short:
            for row, value in enumerate(_plain(values).to_pylist()):
                if value is not None and not self.short.isdisjoint(_words_of(value)):
                    found.add(row)
        return found

    @cached_property
    def _automaton(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(self._patterns)

    def _ends(self, data: bytes) -> Iterator[int]:
        if not self._patterns:
            return
        for pattern, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            if self._is_long[pattern] or _stands(data, start, end):
                yield end

    def _in_values(self, values: pa.Array) -> Iterator[tuple[int, int, int, bytes | memoryview]]:
        """Yield matches that lie within one value: its row, and where in which bytes they stand."""
        if not self._patterns or not len(values):
            return
        offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[
            values.offset : values.offset + len(values) + 1
        ]
        data = values.buffers()[2]
        if data is None:
            return
        view = memoryview(data).cast("B")
        found = self._automaton.find_matches_as_indexes(view, overlapping=True)
        for pattern, start, end in found:
            row = int(np.searchsorted(offsets, start, side="right")) - 1
            if not 0 <= row < len(values) or end > offsets[row + 1]:
                continue
            if self._is_long[pattern]:
                yield row, 0, 0, b""
                continue
            first, last = int(offsets[row]), int(offsets[row + 1])
            yield row, start - first, end - first, view[first:last]


def _plain(values: pa.Array) -> pa.Array:
    """Texts or bytes with 64-bit offsets, in one piece."""
    kind = pa.large_binary() if pa.types.is_binary(values.type) else pa.large_string()
    if pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type):
        return values
    if str(values.type) == "binary_view":
        kind = pa.large_binary()
    return values.cast(kind)


def _stands(data: bytes | memoryview, start: int, end: int) -> bool:
    """Whether what is from `start` to `end` stands alone."""
    if end == 0:
        return True  # a long one, found anywhere
    before = start == 0 or data[start - 1] in SEPARATORS
    return before and (end == len(data) or data[end] in SEPARATORS)


def _forms(subject: str) -> list[bytes]:
    """An identifier as UTF-8, UTF-16, in JSON, in JSON within JSON, in a link, in old encodings."""
    escaped = json.dumps(subject)[1:-1]
    forms = [
        subject.encode(),
        subject.encode("utf-16-le"),
        subject.encode("utf-16-be"),
        escaped.encode(),
        json.dumps(subject, ensure_ascii=False)[1:-1].encode(),
        json.dumps(escaped)[1:-1].encode(),
        quote(subject, safe="").encode(),
    ]
    for encoding in ("cp1252", "latin-1"):
        forms.append(subject.encode(encoding, errors="ignore"))
    # `ignore` shortens what the encoding lacks: such a form would be another identifier
    return [form for form in dict.fromkeys(forms) if len(form) >= len(subject)]


def _words_of(value: str | bytes) -> set[str]:
    data = value.encode() if isinstance(value, str) else value
    spaced = bytes(0x20 if byte in SEPARATORS else byte for byte in data)
    return {word.decode(errors="replace") for word in spaced.split(b" ") if word}
