"""Values that JSON does not have, within the records and lists that columns of objects become.

NaN, infinity and bytes that are no text would stand in an object as something else than was sent.
So a row that has one there is wrong, as such an object in a CSV file is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.strict_json import Number

NO_JSON_MESSAGE: Final = (
    "it holds a number that is none (NaN, infinity) or bytes that are not UTF-8, which JSON does "
    "not have"
)

KEPT_BYTES: Final = "bytes_in_base64"
"""The one name of an object that stands for bytes."""


class NoJson:
    """Marks a text that stands for such a value."""

    __slots__ = ()


class NoNumber(NoJson, Number):
    """NaN or infinity as Python writes it, so that it is no JSON wherever it is kept."""

    __slots__ = ()

    @classmethod
    def of(cls, value: float) -> "NoNumber":
        """Return the text of a number that is not finite."""
        if value != value:
            return cls("NaN")
        return cls("Infinity" if value > 0 else "-Infinity")


class NoText(NoJson, str):
    """Bytes that are no text, in base64; in quarantine they are kept as an object that says so."""

    __slots__ = ()


def kept(value: Any) -> Any:
    """Return a value as the quarantine keeps it: a reader must not take bytes for their base64."""
    if isinstance(value, NoText):
        return {KEPT_BYTES: str(value)}
    if isinstance(value, Mapping):
        return {name: kept(one) for name, one in value.items()}
    return [kept(one) for one in value] if isinstance(value, list) else value


def holds_kept_bytes(value: Any) -> bool:
    """Whether a value of a kept record is, or holds at any depth, what were bytes."""
    if isinstance(value, Mapping) and KEPT_BYTES in value:
        return True
    return any(map(holds_kept_bytes, _within(value)))


def holds_no_json(value: Any) -> bool:
    """Whether a record or a list has such a value at any depth; a value alone is told by itself."""
    return any(
        isinstance(one, NoJson) or (isinstance(one, Mapping | list) and holds_no_json(one))
        for one in _within(value)
    )


def about_no_json(row: int, column: str) -> tuple[int, str, str, str, str]:
    """Return the reason of a row as `row, code, field, column, message`."""
    return row, ReasonCode.BAD_JSON.value, "", column, f"{column}: {NO_JSON_MESSAGE}"


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        return iter(value.values())
    return iter(value) if isinstance(value, list) else iter(())
