"""The encodings that a file may be in, by the names that people and clients call them."""

import codecs
import re
from collections.abc import Iterator
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
        *("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr", "hz"),
    )
)
"""What may be given: text encodings alone, by the names that Python knows them by."""

_MEANT: Final = {
    **dict.fromkeys(("ks-c-5601-1987", "euc-kr", "euckr", "korean", "csksc56011987"), "cp949"),
    **dict.fromkeys(("uhc", "ksc-5601", "ksc5601", "windows-949"), "cp949"),
    **dict.fromkeys(("gb2312", "gb-2312", "gb-2312-80", "csgb2312", "chinese"), "gbk"),
    **dict.fromkeys(("windows-936", "euc-cn", "gbk", "cp936"), "gbk"),
    **dict.fromkeys(
        ("shift-jis", "sjis", "shiftjis", "x-sjis", "ms-kanji", "windows-31j"), "cp932"
    ),
    **dict.fromkeys(("csshiftjis", "cp943"), "cp932"),
    **dict.fromkeys(("cn-big5", "csbig5", "x-x-big5", "big5-eten"), "big5"),
    **dict.fromkeys(("x-euc", "x-euc-jp", "ujis"), "euc_jp"),
    **dict.fromkeys(("windows-874", "dos-874", "tis-620", "tis620", "iso-8859-11"), "cp874"),
    **dict.fromkeys(("macintosh", "mac", "macroman", "cp10000"), "mac-roman"),
    **dict.fromkeys(("mac-ukrainian", "cp10007", "cp10017"), "mac-cyrillic"),
    **dict.fromkeys(
        ("mac-ce", "mac-centraleurope", "mac-centraleurroman", "cp10029"), "mac-latin2"
    ),
    **dict.fromkeys(("mac-icelandic", "cp10079"), "mac-iceland"),
    **dict.fromkeys(("logical", "visual", "csiso88598i", "iso-8859-8-i"), "iso8859-8"),
    **dict.fromkeys(("latin-9", "csisolatin9"), "iso8859-15"),
    **dict.fromkeys(("koi", "koi8"), "koi8-r"),
    "koi8-ru": "koi8-u",
    **dict.fromkeys(("unicode-1-1-utf-8", "utf8mb4", "utf8mb3"), "utf-8"),
    **dict.fromkeys(("unicode", "ucs-2", "iso-10646-ucs-2"), "utf-16"),
    **dict.fromkeys(("ucs-2le", "cp1200", "windows-1200"), "utf-16-le"),
    **dict.fromkeys(("ucs-2be", "cp1201", "windows-1201"), "utf-16-be"),
}
"""Names that Python does not know, and those by which files are called that hold more than it takes
the name for: what is meant by them (by the Encoding Standard, where it has them)."""
_PAGE: Final = re.compile(r"(?:x-)?(?:cp|windows|win|ibm|dos|oem)?-?(\d{3,4})")
_ISO: Final = re.compile(r"(?:cs)?iso-?8859-?(\d{1,2})(?:[-:].*)?")
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
        return canonical_name(charset)
    except FileRefusedError as error:
        error.message = "the charset that the request declares is not one that files may have"
        error.remedy = "declare the right one, or give it as `encoding`, which goes before"
        raise


def canonical_name(given: str) -> str:
    """Return Python's name of an encoding, by any of its names; raises `FileRefusedError`."""
    for spelled in _spellings(given):
        try:
            name = codecs.lookup(spelled).name.removesuffix("-sig")
        except (LookupError, ValueError):
            continue
        if name in ENCODINGS:
            return name
    raise unknown_encoding("the encoding that was given is not one that files may have")


def _spellings(given: str) -> Iterator[str]:
    """Yield what may be meant by a name, the likeliest first."""
    name = re.sub(r"[\s_-]+", "-", given.strip().lower())
    plain = name.removeprefix("x-")
    yield from (_MEANT[one] for one in (name, plain) if one in _MEANT)
    if (iso := _ISO.fullmatch(plain)) is not None:
        yield f"iso8859-{iso[1]}"
    if (page := _PAGE.fullmatch(name)) is not None:
        yield f"cp{page[1]}"
    yield from (name, plain)


def unknown_encoding(message: str, remedy: str | None = None) -> FileRefusedError:
    """Return what to raise for an encoding that is not known, or is not the file's."""
    return FileRefusedError(
        FileFault.UNKNOWN_ENCODING,
        message,
        remedy=remedy
        or "give utf-8, utf-16-le, cp1252 or another of those in docs/mappings.md, or none",
        line=1,
    )
