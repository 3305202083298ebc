"""Names in the data that nothing reads: a misspelt field must not be dropped in silence."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any, Final

from lakehouse.contracts.characters import folded
from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.json_rows import CONTEXT, EITHER
from lakehouse.contracts.mapping import wanted_columns
from lakehouse.contracts.reasons import WarningCode
from lakehouse.contracts.tenant import DataType, SourceMapping

LEAST_LENGTH: Final = 5
"""Shorter names that differ in a letter are other names."""
LONGEST_NAME: Final = 100
MOST_PER_ROW: Final = 20
_MOST_KNOWN: Final = 10_000
_JOINTS: Final = str.maketrans("", "", "_-.")


@dataclass(frozen=True, slots=True)
class Unread:
    """A name that nothing reads, and what is said about it."""

    name: str
    code: WarningCode
    message: str


@dataclass(slots=True)
class UnreadNames:
    """Knows what the names are that one mapping reads; keeps what it found out about others.

    Of a mapping that renames columns only the names near to wanted ones are told: its sources have
    fields that are left out on purpose. Of the contract's own names every other one is.
    """

    wanted: frozenset[str]
    tells_all: bool
    read: frozenset[str] = frozenset()
    context: frozenset[str] = frozenset()
    _known: dict[str, Unread | None] = field(default_factory=dict)

    @classmethod
    def of(cls, data_type: DataType, mapping: SourceMapping) -> "UnreadNames":
        """Return the names of a data type, by the tenant's mapping."""
        wanted = wanted_columns(data_type, mapping)
        parts = {part for name in wanted for part in name.split(EITHER)}
        read = wanted | parts | {part.partition(".")[0] for part in parts}
        context = wanted & frozenset(CONTEXT_FIELDS)
        if context:
            read |= {CONTEXT}
        return cls(wanted, not mapping.columns, read, context)

    def among(self, names: Iterable[str]) -> Iterator[Unread]:
        """Yield those of a row's or a header's names that nothing reads."""
        for name in names:
            if name not in self.read and (found := self._look_up(name, self.wanted, "")):
                yield found

    def of_row(self, row: dict[str, Any], read: Set[str]) -> list[Unread]:
        """Return the names of an object that nothing reads, those in its context among them.

        `read` are all names that are read.
        """
        found: list[Unread] = []
        if not row.keys() <= read:
            found += self.among(name for name in row if name not in read)
        context = row.get(CONTEXT) if self.context else None
        if context is not None:
            found += self._of_context(row, context)
        return found[:MOST_PER_ROW]

    def _of_context(self, row: dict[str, Any], context: Any) -> Iterator[Unread]:
        if not isinstance(context, dict):
            yield Unread(CONTEXT, WarningCode.UNREAD_FIELD, "ignored: it is no object")
            return
        for name, value in context.items():
            if name not in self.context:
                found = self._look_up(name, self.context, f"{CONTEXT}.")
                if found is not None:
                    yield found
            elif name in row and value is not None and row[name] != value:
                why = f"ignored: the event has another {name} outside of its context"
                yield Unread(f"{CONTEXT}.{name}", WarningCode.UNREAD_FIELD, why)

    def _look_up(self, name: str, wanted: frozenset[str], prefix: str) -> Unread | None:
        whole = prefix + name[:LONGEST_NAME]
        if whole not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[whole] = self._issue(whole, nearest(name, wanted))
        return self._known[whole]

    def _issue(self, name: str, near: str | None) -> Unread | None:
        if near is not None:
            why = f"ignored, though it is nearly {near!r}"
            return Unread(name, WarningCode.SIMILAR_COLUMN, why)
        if not self.tells_all:
            return None
        return Unread(name, WarningCode.UNREAD_FIELD, "ignored: the contract has no such field")


def nearest(name: str, wanted: Iterable[str]) -> str | None:
    """Return the wanted name that `name` is likely meant to be, None when it is like none."""
    plain = _squeezed(name)
    squeezed = {_squeezed(one): one for one in sorted(wanted)}
    if plain in squeezed:
        return squeezed[plain]
    if len(plain) < LEAST_LENGTH:
        return None
    return next((one for short, one in squeezed.items() if _is_a_slip(plain, short)), None)


def _squeezed(name: str) -> str:
    return folded(name).translate(_JOINTS)


def _is_a_slip(one: str, other: str) -> bool:
    """Whether one letter is missing, added, replaced, or two neighbours are swapped."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < LEAST_LENGTH - 1:
        return False
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if same is None:
        return True
    rest, of_other = one[same:], other[same:]
    return (
        rest[1:] == of_other
        or rest == of_other[1:]
        or rest[1:] == of_other[1:]
        or (rest[:2] == of_other[1::-1] and rest[2:] == of_other[2:])
    )
