"""Whether words of bytes are plausible in an encoding of one byte per character.

Plausible means: the letters are those of one language, and stand where letters stand. It is asked
strictly of the encoding that a file is read in on a guess, and generously of the others: one that
may be the right one forbids the guess.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from ingest_service.readers.csv.languages import LATIN, OTHER_SCRIPTS, Language
from ingest_service.readers.csv.spelling import is_well_spelt

WESTERN: Final = "cp1252"
MOST_FOREIGN: Final = 0.1
LEAST_OF_OTHER_SCRIPTS: Final = 3
"""Letters in a row that a word of another script than the Latin one has, in some word."""
_MOST_OF_OTHERS: Final = 0.2
"""Share of letters of other languages that every likely encoding reads alike: é in Polish."""
_BORROWED: Final = frozenset("éèàçäöüñ")
"""Letters of words that many languages have borrowed."""
_OTHERS: Final = frozenset("áéíóúýçôîâë")


_FIRST_OF_THREE_BYTES: Final = "\u0800"
_OTHER_LETTERS: Final = frozenset[str]().union(
    *(one.letters for languages in OTHER_SCRIPTS.values() for one in languages)
)
_KNOWN_LETTERS: Final = _OTHER_LETTERS.union(
    *(one.letters for languages in LATIN.values() for one in languages)
)


def is_western(words: Iterable[bytes]) -> bool:
    """Whether every word is Windows-1252 as it should be, and all are of one language.

    A letter whose byte is the same letter in the Central European and Turkish encodings may be of
    any language: nothing hangs on it.
    """
    letters: set[str] = set()
    for word in words:
        text = decoded(word, WESTERN)
        if text is None or not is_well_spelt(text):
            return False
        own = (char for char in text if not char.isascii() and char.isalpha())
        letters |= {_small(char) for char in own if not _is_shared(char)}
    return any(letters <= language.letters for language in LATIN[WESTERN])


def may_be(words: Iterable[bytes], name: str, languages: Iterable[Language]) -> bool:
    """Whether the words may as well be in this encoding, and then are other words.

    Only what Windows-1252 does not read alike counts. Up to a tenth of it, and of the words, may be
    out of place: names of other countries, damage.
    """
    letters: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    total = wrong = longest = 0
    for word in words:
        text, western = decoded(word, name), decoded(word, WESTERN)
        if text is not None and text == western:
            alike.update(_small(c) for c in text if not c.isascii() and c.isalpha())
            continue
        total += 1
        if text is None or not is_well_spelt(text, own_script=name in OTHER_SCRIPTS):
            wrong += 1
            continue
        read_alike = western if western is not None else ""
        alike.update(_small(c) for c in text if not c.isascii() and c in read_alike)
        differing = (_small(c) for c in text if not c.isascii() and c not in read_alike)
        letters.update(c for c in differing if c.isalpha())
        longest = max(longest, sum(not c.isascii() for c in text))
    if not total or wrong > MOST_FOREIGN * total:
        return False
    if name in OTHER_SCRIPTS and longest < LEAST_OF_OTHER_SCRIPTS:
        return False
    return not letters or any(_is_plausible(letters, alike, language) for language in languages)


def _is_plausible(letters: Counter[str], alike: Counter[str], language: Language) -> bool:
    """`letters` are those that Windows-1252 reads otherwise, `alike` the rest."""
    count = letters.total()
    others = sum(alike[char] for char in alike if char in _OTHERS - language.letters)
    if others > _MOST_OF_OTHERS * (count + alike.total()):
        return False
    own = sum(letters[char] for char in language.letters)
    borrowed = sum(letters[char] for char in _BORROWED - language.letters)
    return bool(own) and count - own - borrowed <= MOST_FOREIGN * count


def share_of_common(words: Iterable[bytes], name: str) -> float:
    """Share of what is beyond ASCII that is common letters of the language that fits best."""
    texts = (word.decode(name, "replace") for word in words)
    chars = Counter(_small(c) for text in texts for c in text if not c.isascii())
    fit = (
        sum(chars[c] for c in one.common) + sum(chars[c] for c in one.rare) / 2
        for one in (LATIN | OTHER_SCRIPTS)[name]
    )
    return round(max(fit) / max(1, chars.total()), 2)


def share_of_well_spelt(words: Iterable[bytes], name: str) -> float:
    """Share of the words that are well spelt in an encoding, with letters of it; nearly."""
    texts = [decoded(word, name) for word in words]
    own_script = name in OTHER_SCRIPTS
    good = [t for t in texts if t is not None and is_well_spelt(t, own_script=own_script)]
    return len(good) / max(1, len(texts))


def are_words(texts: Collection[str]) -> bool:
    """Whether nine of ten texts, each with characters beyond ASCII, are words of some language.

    Characters of East Asia, signs and pictures count: nothing is by chance what they are in UTF-8.
    """
    good = sum(
        any(char >= _FIRST_OF_THREE_BYTES for char in text)
        or (
            all(char.isascii() or _small(char) in _KNOWN_LETTERS for char in text if char.isalpha())
            and is_well_spelt(text, own_script=_small(_first_beyond_ascii(text)) in _OTHER_LETTERS)
        )
        for text in texts
    )
    return bool(texts) and good >= (1 - MOST_FOREIGN) * len(texts)


def _first_beyond_ascii(text: str) -> str:
    return next((char for char in text if not char.isascii()), "")


def _small(char: str) -> str:
    return char if char == "İ" else char.lower()


def _is_shared(char: str) -> bool:
    byte = char.encode(WESTERN)
    return all(decoded(byte, name) == char for name in ("cp1250", "cp1254", "iso8859-2"))


def decoded(word: bytes, name: str) -> str | None:
    """Return a word in an encoding, None where that does not have its bytes."""
    try:
        return word.decode(name)
    except UnicodeDecodeError:
        return None
