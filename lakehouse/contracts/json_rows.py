"""The values of a JSON object as texts, which is what the validator reads."""

from typing import Any, Final

from lakehouse.contracts.fields import CONTEXT_FIELDS
from lakehouse.contracts.strict_json import Number, dumps

CONTEXT: Final = "context"
EITHER: Final = "|"


def pick(row: dict[str, Any], name: str) -> Any:
    """Return the value under a name, under a path with dots, or within `context`.

    `a|b` is the value of `a`, or where that is missing or null the one of `b`.
    """
    if name in row:
        return row[name]
    if name in CONTEXT_FIELDS:
        context = row.get(CONTEXT)
        return context.get(name) if isinstance(context, dict) else None
    if EITHER in name:
        found = (pick(row, part) for part in name.split(EITHER))
        return next((value for value in found if value is not None), None)
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def is_sent(row: dict[str, Any], name: str) -> bool:
    """Return whether a row has what `pick` looks for, be it null: a null clears, absence does not.

    Of `a|b` one is enough; of a path the last name must be there.
    """
    if name in row:
        return True
    if name in CONTEXT_FIELDS:
        context = row.get(CONTEXT)
        return isinstance(context, dict) and name in context
    if EITHER in name:
        return any(is_sent(row, part) for part in name.split(EITHER))
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def value_text(value: Any) -> str | None:
    """Return the text of a value: a number's digits, true or false, an object's or array's JSON."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return dumps(value)
