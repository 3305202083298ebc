"""Identifiers in a line of JSON: a text, a number, or fields of an object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from lakehouse.contracts.characters import folded
from lakehouse.errors import EtaError

NAMES: Final = (
    *("user_id", "userid", "anonymous_id", "anonymousid", "customer_id", "customerid"),
    *("subject", "subject_id", "user", "users", "id", "ids", "identifier", "identifiers"),
)
"""What a heading, or a field of a JSON object, calls an identifier."""
HEADINGS: Final = frozenset(folded(name) for name in NAMES)
_OF_PEOPLE: Final = frozenset(folded(name) for name in NAMES[:6])
"""Names that mean nothing but a person's id: each of them counts, also beside another."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written."""


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_Number,
    parse_float=_Number,
    parse_constant=lambda _: None,
)


def _parsed(line: str) -> Any:
    try:
        return _DECODER.decode(line.strip())
    except (ValueError, RecursionError):
        return None


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    return line.lstrip()[:1] == "{" and isinstance(_parsed(line), _Pairs)


@dataclass(frozen=True, slots=True)
class LineIds:
    """The identifiers of a line, none if it has none; `is_more`: another name is not taken."""

    texts: tuple[str, ...] = field(default=(), repr=False)
    is_more: bool = False


def ids_of(line: str, number: int) -> LineIds:
    """Return the identifiers of a line: a text, a number, or fields of an object.

    Raises `EtaError` for a name that comes twice, and for ids of which nobody knows the right one.
    """
    value = _parsed(line)
    if not isinstance(value, _Pairs):
        return LineIds((str(value),)) if isinstance(value, str) else LineIds()
    if len({name for name, _ in value}) < len(value):
        raise EtaError(
            f"line {number} of the file has an object in which a name comes twice",
            remedy="write each name once, and each id on a line of its own",
        )
    named = [(folded(name), held) for name, held in value if held is not None]
    people = [held for name, held in named if name in _OF_PEOPLE]
    others = [held for name, held in named if name in HEADINGS - _OF_PEOPLE]
    taken = people or others
    if not all(isinstance(held, str) for held in taken):
        return LineIds()
    texts = tuple(dict.fromkeys(map(str, taken)))
    if not people and len(texts) > 1:
        raise EtaError(
            f"line {number} of the file has an object with several ids",
            remedy=f"name the field of the person's id {NAMES[0]}",
        )
    return LineIds(texts, is_more=bool(people) and any(held not in texts for held in others))
