"""The people who are looked for: as values, which must go, and as mentions, which are counted.

A value is a whole text of an identifying field and equals an identifier or does not. A mention is
an identifier within another text: it has to stand alone there, since `customer-1` in `customer-10`
and `anna@example.com` in `susanna@example.com` are other people. Identifiers of fewer than `SHORT`
bytes are words and numbers that stand in texts about anything: they are looked for as values only.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from ahocorasick_rs import BytesAhoCorasick

SHORT: Final = 8
_WORD: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.@+") | {
    *range(0x80, 0x100)
}
"""Bytes that a longer identifier may go on with."""
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_AROUND: Final = 3
"""Bytes beside a match that decide whether it stands alone."""


class IdentifierPatterns:
    """Identifiers to look for; for several threads."""

    def __init__(self, subjects: Iterable[str]) -> None:
        self.subjects = tuple(dict.fromkeys(subjects))
        self.texts = frozenset(self.subjects)
        self._patterns: list[bytes] = []
        self._is_wide: list[bool] = []
        self._of_pattern: list[str] = []
        for subject in self.subjects:
            if len(subject.encode()) >= SHORT:
                for form, is_wide in _forms(subject):
                    self._patterns.append(form)
                    self._is_wide.append(is_wide)
                    self._of_pattern.append(subject)
        self.longest = max(map(len, self._patterns), default=0)

    @property
    def counts(self) -> dict[str, int]:
        """How many identifiers are looked for as values, and how many of them as mentions too."""
        sizes = [len(subject.encode()) for subject in self.subjects]
        return {"as_values": len(sizes), "as_mentions": sum(size >= SHORT for size in sizes)}

    @property
    def have_mentions(self) -> bool:
        """Whether any of them is looked for within texts."""
        return bool(self._patterns)

    def values(self, column: pl.Series) -> npt.NDArray[np.bool_]:
        """Return which rows of a column of texts equal an identifier."""
        kind = column.dtype
        if isinstance(kind, (pl.Categorical, pl.Enum)) or kind != pl.String:
            column = column.cast(pl.String)
        return column.is_in(self._texts.implode()).fill_null(value=False).to_numpy()

    def count(self, data: bytes, *, after: int = 0, goes_on: bool = False) -> int:
        """Return how often any stands alone in bytes, and ends behind the first `after` of them.

        `goes_on`: more bytes follow, so what ends with the last ones does not count yet.
        """
        last = len(data) - _AROUND if goes_on else len(data)
        return sum(1 for _, end in self.spans(data) if after < end <= last)

    def spans(self, data: bytes | memoryview) -> Iterator[tuple[int, int]]:
        """Yield where in bytes any stands alone: first byte, and the one behind the last."""
        if not self._patterns:
            return
        for pattern, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            if _stands(data, start, end, is_wide=self._is_wide[pattern]):
                yield start, end

    def rows(self, values: pa.Array) -> set[int]:
        """Return the positions of the texts or bytes of an array that mention any."""
        return set(self.people(values))

    def people(self, values: pa.Array) -> dict[int, set[str]]:
        """Return position → identifiers that the text or the bytes there mention."""
        plain = _plain(values)
        if not self._patterns or not len(plain):
            return {}
        offsets = np.frombuffer(plain.buffers()[1], dtype=np.int64)[
            plain.offset : plain.offset + len(plain) + 1
        ]
        data = plain.buffers()[2]
        if data is None:
            return {}
        view = memoryview(data).cast("B")
        found: dict[int, set[str]] = {}
        for pattern, start, end in self._automaton.find_matches_as_indexes(view, overlapping=True):
            row = int(np.searchsorted(offsets, start, side="right")) - 1
            subject = self._of_pattern[pattern]
            is_known = subject in found.get(row, ())
            if is_known or not 0 <= row < len(plain) or end > offsets[row + 1]:
                continue
            first, last = int(offsets[row]), int(offsets[row + 1])
            text = view[first:last]
            if _stands(text, start - first, end - first, is_wide=self._is_wide[pattern]):
                found.setdefault(row, set()).add(subject)
        return found

    @cached_property
    def _texts(self) -> pl.Series:
        return pl.Series(list(self.subjects), dtype=pl.String)

    @cached_property
    def _automaton(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(self._patterns)


def _plain(values: pa.Array) -> pa.Array:
    """Texts or bytes with 64-bit offsets, in one piece."""
    if pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type):
        return values
    is_bytes = pa.types.is_binary(values.type) or str(values.type) == "binary_view"
    return values.cast(pa.large_binary() if is_bytes else pa.large_string())


def _stands(data: bytes | memoryview, start: int, end: int, *, is_wide: bool) -> bool:
    """Whether what is from `start` to `end` stands alone."""
    before, behind = bytes(data[max(0, start - 3) : start]), bytes(data[end : end + 2])
    if is_wide:
        return not any(byte in _WORD for byte in (*before[-2:], *behind))
    if len(before) == 3 and before[0] == 0x25 and before[1] in _HEX and before[2] in _HEX:
        before = b""  # behind an escaped character of a link
    if before[-1:] == b"n" and before[-2:-1] == b"\\":
        before = b""  # behind a line break in JSON
    if before and before[-1] in _WORD:
        return False
    if behind[:1] == b".":  # the end of a sentence
        behind = behind[1:]
    return not behind or behind[0] not in _WORD


def _forms(subject: str) -> list[tuple[bytes, bool]]:
    """An identifier as UTF-8, UTF-16, in JSON, in JSON within JSON, in a link, in old encodings.

    Each with whether its characters are two bytes wide.
    """
    escaped = json.dumps(subject)[1:-1]
    forms = [
        subject.encode(),
        escaped.encode(),
        json.dumps(subject, ensure_ascii=False)[1:-1].encode(),
        json.dumps(escaped)[1:-1].encode(),
        quote(subject, safe="").encode(),
    ]
    for encoding in ("cp1252", "latin-1"):
        forms.append(subject.encode(encoding, errors="ignore"))
    # `ignore` shortens what the encoding lacks: such a form would be another identifier
    kept = [form for form in dict.fromkeys(forms) if len(form) >= len(subject)]
    wide = [subject.encode("utf-16-le"), subject.encode("utf-16-be")]
    return [*((form, False) for form in kept), *((form, True) for form in wide)]
