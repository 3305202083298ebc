"""What a tenant calls its interactions, and what each says: its meaning, strength and weight.

Without the setting the contract's five types count, with the meanings and strengths in `DEFAULTS`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.settings_model import SettingsModel
from lakehouse.contracts.source_mapping import SKIP

MOST_TYPES: Final = 50
LEAST_WEIGHT: Final = 1e-6
"""Trainers compute in single precision; a weight that is as good as none says nothing."""
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,39}$"
"""Such a name may stand in SQL, in a message and between commas."""


class Meaning(StrEnum):
    """What an interaction says of the user and the item."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    """The user knows the item; nothing else is said."""


DEFAULTS: Final[Mapping[str, tuple[Meaning, int]]] = {
    InteractionType.DISLIKE: (Meaning.NEGATIVE, 1),
    InteractionType.VIEW: (Meaning.NEUTRAL, 2),
    InteractionType.CLICK: (Meaning.POSITIVE, 3),
    InteractionType.LIKE: (Meaning.POSITIVE, 4),
    InteractionType.PURCHASE: (Meaning.POSITIVE, 5),
}
"""Meaning and strength of the contract's types where a declaration leaves them out."""
_OWN_STRENGTH: Final = 1


def check_event_name(name: str) -> str:
    """Return `name` if an event type may be called so; raise `ValueError` otherwise."""
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise ValueError(
            "an event type has a name of 1 to 40 lower-case letters, digits and '_', a letter first"
        )
    if name == SKIP:
        raise ValueError(
            f"a source mapping leaves out rows with the word {SKIP!r}: call the type otherwise, "
            f"such as skipped, and map the word to it (`values: {{interaction_type: {{{SKIP}: "
            "skipped}}`)"
        )
    return name


EventName = Annotated[str, AfterValidator(check_event_name)]


class ValueWeight(SettingsModel):
    """How a number that an interaction carries scales its weight: by min(max(value / scale, 0), 1).

    `column`: where the number stands; a source mapping reads any column of a file into it. Without
    a number the weight stays as it is.
    """

    column: Literal["rating"] = "rating"
    scale: Annotated[float, Field(ge=1e-6, le=1e12, allow_inf_nan=False)]


class EventType(SettingsModel):
    """What interactions of one type say.

    `meaning` may be left out for the contract's own names. `strength`: which type a pair with
    several positive ones is of, the greatest; equal ones in the order of their names. `weight`: of
    a training row of the type. `undoes`: the type whose earlier interactions of the same user and
    item it takes back.
    """

    meaning: Meaning | None = None
    strength: Annotated[int, Field(ge=0, le=1_000)] | None = None
    weight: Annotated[float, Field(ge=LEAST_WEIGHT, le=1e6, allow_inf_nan=False)] = 1.0
    value: ValueWeight | None = None
    undoes: str | None = None


def meaning_of(name: str, declared: EventType) -> Meaning:
    """Return the meaning of a declared type; one that was checked has one."""
    return declared.meaning or DEFAULTS[name][0]


def named(types: Mapping[str, EventType], meaning: Meaning) -> list[str]:
    """Return the names of the types of a meaning, in alphabetical order."""
    return sorted(name for name, one in types.items() if meaning_of(name, one) is meaning)


def by_strength(types: Mapping[str, EventType]) -> list[tuple[str, EventType]]:
    """Return the types, the weakest first; equally strong ones in alphabetical order."""

    def strength(entry: tuple[str, EventType]) -> tuple[int, str]:
        name, declared = entry
        usual = DEFAULTS[name][1] if name in DEFAULTS else _OWN_STRENGTH
        return (usual if declared.strength is None else declared.strength, name)

    return sorted(types.items(), key=strength)


def check_event_types(types: Mapping[str, EventType]) -> None:
    """Raise `ValueError`, which names the type, for declarations that do not fit together."""
    for name, declared in types.items():
        if declared.meaning is None and name not in DEFAULTS:
            meanings = ", ".join(Meaning)
            raise ValueError(f"event_types.{name}: say its meaning, one of {meanings}")
        if declared.undoes is not None:
            _check_undoing(name, declared.undoes, types)
        if meaning_of(name, declared) is Meaning.NEUTRAL:
            _check_neutral(name, declared)
    if not named(types, Meaning.POSITIVE):
        raise ValueError(
            "event_types: none is positive, so there would be no training rows; give the types "
            "that say that a user wants an item `meaning: positive`"
        )


def _check_neutral(name: str, declared: EventType) -> None:
    weighs = {"weight": declared.weight != 1, "value": declared.value is not None}
    for setting, is_said in weighs.items():
        if is_said:
            raise ValueError(
                f"event_types.{name}.{setting}: a neutral type makes no training row that could "
                f"weigh anything; leave out {setting}, or give it another meaning"
            )


def _check_undoing(name: str, undone: str, types: Mapping[str, EventType]) -> None:
    place = f"event_types.{name}.undoes"
    if undone not in types:
        raise ValueError(f"{place}: no declared type is called so; there are {', '.join(types)}")
    if undone == name:
        raise ValueError(f"{place}: a type cannot undo itself")
    if types[undone].undoes is not None:
        raise ValueError(f"{place}: {undone} undoes another type itself, and cannot be undone")
    if meaning_of(undone, types[undone]) is Meaning.NEUTRAL:
        raise ValueError(f"{place}: {undone} is neutral, so there is nothing to undo")
