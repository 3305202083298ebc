"""Characters that nobody sees, and names that differ by nothing else."""

from dataclasses import dataclass
from itertools import product
from typing import Final, Self

INVISIBLE: Final = (
    r"[\x00-\x1f\x7f-\x9f\u00a0\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
)
"""Controls, no-break spaces, zero-width characters and direction marks, as a regular expression."""


NUL: Final = "\x00"
"""Programs end a text there."""


def _spellings(word: str) -> set[str]:
    """Return a word in every letter case, a longer one in the usual ones."""
    if len(word) > LONGEST_OF_ANY_CASE:
        return {word, word.upper(), word.title(), word.capitalize()}
    return set(map("".join, product(*({char, char.upper()} for char in word))))


LONGEST_OF_ANY_CASE: Final = 4
NULL_WORDS: Final = sorted(
    {"[object Object]"}.union(
        *map(_spellings, ("null", "none", "nil", "nan", "nat", "n/a", "na", "\\n", "<na>", "#n/a")),
        *map(_spellings, ("undefined", "(null)", "<null>", "#null!", "#name?", "#value!")),
        *map(_spellings, ("#ref!", "#div/0!", "#num!")),
    )
)
"""What programs write where they have no value, spreadsheets' errors among it. Texts are looked up
in a list since that takes a tenth of the time of a regular expression."""


def folded(name: str) -> str:
    """Return `name` as a person reads it: no letter case, no white or invisible characters."""
    return "".join(char for char in name.casefold() if char.isprintable() and not char.isspace())


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of every text of a batch, cheaply: each saves looking at single values.

    `is_plain`: no backslash and no U+001F. `is_tidy`: printable ASCII alone. `is_solid`: tidy, and
    no white space. False means "not known".
    """

    is_plain: bool = False
    is_tidy: bool = False
    is_solid: bool = False

    @classmethod
    def of(cls, texts: list[str]) -> Self:
        """Return the traits of a few texts."""
        text = "".join(texts)
        is_tidy = text.isascii() and (text.isprintable() or not text)
        return cls("\\" not in text and "\x1f" not in text, is_tidy, is_tidy and " " not in text)

    def __and__(self, other: "Traits") -> "Traits":
        """Return what holds for both."""
        return Traits(
            self.is_plain and other.is_plain,
            self.is_tidy and other.is_tidy,
            self.is_solid and other.is_solid,
        )
