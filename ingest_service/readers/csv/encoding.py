"""Which encoding a file is in, and its text as UTF-8 bytes whatever it is.

A byte order mark decides. Without one a file is UTF-8 if all of it is. What else it is can only be
guessed: Western files (Windows-1252, and Latin-1, its subset in practice) are read so when the
guess is good, and the guess is told with its confidence; any other encoding has to be given. A
charset that the request declares counts as given, unless the bytes contradict it.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, Literal

from ingest_service.readers.csv.charsets import (
    WINDOWS,
    canonical_name,
    declared_name,
    unknown_encoding,
)
from ingest_service.readers.csv.east_asian import escaped_encoding
from ingest_service.readers.csv.plausibility import are_words
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

UTF8: Final = "utf-8"
SNIFFED_BYTES: Final = 4_096
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")

_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it begins with that mark
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NUL_SHARE: Final = 0.4
_CUT: Final = "the file ends within a character (truncated upload?)"
_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 1_000
_LONGEST_ESCAPE: Final = 64
_CONTROLS: Final = re.compile("[\x80-\x9f]")
"""What ISO 8859 has where Windows code pages have letters and signs; no text holds them."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding (Python's name), how sure it is from 0 to 1, and who says so."""

    name: str
    confidence: float
    how: Literal["given", "mark", "declared", "detected"]


class TextSource:
    """A file's text from the start, as UTF-8 bytes without a byte order mark.

    UTF-8 is handed through unchecked; any other encoding is decoded strictly. `given` is an
    encoding by name, or one that was detected; `declared` is the request's charset, which counts
    when nothing is given and the file has no byte order mark. Raises `FileRefusedError` when it is
    unknown, contradicts the file's byte order mark or does not fit the bytes.
    """

    def __init__(
        self, path: Path, given: str | Encoding | None = None, declared: str | None = None
    ) -> None:
        self._file: BufferedReader = path.open("rb", buffering=0)  # type: ignore[assignment]
        try:
            start = self._file.read(SNIFFED_BYTES)
            self.encoding, self._skipped = _encoding_of(start, given, declared)
        except BaseException:
            self._file.close()
            raise
        self.rewind()

    def rewind(self) -> None:
        """Go back to the start of the text."""
        self._file.seek(self._skipped)
        name = self.encoding.name
        self._decoder = None if name == UTF8 else codecs.getincrementaldecoder(name)("strict")
        self._line = 1
        is_doubtful = self.encoding.how == "declared" and name not in (UTF8, *_WIDE)
        self._as_utf8 = codecs.getincrementaldecoder(UTF8)() if is_doubtful else None
        self._is_ascii = True
        self._words: set[str] = set()
        self._before = b""

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Return text made of about `size` bytes of the file, nothing at its end."""
        if self._decoder is None:
            data = self._file.read(size)
            if self.encoding.how == "detected":
                self._refuse_escapes(data)
            return data
        while True:
            block = self._file.read(size)
            self._compare_with_utf8(block)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise self._undecodable(error, is_end=not block) from None
            if self.encoding.name.startswith("iso8859"):
                self._refuse_controls(text)
            if text or not block:
                self._line += text.count("\n")
                return text.encode()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _compare_with_utf8(self, block: bytes) -> None:
        """Refuse, at its end, a file that is UTF-8 while the request declares something else.

        Many clients declare a charset that they never looked for. Bytes that are UTF-8 by chance
        make letters that are in no words; then the declared charset counts.
        """
        if self._as_utf8 is None:
            return
        try:
            text = self._as_utf8.decode(block, final=not block)
        except UnicodeDecodeError:
            self._as_utf8 = None
            return
        self._is_ascii &= block.isascii()
        if not text.isascii() and len(self._words) < _MOST_WORDS:
            self._words.update(word for word in _WORD.findall(text) if not word.isascii())
        if not block and not self._is_ascii and are_words(self._words):
            raise self._contradicted()

    def _refuse_escapes(self, block: bytes) -> None:
        """Refuse ASCII that stands for other characters (ISO 2022, HZ): nobody said that it does.

        Text of ASCII alone is UTF-8 as well, and would be stored as it stands.
        """
        before, self._before = self._before, block[-_LONGEST_ESCAPE:]
        if b"\x1b" not in block and b"~" not in block:
            return
        if escaped_encoding(before + block) is not None:
            fault = NotUtf8Error(
                FileFault.NOT_UTF8,
                "the file switches between sets of characters by escapes, as no UTF-8 does",
                remedy="export the file as UTF-8, or give its `encoding`",
                line=self._line,
            )
            fault.is_escaped = True
            raise fault

    def _contradicted(self) -> FileRefusedError:
        return unknown_encoding(
            f"the request declares the charset {self.encoding.name}, and the file is UTF-8",
            remedy="declare charset=utf-8, or give the right one as `encoding`",
        )

    def _refuse_controls(self, text: str) -> None:
        found = _CONTROLS.search(text)
        if found is None:
            return
        if self._as_utf8 is not None and not self._is_ascii:
            raise self._contradicted()
        line = self._line + text.count("\n", 0, found.start())
        windows = WINDOWS.get(self.encoding.name)
        raise FileRefusedError(
            FileFault.UNDECODABLE,
            f"line {line} holds a byte that is a control character in {self.encoding.name}",
            remedy=f"give {windows or 'the right one'} as `encoding`, or export the file as UTF-8",
            line=line,
        )

    def _undecodable(self, error: UnicodeDecodeError, *, is_end: bool) -> FileRefusedError:
        if is_end:
            return FileRefusedError(
                FileFault.UNDECODABLE,
                _CUT,
                remedy="compare its length with the original's and send all of it",
                line=self._line,
            )
        before = error.object[: error.start].decode(self.encoding.name, "ignore")
        line = self._line + before.count("\n")
        return FileRefusedError(
            FileFault.UNDECODABLE,
            f"line {line} holds bytes that {self.encoding.name} does not have",
            remedy="give the right `encoding`, or export the file as UTF-8",
            line=line,
        )


def _encoding_of(
    start: bytes, given: str | Encoding | None, declared: str | None
) -> tuple[Encoding, int]:
    """Return the encoding and the length of the byte order mark."""
    if isinstance(given, Encoding):
        return given, 0
    mark, marked = next(((m, name) for m, name in _MARKS if start.startswith(m)), (b"", None))
    if given is None:
        if marked is not None:
            return Encoding(marked, 1.0, "mark"), len(mark)
        if declared is None:
            return _wide(start) or Encoding(UTF8, 1.0, "detected"), 0
        return Encoding(_with_byte_order(declared_name(declared), start), 1.0, "declared"), 0
    name = canonical_name(given)
    if marked is not None:
        if marked not in (name, f"{name}-le", f"{name}-be"):
            raise unknown_encoding(
                f"the file begins with the byte order mark of {marked}, {name} was given"
            )
        return Encoding(marked, 1.0, "given"), len(mark)
    return Encoding(_with_byte_order(name, start), 1.0, "given"), 0


def _with_byte_order(name: str, start: bytes) -> str:
    if name not in ("utf-16", "utf-32"):
        return name
    wide = _wide(start)
    if wide is None or not wide.name.startswith(name):
        raise unknown_encoding(f"the file has no byte order mark, so {name} does not say enough")
    return wide.name


def _wide(start: bytes) -> Encoding | None:
    """UTF-16 without a mark: in a header of ASCII letters every other byte is NUL."""
    pairs = len(start) // 2
    if pairs < 2:
        return None
    nuls = {"utf-16-le": start[1::2].count(0), "utf-16-be": start[0::2].count(0)}
    name = max(nuls, key=lambda key: nuls[key])
    share = nuls[name] / pairs
    if share < _NUL_SHARE or min(nuls.values()):
        return None
    return Encoding(name, round(min(0.5 + share / 2, 0.99), 2), "detected")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoding that a file may be in, and what a part of the file says in it."""

    encoding: str
    sample: str


