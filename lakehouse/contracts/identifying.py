"""Which fields name a person: the contract's, and what a tenant's mapping reads them from.

A person is equal to a value of one of these fields, and to nothing else. The text is compared as
ingestion reads it: decoded, then character by character. Nothing is taken off and nothing is
normalised: letter case, white space at the ends and the Unicode form all count. A number is the
text that it was written with, so `1`, `1.0` and `01` are three people.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from lakehouse.contracts.characters import folded
from lakehouse.contracts.json_rows import EITHER
from lakehouse.contracts.tenant import DataType, SourceMapping

USER: Final = "user_id"
ANONYMOUS: Final = "anonymous_id"
IDENTIFYING_COLUMNS: Final = frozenset(
    name for kind in DataType for name in kind.definition.subjects
)
"""The columns of any table that name a person."""
NOBODY: Final = frozenset(
    (
        *("null", "none", "nil", "nan", "nat", "n/a", "na", "undefined", "(null)", "<null>"),
        *("<na>", "(not set)", "[object object]", "anonymous"),
    )
)
"""What programs write as an id where nobody is logged in, in lower case; see `names_nobody`."""


def names_nobody(identifier: str) -> bool:
    """Return whether an id is nobody's: a word of `NOBODY`, in any case, or zeros and dashes alone.

    Rows keep it as it was sent. But it ties no device to a person, and is no other user of one: the
    models' macro `names_somebody` says the same.
    """
    return not identifier.strip("0- ") or identifier.strip(" ").lower() in NOBODY


def spelling(name: str) -> str:
    """Return a field's name as it is compared: `userId`, `USER_ID` and `user-id` are one.

    A type behind a colon, as RecBole's headers have it, is left out.
    """
    return folded(name.partition(":")[0]).replace("_", "").replace("-", "")


_SPELLINGS: Final = {spelling(name): name for name in (USER, ANONYMOUS)}


def identified_by(name: str) -> str | None:
    """Return the contract's field that a name is a spelling of, None when it names no person."""
    return _SPELLINGS.get(spelling(name))


@dataclass(frozen=True, slots=True)
class IdentifyingFields:
    """Where one source's records name a person.

    `user` and `anonymous`: names of columns, or paths of JSON, besides the contract's own
    spellings, which count wherever they stand. `words`: value → the contract's value by the
    mapping; a value may have several, of several versions. `constants`: what every record says.
    """

    user: frozenset[str] = frozenset()
    anonymous: frozenset[str] = frozenset()
    user_words: tuple[tuple[str, str], ...] = ()
    anonymous_words: tuple[tuple[str, str], ...] = ()
    user_constants: tuple[str, ...] = ()
    anonymous_constants: tuple[str, ...] = ()

    @classmethod
    def of(cls, data_type: DataType, mapping: SourceMapping) -> Self:
        """Return those of a data type under a mapping."""
        mapping = mapping.of(data_type)
        known = data_type.definition.subjects

        def paths(field: str) -> frozenset[str]:
            path = mapping.columns.get(field)
            if field not in known or path is None:
                return frozenset()
            return frozenset({path, *path.split(EITHER)})

        def words(field: str) -> tuple[tuple[str, str], ...]:
            return tuple(sorted(mapping.values.get(field, {}).items())) if field in known else ()

        def constants(field: str) -> tuple[str, ...]:
            value = mapping.constants.get(field) if field in known else None
            return () if value is None else (value,)

        previous = data_type.definition.previous_ids
        return cls(
            paths(USER) | previous,
            paths(ANONYMOUS),
            words(USER),
            words(ANONYMOUS),
            constants(USER),
            constants(ANONYMOUS),
        )

    @classmethod
    def union(cls, several: Iterable[Self]) -> Self:
        """Return where a record may name a person by any of these."""
        found = list(several)
        return cls(
            frozenset().union(*(one.user for one in found)),
            frozenset().union(*(one.anonymous for one in found)),
            tuple(sorted({pair for one in found for pair in one.user_words})),
            tuple(sorted({pair for one in found for pair in one.anonymous_words})),
            tuple(sorted({text for one in found for text in one.user_constants})),
            tuple(sorted({text for one in found for text in one.anonymous_constants})),
        )

    def field_of(self, name: str) -> str | None:
        """Return which of the contract's fields a column or a key at the top is, None for none."""
        if name in self.user:
            return USER
        if name in self.anonymous:
            return ANONYMOUS
        return identified_by(name) or self._alike(folded(name))

    def _alike(self, name: str) -> str | None:
        """By a folded name: a column may be read whose name differs in case or white space."""
        for field, paths in ((USER, self.user), (ANONYMOUS, self.anonymous)):
            if name in map(folded, paths):
                return field
        return None

    def may_be(self, name: str) -> str | None:
        """Return which field a name at any depth may be of: of a path each part counts."""
        return self.field_of(name) or self._of_path(lambda path: name in path.split("."))

    def may_end(self, name: str) -> str | None:
        """Return which field the value of a name at any depth may be of, as a whole."""
        return self.field_of(name) or self._of_path(lambda path: name == path.rpartition(".")[2])

    def _of_path(self, is_it: Callable[[str], bool]) -> str | None:
        for field, paths in ((USER, self.user), (ANONYMOUS, self.anonymous)):
            if any(map(is_it, paths)):
                return field
        return None

    def words_of(self, field: str) -> tuple[tuple[str, str], ...]:
        """Return what values of a field are read as, in pairs."""
        return self.user_words if field == USER else self.anonymous_words

    def as_read(self, field: str, text: str) -> Iterable[str]:
        """Yield a value as it was sent and, if the mapping reads it as another, that one too."""
        yield text
        yield from read_as(self.words_of(field), text)


def read_as(words: Iterable[tuple[str, str]], text: str) -> Iterable[str]:
    """Yield what a value is read as: looked up as it stands and without white space around it."""
    bare = text.strip()
    return (value for word, value in words if word == text or word.strip() == bare)


CONTRACT_FIELDS: Final = IdentifyingFields()
"""The contract's own names."""
