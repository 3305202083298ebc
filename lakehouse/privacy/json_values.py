"""Whom a decoded JSON value names, at the paths that a tenant's mapping reads.

A rejected record may say a name twice, or hold an object where a text belongs. So pairs are kept
as they came: every value of a repeated name counts, and so does every text within one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lakehouse.contracts.identifying import ANONYMOUS, USER, IdentifyingFields, identified_by
from lakehouse.contracts.json_rows import value_text
from lakehouse.contracts.strict_json import Number

BATCH: Final = "batch"
"""Under this name a message holds several events (Segment)."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written."""


def decoded(raw: bytes) -> Any:
    """Return a JSON value with its numbers as they were written; None when it is not JSON."""
    try:
        return json.loads(
            raw.decode("utf-8-sig", errors="replace"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
            object_pairs_hook=Pairs,
            strict=False,
        )
    except (ValueError, RecursionError):
        return None


def named_in(value: Any, fields: IdentifyingFields) -> Iterator[tuple[str, str]]:
    """Yield the contract's field and the text of every value that names a person.

    `value`: one event, a list of them, or a message with several.
    """
    for row in _rows(value):
        for name, inner in _pairs(row):
            found = identified_by(name)
            if found is not None:
                yield from ((found, text) for text in leaves(inner))
        for found, paths in ((USER, fields.user), (ANONYMOUS, fields.anonymous)):
            for path in paths:
                yield from ((found, text) for one in _at(row, path) for text in leaves(one))


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts and numbers of a value, however deep."""
    if isinstance(value, (Pairs, dict)):
        for _, inner in _pairs(value):
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, (str, int, float)):
        yield value_text(value) or ""


def _rows(value: Any) -> Iterator[Any]:
    if isinstance(value, (Pairs, dict)):
        yield value
        for name, inner in _pairs(value):
            if name == BATCH and isinstance(inner, list):
                yield from inner
    elif isinstance(value, list):
        yield from value


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Pairs):
        yield from value
    elif isinstance(value, dict):
        yield from value.items()


def _at(value: Any, path: str) -> Iterator[Any]:
    """Yield the values at a path within an object, wherever ingestion could have found one.

    A rejected record may have a text where the path goes on, or a list on the way: the text counts,
    and so does every part of the list.
    """
    for name, inner in _pairs(value):
        if name == path:
            yield inner
        elif path.startswith(f"{name}."):
            yield from _below(inner, path[len(name) + 1 :])


def _below(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, (Pairs, dict)):
        yield from _at(value, path)
    elif isinstance(value, list):
        for inner in value:
            yield from _below(inner, path)
    else:
        yield value
