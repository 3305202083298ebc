"""Whether a word's letters and signs stand where a writer puts them.

Text that is read in a wrong encoding shows signs within words, capitals after small letters and
letters among digits.
"""

import re
from typing import Final

_LETTER: Final = r"[^\W\d_]"
_AT_AN_EDGE: Final = frozenset("’‘“”„‚‹›«»–—…•®™©°ªº·†‡´")
_ALONE: Final = _AT_AN_EDGE | frozenset("€£¥¢½¼¾×±÷§²³µ¿¡")
_ONE_LETTER_WORDS: Final = frozenset("àáâéèíóôúýåöæøаиоуясквій")
_ELISION: Final = re.compile(
    r"(?i)(?:\b(?:[ldjnscmt]|qu|jusqu|lorsqu|puisqu|quelqu|aujourd|dell|nell|all|sull|un|o)[’´](?="
    + _LETTER
    + r")|(?<="
    + _LETTER
    + r")[’´](?:s|t|d|m|ll|re|ve)\b|(?<=l)·(?=l)|(?<="
    + _LETTER
    + ")\u00ad(?="
    + _LETTER
    + "))"
)
_MIXED_SCRIPTS: Final = re.compile("[A-Za-z]")


def is_well_spelt(word: str, *, own_script: bool = False) -> bool:
    """Whether a word with a character beyond ASCII is plausible.

    `own_script`: letters beyond ASCII do not mix with ASCII ones within a word.
    """
    text = _ELISION.sub("'", word)
    for at, char in enumerate(text):
        if char.isascii():
            continue
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if char.isalpha():
            if not _letter_fits(char, before, after, own_script=own_script):
                return False
        elif not own_script and not _sign_fits(char, before, after):
            return False
    return not own_script or _is_one_script(text)


def _letter_fits(char: str, before: str, after: str, *, own_script: bool) -> bool:
    """`before` and `after` are its neighbours, empty at an edge of the word."""
    if before.isdigit() or after.isdigit():
        return False
    if not before.isalpha() and not after.isalpha():
        return own_script or char.lower() in _ONE_LETTER_WORDS
    if char.isupper() and before.isalpha() and (before.islower() or after.islower()):
        return False
    return not (char.islower() and after.isalpha() and after.isupper())


def _sign_fits(char: str, before: str, after: str) -> bool:
    if char not in _ALONE:
        return False
    if before.isalpha() and after.isalpha():
        return False
    if char in "¿¡" or char == "µ":
        return not before.isalpha()
    if char in "²³":
        return before.isdigit() or before == "m"
    if before.isalpha() or after.isalpha():
        return char in _AT_AN_EDGE
    return True


def _is_one_script(text: str) -> bool:
    for run in re.findall(r"[^\W\d_]+", text):
        if not run.isascii() and _MIXED_SCRIPTS.search(run):
            return False
    return True
