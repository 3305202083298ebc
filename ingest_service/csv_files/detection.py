"""What a file that is not UTF-8 is likely to be; asked only when a byte has shown that."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.csv_files.encoding import Encoding, non_ascii_lines

SAMPLE_BYTES: Final = 64 * 1024
MIN_CONFIDENCE: Final = 0.75
CANDIDATES: Final = (
    *("cp1252", "latin_1", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "euc_kr"),
)
_WESTERN: Final = "cp1252"
_UTF8_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_MISFIT: Final = re.compile(r"[^\W\d_][¡-©«-¹»-¿]|[¡-©«-¶¸¹»-¿][^\W\d_]")
"""A sign within a word: what letters of another encoding look like in this one."""


@dataclass(frozen=True, slots=True)
class Guess:
    """`encoding`: the one to read the file with, None when that is not sure enough.

    `likely`: the name of the likeliest one all the same, None when the file looks like UTF-8 that
    was damaged, or like nothing that is known.
    """

    encoding: Encoding | None
    likely: str | None


def guess_encoding(path: Path) -> Guess:
    """Guess from the file's lines beyond ASCII, up to 64 KiB of them."""
    sample = b"".join(non_ascii_lines(path, SAMPLE_BYTES))
    beyond = sum(byte > 0x7F for byte in sample)
    if not beyond or sum(map(len, _UTF8_SEQUENCE.findall(sample))) > beyond / 2:
        return Guess(None, None)
    # Imported here: few files need it, and it takes 20 MB.
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, cp_isolation=list(CANDIDATES)))
    if not matches:
        return Guess(None, None)
    best, text = matches[0], sample.decode(_WESTERN, "replace")
    as_good = [m for m in matches if (m.chaos, m.coherence) == (best.chaos, best.coherence)]
    if not any(str(match) == text for match in as_good):
        return Guess(None, best.encoding)
    misfits = len(_MISFIT.findall(text))
    confidence = (1 - best.chaos) * (1 - min(1.0, misfits / beyond))
    if len(as_good) > 1:
        confidence *= 0.8
    confidence = round(min(confidence, 0.95), 2)
    if confidence < MIN_CONFIDENCE:
        return Guess(None, best.encoding)
    return Guess(Encoding(_WESTERN, confidence, "detected"), _WESTERN)
