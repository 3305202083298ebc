"""What a file that is not UTF-8 is likely to be; asked only when a byte has shown that.

Most bytes beyond ASCII are a letter in every encoding of one byte per character, so a wrong guess
alters texts and nothing fails. Hence the rule: such a file is read as Windows-1252 only when all of
it is plausible so, and when every other encoding that it may be in reads it to the same text. Any
other file is for its sender to say: the encodings that it may be in are named, each with what a
part of the file says in it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.readers.csv.east_asian import east_asian_encodings, escaped_encoding
from ingest_service.readers.csv.encoding import Candidate, Encoding, NotUtf8Error, non_ascii_lines
from ingest_service.readers.csv.languages import LATIN, OTHER_SCRIPTS
from ingest_service.readers.csv.plausibility import (
    WESTERN,
    is_western,
    may_be,
    share_of_common,
    share_of_well_spelt,
)

SAMPLE_BYTES: Final = 64 * 1024
SHOWN: Final = 5
"""Candidates that are named."""
_SURE: Final = 0.95
_LONGEST_SAMPLE: Final = 40
_TRIED_CELLS: Final = 2_000
_LEAST_WELL_SPELT: Final = 0.5

_UTF8_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_BETWEEN_WORDS: Final = re.compile(rb'[\x00-\x20,;|"()\[\]{}<>/:]+')
_BETWEEN_CELLS: Final = re.compile(rb'[\x00-\x1f,;"]+')
"""No byte of these is part of a character of several bytes."""


@dataclass(frozen=True, slots=True)
class Guess:
    """`encoding`: the one to read the file with, None when that is not sure enough.

    `candidates`: those that it may be in, the likeliest first, of those that read all of it alike
    the best known; none when the file looks like UTF-8 that was damaged, or like nothing that is
    known.
    """

    encoding: Encoding | None
    candidates: tuple[Candidate, ...] = ()

    @property
    def likely(self) -> tuple[str, ...]:
        """The names of the candidates."""
        return tuple(one.encoding for one in self.candidates)


def encoding_candidates(path: Path) -> tuple[Candidate, ...]:
    """Return the encodings that a file may be in, each with a part of the file as it reads it."""
    return guess_encoding(path).candidates


def guess_encoding(path: Path) -> Guess:
    """Guess from lines beyond ASCII: 64 KiB of them, then those with a byte that is new."""
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
    escaped = escaped_encoding(start)
    if escaped is not None:
        return Guess(None, with_samples((escaped,), start))
    sample = b"".join(non_ascii_lines(path, SAMPLE_BYTES))
    beyond = sum(byte > 0x7F for byte in sample)
    if not beyond or sum(map(len, _UTF8_SEQUENCE.findall(sample))) > beyond / 2:
        return Guess(None)
    words = {word for word in _BETWEEN_WORDS.split(sample) if not word.isascii()}
    others = [
        name
        for name, languages in (LATIN | OTHER_SCRIPTS).items()
        if name != WESTERN and may_be(words, name, languages)
    ]
    asian = east_asian_encodings(sample)
    western = [WESTERN] if is_western(words) else []
    if western and not others and not asian:
        return Guess(Encoding(WESTERN, _SURE, "detected"), with_samples((WESTERN,), sample))
    found = [*asian, *_best(words, [*western, *others])]
    if not found:
        found = _least_bad(words)
    return Guess(None, with_samples(_distinct(found, sample)[:SHOWN], sample))


def question(fault: NotUtf8Error, candidates: Sequence[Candidate]) -> NotUtf8Error:
    """Return the fault with what to ask the sender: which of the candidates it is."""
    if not candidates:
        return fault
    fault.candidates = tuple(candidates)
    *most, last = (one.encoding for one in candidates)
    names = f"{', '.join(most)} or {last}" if most else last
    it_is = f"give its encoding, {names} by its bytes, as `encoding`"
    if fault.is_cut:
        fault.remedy = f"{fault.remedy}; if it is whole, {it_is}"
    else:
        fault.remedy = (
            f"{it_is} with the upload (`eta upload --encoding {candidates[0].encoding}`) or in the "
            "source mapping, or export it as UTF-8"
        )
    return fault


def with_samples(names: Iterable[str], sample: bytes) -> tuple[Candidate, ...]:
    """Return the encodings with what they make of that part of the sample that tells them apart."""
    wanted = tuple(names)
    cells = list(_cells(sample))[:_TRIED_CELLS]

    def telling(cell: bytes) -> tuple[int, int]:
        readings = {cell.decode(name, "replace") for name in wanted}
        return len(readings), -abs(len(cell) - _LONGEST_SAMPLE // 2)

    best = max(cells, key=telling, default=b"")
    return tuple(Candidate(name, _shown(best.decode(name, "replace"))) for name in wanted)


def _cells(sample: bytes) -> Iterator[bytes]:
    for cell in _BETWEEN_CELLS.split(sample):
        bare = cell.strip()
        if not bare.isascii() or escaped_encoding(bare) is not None:
            yield bare


def _shown(text: str) -> str:
    """The first of a text, around its first character beyond ASCII."""
    first = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    start = max(0, first - _LONGEST_SAMPLE // 2)
    part = text[start : start + _LONGEST_SAMPLE]
    return "".join(char if char.isprintable() or char == "\u00ad" else "\ufffd" for char in part)


def _best(words: Iterable[bytes], names: Sequence[str]) -> list[str]:
    """Return the encodings, those first of whose letters most are common in a language."""
    shares = {name: share_of_common(words, name) for name in names}
    ranked = sorted(names, key=lambda name: -shares[name])
    return [name for name in ranked if shares[name] >= shares[ranked[0]] / 2]


def _least_bad(words: Sequence[bytes] | set[bytes]) -> list[str]:
    """Return what to name of a file that is plausible in no encoding."""
    names = [*LATIN, *OTHER_SCRIPTS]
    shares = {name: share_of_well_spelt(words, name) for name in names}
    ranked = sorted(names, key=lambda name: -shares[name])
    return [name for name in ranked if shares[name] >= _LEAST_WELL_SPELT]


def _distinct(names: Sequence[str], sample: bytes) -> list[str]:
    """Return the first of those that read the sample alike, in order."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(sample.decode(name, "replace"), name)
    return list(found.values())