class NotUtf8Error(FileRefusedError):
    """A file that nobody gave an encoding for holds bytes that are not UTF-8.

    `is_cut`: all of it is UTF-8 but for its end, which lies within a character. `is_escaped`:
    all of it is ASCII, which stands for other characters. `candidates`: what it may be in; their
    samples are text of the file, for who has sent it alone.
    """

    is_cut = False
    is_escaped = False
    candidates: tuple[Candidate, ...] = ()

    @property
    def details(self) -> Mapping[str, Any]:
        """Where in the file the fault is, and what it may be in."""
        shown = [{"encoding": one.encoding, "sample": one.sample} for one in self.candidates]
        return {**super().details, "candidates": shown} if shown else super().details


def not_utf8(data: bytes, first_line: int, *, is_end: bool = False) -> NotUtf8Error:
    """Return what to raise for data, from the start of `first_line`, that is not UTF-8.

    `is_end`: the file ends with it, and all before it is UTF-8.
    """
    at, is_cut = 0, False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        at, is_cut = error.start, is_end and error.reason == "unexpected end of data"
    line = first_line + data.count(b"\n", 0, at)
    fault = NotUtf8Error(
        FileFault.NOT_UTF8,
        _CUT if is_cut else f"line {line} holds bytes that are not UTF-8",
        remedy="compare its length with the original's and send all of it"
        if is_cut
        else "export the file as UTF-8, or give its `encoding`",
        line=line,
    )
    fault.is_cut = is_cut
    return fault


def nul_byte(line: int) -> FileRefusedError:
    """Return what to raise for a NUL byte."""
    return FileRefusedError(
        FileFault.NUL_BYTE,
        f"line {line} holds a NUL byte",
        remedy="export the file as text without NUL bytes",
        line=line,
    )


def non_ascii_lines(path: Path, limit: int) -> Iterator[bytes]:
    """Yield the lines that hold a byte beyond ASCII: about `limit` bytes of them.

    Behind those, lines follow that hold such a byte as no line before, to the end of the file.
    """
    size = 0
    seen = bytes(range(0x80))
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(limit), b""):
            if line.isascii():
                continue
            is_new = line.translate(None, seen)
            if size < limit or is_new:
                yield line
                size += len(line)
                seen += bytes(set(is_new))
