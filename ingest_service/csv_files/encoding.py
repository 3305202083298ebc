"""Which encoding a file is in, and its text as UTF-8 bytes whatever it is.

A byte order mark decides. Without one a file is UTF-8 if all of it is. What else it is can only be
guessed: Western files (Windows-1252, and Latin-1, its subset in practice) are read so when the
guess is good, and the guess is told with its confidence; any other encoding has to be given.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final, Literal

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

UTF8: Final = "utf-8"
SNIFFED_BYTES: Final = 4_096
ENCODINGS: Final = frozenset(
    codecs.lookup(name).name
    for name in (
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp125{page}" for page in range(9)),
        *("cp437", "cp850", "cp852", "cp866", "koi8-r", "koi8-u", "mac-roman"),
        *("cp932", "shift_jis", "euc_jp", "gb18030", "gbk", "big5", "euc_kr"),
    )
)
"""What may be given: text encodings alone, by the names that Python knows them by."""

_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it begins with that mark
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NUL_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding (Python's name), how sure it is from 0 to 1, and who says so."""

    name: str
    confidence: float
    how: Literal["given", "mark", "detected"]


class TextSource:
    """A file's text from the start, as UTF-8 bytes without a byte order mark.

    UTF-8 is handed through unchecked; any other encoding is decoded strictly. `given` is an
    encoding by name, or one that was detected. Raises `FileRefusedError` when it is unknown,
    contradicts the file's byte order mark or does not fit the bytes.
    """

    def __init__(self, path: Path, given: str | Encoding | None = None) -> None:
        self._file: BufferedReader = path.open("rb", buffering=0)  # type: ignore[assignment]
        try:
            start = self._file.read(SNIFFED_BYTES)
            self.encoding, self._skipped = _encoding_of(start, given)
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

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Return text made of about `size` bytes of the file, nothing at its end."""
        if self._decoder is None:
            return self._file.read(size)
        while True:
            block = self._file.read(size)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise self._undecodable(error) from None
            if text or not block:
                self._line += text.count("\n")
                return text.encode()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _undecodable(self, error: UnicodeDecodeError) -> FileRefusedError:
        before = error.object[: error.start].decode(self.encoding.name, "ignore")
        line = self._line + before.count("\n")
        return FileRefusedError(
            FileFault.UNDECODABLE,
            f"line {line} holds bytes that {self.encoding.name} does not have",
            remedy="give the right `encoding`, or export the file as UTF-8",
            line=line,
        )


def _encoding_of(start: bytes, given: str | Encoding | None) -> tuple[Encoding, int]:
    """Return the encoding and the length of the byte order mark."""
    if isinstance(given, Encoding):
        return given, 0
    mark, marked = next(((m, name) for m, name in _MARKS if start.startswith(m)), (b"", None))
    if given is None:
        if marked is not None:
            return Encoding(marked, 1.0, "mark"), len(mark)
        return _wide(start) or Encoding(UTF8, 1.0, "detected"), 0
    name = _canonical(given)
    if marked is not None:
        if marked not in (name, f"{name}-le", f"{name}-be"):
            raise _unknown(
                f"the file begins with the byte order mark of {marked}, {name} was given"
            )
        return Encoding(marked, 1.0, "given"), len(mark)
    if name in ("utf-16", "utf-32"):
        wide = _wide(start)
        if wide is None or not wide.name.startswith(name):
            raise _unknown(f"the file has no byte order mark, so {name} does not say enough")
        name = wide.name
    return Encoding(name, 1.0, "given"), 0


def _canonical(given: str) -> str:
    try:
        name = codecs.lookup(given).name.removesuffix("-sig")
    except (LookupError, ValueError):
        name = ""
    if name not in ENCODINGS:
        raise _unknown("the encoding that was given is not one that files may have")
    return name


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


def _unknown(message: str) -> FileRefusedError:
    return FileRefusedError(
        FileFault.UNKNOWN_ENCODING,
        message,
        remedy="give utf-8, utf-16-le, cp1252 or another of the documented ones, or none",
        line=1,
    )


class NotUtf8Error(FileRefusedError):
    """A file that nobody gave an encoding for holds bytes that are not UTF-8."""


def not_utf8(data: bytes, first_line: int) -> NotUtf8Error:
    """Return what to raise for data, from the start of `first_line`, that is not UTF-8."""
    at = 0
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
    line = first_line + data.count(b"\n", 0, at)
    return NotUtf8Error(
        FileFault.NOT_UTF8,
        f"line {line} holds bytes that are not UTF-8",
        remedy="export the file as UTF-8, or give its `encoding`",
        line=line,
    )


def nul_byte(line: int) -> FileRefusedError:
    """Return what to raise for a NUL byte."""
    return FileRefusedError(
        FileFault.NUL_BYTE,
        f"line {line} holds a NUL byte",
        remedy="export the file as text without NUL bytes",
        line=line,
    )


def non_ascii_lines(path: Path, limit: int) -> Iterator[bytes]:
    """Yield the lines that hold a byte beyond ASCII, about `limit` bytes of them."""
    size = 0
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(limit), b""):
            if not line.isascii():
                yield line
                size += len(line)
                if size >= limit:
                    return
