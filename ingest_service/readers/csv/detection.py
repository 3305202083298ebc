"""What a file that is not UTF-8 is likely to be; asked only when a byte has shown that.

Most bytes beyond ASCII are a letter in every encoding of one byte per character, so a wrong guess
alters texts and nothing fails. Hence the rule: such a file is read as Windows-1252 only when all of
it is plausible so, and when no other likely encoding would read any byte of it in another way and
be plausible too. Plausible means: the letters are those of one language, and stand where letters
stand. Anything else is for the sender to say; the likely encodings are suggested.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.readers.csv.encoding import Encoding, non_ascii_lines
from ingest_service.readers.csv.languages import EAST_ASIAN, LATIN, OTHER_SCRIPTS, Language
from ingest_service.readers.csv.spelling import is_well_spelt

SAMPLE_BYTES: Final = 64 * 1024
SUGGESTED: Final = 3
_WESTERN: Final = "cp1252"
_SURE: Final = 0.95
_MOST_FOREIGN: Final = 0.1
_MOST_OF_OTHERS: Final = 0.2
"""Share of letters of other languages that every likely encoding reads alike: é in Polish."""
_LEAST_COMMON: Final = 0.25
_FEW: Final = 4
"""Letters that differ, up to which nothing is said by how common they are."""
_MANY: Final = 20
"""Letters that differ, from which a language shows several of its common ones."""

_BORROWED: Final = frozenset("éèàçäöüñ")
"""Letters of words that many languages have borrowed."""

_OTHERS: Final = frozenset("áéíóúýçôîâë")

_UTF8_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_BETWEEN_WORDS: Final = re.compile(rb'[\x00-\x20,;|"()\[\]{}<>/:]+')
_EAST_ASIAN_RUN: Final = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff5e]{2,}")
_COMMON_LEADS: Final = {"gb18030": (0xB0, 0xD7), "big5": (0xA4, 0xC6)}
"""First bytes of the ideographs of the first level."""
_HANGUL: Final = re.compile("[\uac00-\ud7a3]")
_KANA: Final = re.compile("[\u3041-\u30ff]")


@dataclass(frozen=True, slots=True)
class Guess:
    """`encoding`: the one to read the file with, None when that is not sure enough.

    `likely`: the names of the likeliest ones, the first first; none when the file looks like UTF-8
    that was damaged, or like nothing that is known.
    """

    encoding: Encoding | None
    likely: tuple[str, ...] = ()


def guess_encoding(path: Path) -> Guess:
    """Guess from lines beyond ASCII: 64 KiB of them, then those with a byte that is new."""
    sample = b"".join(non_ascii_lines(path, SAMPLE_BYTES))
    beyond = sum(byte > 0x7F for byte in sample)
    if not beyond or sum(map(len, _UTF8_SEQUENCE.findall(sample))) > beyond / 2:
        return Guess(None)
    words = {word for word in _BETWEEN_WORDS.split(sample) if not word.isascii()}
    east_asian = [name for name in EAST_ASIAN if _is_east_asian(sample, name)]
    if east_asian:
        return Guess(None, tuple(sorted(east_asian, key=lambda name: _rank(sample, name))))
    likely = [
        name
        for name, languages in (LATIN | OTHER_SCRIPTS).items()
        if name != _WESTERN and _contradicts(words, name, languages)
    ]
    if _is_western(words):
        if not likely:
            return Guess(Encoding(_WESTERN, _SURE, "detected"), (_WESTERN,))
        likely.insert(0, _WESTERN)
    shares = {name: _share(words, name) for name in likely}
    likely.sort(key=lambda name: -shares[name])
    good = [name for name in likely if shares[name] >= shares[likely[0]] / 2]
    return Guess(None, tuple(good[:SUGGESTED]))


def suggestion(guess: Guess) -> str | None:
    """Return what to tell the sender to do, None when nothing is likely."""
    if not guess.likely:
        return None
    first, *others = guess.likely
    also = f", or {' or '.join(others)}" if others else ""
    return f"it may be {first}{also}: give that as `encoding` if it is, or export it as UTF-8"


def _is_western(words: Iterable[bytes]) -> bool:
    """Whether every word is Windows-1252 as it should be, and all are of one language.

    A letter whose byte is the same letter in the Central European and Turkish encodings may be of
    any language: nothing hangs on it.
    """
    letters: set[str] = set()
    for word in words:
        text = _decoded(word, _WESTERN)
        if text is None or not is_well_spelt(text):
            return False
        own = (char for char in text if not char.isascii() and char.isalpha())
        letters |= {_small(char) for char in own if not _is_shared(char)}
    return any(letters <= language.letters for language in LATIN[_WESTERN])


def _contradicts(words: Iterable[bytes], name: str, languages: Iterable[Language]) -> bool:
    """Whether the words may as well be in this encoding, and then are other words.

    Only letters that Windows-1252 does not read alike count. Up to a tenth of them, and of the
    words, may be out of place: names of other countries, damage.
    """
    letters: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    total = wrong = longest = 0
    has_sign = False
    for word in words:
        text, western = _decoded(word, name), _decoded(word, _WESTERN)
        if text is not None and text == western:
            alike.update(_small(c) for c in text if not c.isascii() and c.isalpha())
            continue
        total += 1
        if text is None or not is_well_spelt(text, own_script=name in OTHER_SCRIPTS):
            wrong += 1
            continue
        read_alike = western if western is not None else ""
        alike.update(_small(c) for c in text if not c.isascii() and c in read_alike)
        differing = [_small(c) for c in text if not c.isascii() and c not in read_alike]
        has_sign |= "€" in differing
        letters.update(c for c in differing if c.isalpha())
        longest = max(longest, sum(not c.isascii() for c in text))
    if not total or wrong > _MOST_FOREIGN * total:
        return False
    if name in OTHER_SCRIPTS and longest < 3:
        return False
    if not letters:
        return has_sign
    return any(_is_plausible(letters, alike, language, name) for language in languages)


def _is_plausible(
    letters: Counter[str], alike: Counter[str], language: Language, name: str
) -> bool:
    """`letters` are those that Windows-1252 reads otherwise, `alike` the rest."""
    count = letters.total()
    others = sum(alike[char] for char in alike if char in _OTHERS - language.letters)
    if others > _MOST_OF_OTHERS * (count + alike.total()):
        return False
    common = sum(letters[char] for char in language.common)
    own = common + sum(letters[char] for char in language.rare)
    borrowed = sum(letters[char] for char in _BORROWED - language.letters)
    if not own or count - own - borrowed > _MOST_FOREIGN * count:
        return False
    if count < _FEW:
        return True
    if common < _LEAST_COMMON * count:
        return False
    differing = [char for char in language.common if not _is_read_alike(char, name)]
    wanted = 1 + (len(differing) > 2) + (len(differing) > 4)
    return count < _MANY or sum(char in letters for char in differing) >= wanted


def _share(words: Iterable[bytes], name: str) -> float:
    """Share of the letters that are common ones of the language that fits best."""
    texts = (_decoded(word, name) or "" for word in words)
    letters = Counter(_small(c) for text in texts for c in text if c.isalpha() and not c.isascii())
    fit = (
        sum(letters[c] for c in one.common) + sum(letters[c] for c in one.rare) / 2
        for one in (LATIN | OTHER_SCRIPTS)[name]
    )
    return round(max(fit) / max(1, letters.total()), 2)


def _small(char: str) -> str:
    return char if char == "İ" else char.lower()


def _is_shared(char: str) -> bool:
    byte = char.encode(_WESTERN)
    return all(_decoded(byte, name) == char for name in ("cp1250", "cp1254", "iso8859-2"))


def _is_read_alike(char: str, name: str) -> bool:
    try:
        return char.encode(name).decode(_WESTERN) == char
    except UnicodeError:
        return False


def _decoded(word: bytes, name: str) -> str | None:
    try:
        return word.decode(name)
    except UnicodeDecodeError:
        return None


def _is_east_asian(sample: bytes, name: str) -> bool:
    """Whether at least nine of ten characters beyond ASCII stand in runs of East Asian ones."""
    text = _decoded(sample, name)
    if text is None:
        return False
    beyond = sum(not char.isascii() for char in text)
    return sum(map(len, _EAST_ASIAN_RUN.findall(text))) >= (1 - _MOST_FOREIGN) * beyond


def _rank(sample: bytes, name: str) -> tuple[float, int]:
    """How telling the characters are: Hangul, kana, and of ideographs the common half."""
    text = sample.decode(name)
    beyond = [char for char in text if not char.isascii()]
    if name == "cp949":
        share = len(_HANGUL.findall(text)) / len(beyond)
    elif name in _COMMON_LEADS:
        first, last = _COMMON_LEADS[name]
        leads = [char.encode(name)[0] for char in beyond]
        share = 0.9 * sum(first <= lead <= last for lead in leads) / len(beyond)
    else:
        share = min(1.0, 5 * len(_KANA.findall(text)) / len(beyond))
    return -round(share, 1), EAST_ASIAN.index(name)
