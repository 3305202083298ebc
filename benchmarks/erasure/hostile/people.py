"""People whose identifiers are made to be mistaken: for bytes, for numbers, for one another.

Everything follows from the seed. Of each kind about half are to be erased.
"""

import random
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count as numbers
from typing import Final, TypeVar

MISSING_WORDS: Final = frozenset({"NA", "null", "nan", "None"})
PLAIN: Final = "plain"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who sent something. `is_exportable`: RecBole and Personalize take the id."""

    number: int
    user_id: str
    kind: str
    is_erased: bool

    @property
    def is_exportable(self) -> bool:
        """Whether every export format can hold the id; the others reach no training set."""
        is_plain = not any(c in '"\\\t\x85\u2028\u2029' or ord(c) < 32 for c in self.user_id)
        return is_plain and self.user_id not in MISSING_WORDS and len(self.user_id) <= 256

    @property
    def anonymous_id(self) -> str | None:
        """What a fifth of them are called before they log in; tied to nobody else."""
        return f"anon-{self.number:05}-{self.number * 7919 % 99991:05}" if self._is_fifth else None

    @property
    def _is_fifth(self) -> bool:
        return self.number % 5 == 0

    @property
    def can_stand_in_a_line(self) -> bool:
        """Whether a line of a text file is the id, whoever reads it."""
        text = self.user_id
        is_one_line = text.splitlines() == [text] and text == text.strip()
        return is_one_line and not any(c in text for c in '",;\t\ufeff')


def people(count: int, seed: int, kinds: Collection[str] = ()) -> list[Person]:
    """Return `count` people of all kinds, no two alike; the same for the same seed."""
    rng = random.Random(seed)
    makers = {kind: maker(rng) for kind, maker in KINDS.items() if kind in (kinds or KINDS)}
    taken: dict[str, str] = {}
    while len(taken) < count:
        for kind, maker in makers.items():
            for text in next(maker, ()):
                if len(taken) < count:
                    taken.setdefault(text, kind)
    of_kind = dict.fromkeys(KINDS, 0)
    found = []
    for number, (text, kind) in enumerate(taken.items()):
        is_erased = of_kind[kind] % 2 == seed % 2
        of_kind[kind] += 1
        found.append(Person(number, text, kind, is_erased))
    return found


Maker = Iterator[tuple[str, ...]]
Value = TypeVar("Value")


def _plain(rng: random.Random) -> Maker:
    while True:
        yield (f"u-{rng.getrandbits(96):024x}", f"u-{rng.getrandbits(96):024x}")


def _numeric(rng: random.Random) -> Maker:
    yield from (("1", "17"), ("4217", "421"), ("87654399", "8765439"), ("007", "07"), ("4.5", "5"))
    while True:
        text = str(rng.randrange(10 ** rng.randint(1, 18)))
        yield (text, f"{text}{rng.randrange(10)}")


def _addresses(rng: random.Random) -> Maker:
    """Each contains the next, or is within it."""
    for n in numbers():
        name = f"anna.schmidt{n or ''}"
        address = f"{name}@example{rng.randrange(100)}.com"
        yield (address, f"sus{address}", f"{address}.au", name)


def _chains(_: random.Random) -> Maker:
    for n in numbers(1):
        yield (f"customer-{n}", f"customer-{n}0", f"the-customer-{n}")


def _quoted(rng: random.Random) -> Maker:
    for form in _for_ever('o"b{}', '"{}"', "it's {}", 'a""{}', "'{}'", '{}"'):
        yield (form.format(rng.randrange(10**6)),)


def _slashes(rng: random.Random) -> Maker:
    for form in _for_ever("team/a{}", "team\\a{}", "\\/{}", "/{}/", "{}\\", "a\\u00e9{}", "\\n{}"):
        yield (form.format(rng.randrange(10**6)),)


def _bars(rng: random.Random) -> Maker:
    while True:
        text = f"{rng.getrandbits(60):015x}"
        yield (f"auth0|{text}", text)


def _spaces(rng: random.Random) -> Maker:
    for form in _for_ever(
        "carol{} ", "carol{}", " carol{}", "ca rol{}", "ca  rol{}", "carol{}\u00a0"
    ):
        yield (form.format(rng.randrange(10**3)),)


def _separators(rng: random.Random) -> Maker:
    for form in _for_ever("a,{}", "a;{}", "a\t{}", "a\n{}", "a\u2028{}", "={}+1", "{{{}}}", "[{}]"):
        yield (form.format(rng.randrange(10**5)),)


def _percents(rng: random.Random) -> Maker:
    for form in _for_ever("a%2F{}", "a%2f{}", "%{}", "100%25{}", "&amp;{}", "a+{}", "%u00e9{}"):
        yield (form.format(rng.randrange(10**5)),)


def _unicode(rng: random.Random) -> Maker:
    """The same name in both normal forms is two people: ingestion keeps texts as sent."""
    for form in _for_ever("Zoë-{}", "Åsa{}", "한국{}", "ﬁ{}é", "ñ{}"):
        text = form.format(rng.randrange(10**5))
        yield (unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text))
        yield (f"🧑‍🚀{rng.randrange(10**4)}", f"مرحبا{rng.randrange(10**4)}", f"ß{form[:1]}")


def _words(_: random.Random) -> Maker:
    """Items, tenants, columns, types, values: texts that stand in everybody's rows."""
    yield ("user_id", "tenant_id", "i1", "acme", "i2", "click", "view", "item_id")
    yield ("globex", "nonsense", "timestamp", "anonymous_id", "interactions", "purchase")
    yield ("true", "null", "NA", "i3", "csv", "api", "kafka", "quarantine", "3.5", "mobile")
    yield ("s1", "page", "default", "raw", "line", "event_id", "session_id", "en", "like", "{}")


def _lengths(rng: random.Random) -> Maker:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield tuple("xyzQ_é-")
    for size in _for_ever(2, 3, 7, 8, 19, 20, 64, 199, 200):
        yield ("".join(rng.choices(letters, k=size)),)


def _for_ever(*values: Value) -> Iterator[Value]:
    while True:
        yield from values


KINDS: Final[dict[str, Callable[[random.Random], Maker]]] = {
    PLAIN: _plain,
    "numeric": _numeric,
    "addresses": _addresses,
    "chains": _chains,
    "quotes": _quoted,
    "slashes": _slashes,
    "bars": _bars,
    "spaces": _spaces,
    "separators": _separators,
    "percents": _percents,
    "unicode": _unicode,
    "words": _words,
    "lengths": _lengths,
}
