"""The encodings that a file may be in, by the names that people and clients call them."""

import codecs
from typing import Final

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

ENCODINGS: Final = frozenset(
    codecs.lookup(name).name
    for name in (
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp125{page}" for page in range(9)),
        *("ascii", "cp437", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858"),
        *("cp862", "cp865", "cp866", "cp874", "koi8-r", "koi8-u"),
        *("mac-roman", "mac-latin2", "mac-cyrillic", "mac-greek", "mac-turkish", "mac-iceland"),
        *("cp932", "shift_jis", "shift_jis_2004", "euc_jp", "euc_jis_2004"),
        *("gb18030", "gbk", "gb2312", "big5", "big5hkscs", "cp950", "euc_kr", "cp949", "johab"),
    )
)
"""What may be given: text encodings alone, by the names that Python knows them by."""

_SUPERSETS: Final = {
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "gb2312": "gbk",
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",
}
"""Charsets as clients declare them, and what is meant by them (the Encoding Standard's labels)."""
WINDOWS: Final = {
    "iso8859-1": "cp1252",
    "iso8859-2": "cp1250",
    "iso8859-5": "cp1251",
    "iso8859-6": "cp1256",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
"""The code pages that files are really in which have bytes that ISO 8859 has no sign for."""


def declared_name(charset: str) -> str:
    """Return Python's name of a charset that a request declares; raises `FileRefusedError`."""
    try:
        return canonical_name(_SUPERSETS.get(charset.strip().lower(), charset.strip()))
    except FileRefusedError as error:
        error.message = "the charset that the request declares is not one that files may have"
        error.remedy = "declare the right one, or give it as `encoding`, which goes before"
        raise


def canonical_name(given: str) -> str:
    """Return Python's name of an encoding that was given; raises `FileRefusedError`."""
    try:
        name = codecs.lookup(given).name.removesuffix("-sig")
    except (LookupError, ValueError):
        name = ""
    if name not in ENCODINGS:
        raise unknown_encoding("the encoding that was given is not one that files may have")
    return name


def unknown_encoding(message: str, remedy: str | None = None) -> FileRefusedError:
    """Return what to raise for an encoding that is not known, or is not the file's."""
    return FileRefusedError(
        FileFault.UNKNOWN_ENCODING,
        message,
        remedy=remedy or "give utf-8, utf-16-le, cp1252 or another of the documented ones, or none",
        line=1,
    )
