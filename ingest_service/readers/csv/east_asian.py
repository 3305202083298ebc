"""Which of the encodings of East Asia a text that is no UTF-8 may be in, the likeliest first."""

import re
from typing import Final

from ingest_service.readers.csv.languages import EAST_ASIAN
from ingest_service.readers.csv.plausibility import MOST_FOREIGN

_RUN: Final = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff5e]{2,}")
_COMMON_LEADS: Final = {"gb18030": (0xB0, 0xD7), "big5": (0xA4, 0xC6)}
"""First bytes of the ideographs of the first level."""
_HANGUL: Final = re.compile("[\uac00-\ud7a3]")
_KANA: Final = re.compile("[\u3041-\u30ff]")
_MOST_DAMAGED: Final = 0.02
"""Share of characters that do not fit, up to which an encoding is told of all the same."""
_ESCAPES: Final = (
    ("iso2022_kr", re.compile(rb"\x1b\$\)C")),
    ("iso2022_jp", re.compile(rb"\x1b\$(?:[@B]|\([DOPQ])|\x1b\([IJ]")),
    ("hz", re.compile(rb"~\{(?:[\x21-\x7e]{2})+~\}")),
)


def escaped_encoding(data: bytes) -> str | None:
    """Return the encoding of a text that is all ASCII and switches sets by escapes, None if not."""
    if b"\x1b" not in data and b"~{" not in data:
        return None
    return next((name for name, pattern in _ESCAPES if pattern.search(data)), None)


def east_asian_encodings(sample: bytes) -> list[str]:
    """Return those in which nearly all beyond ASCII stands in runs of East Asian characters."""
    found = [name for name in EAST_ASIAN if _is_plausible(sample, name)]
    return sorted(found, key=lambda name: _rank(sample, name))


def _is_plausible(sample: bytes, name: str) -> bool:
    text = sample.decode(name, "replace")
    beyond = sum(not char.isascii() for char in text)
    if text.count("\ufffd") > _MOST_DAMAGED * beyond:
        return False
    return sum(map(len, _RUN.findall(text))) >= (1 - MOST_FOREIGN) * beyond


def _rank(sample: bytes, name: str) -> tuple[bool, float, int]:
    """Whether bytes do not fit, and how telling the characters are.

    Of Korean Hangul is, of Japanese kana, of Chinese the common half of the ideographs.
    """
    text = sample.decode(name, "replace")
    beyond = [char for char in text if not char.isascii()]
    if name in ("cp949", "johab"):
        share = len(_HANGUL.findall(text)) / len(beyond)
    elif name in _COMMON_LEADS:
        first, last = _COMMON_LEADS[name]
        leads = [char.encode(name, "ignore")[:1] or b"\0" for char in beyond]
        share = 0.9 * sum(first <= lead[0] <= last for lead in leads) / len(beyond)
    else:
        share = min(1.0, 5 * len(_KANA.findall(text)) / len(beyond))
    return "\ufffd" in text, -round(share, 1), EAST_ASIAN.index(name)
