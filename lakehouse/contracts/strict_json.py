"""JSON as RFC 8259 has it, and nothing else; numbers keep the text they were sent with.

Python's own decoder is strict once a few doors are closed: NaN and Infinity, depth, size, lone
surrogates, bytes that are not UTF-8. It is used, and not a faster one, because it hands out a
number's digits and an object's names as they came: `1.10` stays `1.10`, and a name that comes
twice is seen. orjson and msgspec pass the same tests at five times the speed and lose both.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

MAX_DEPTH: Final = 64
MAX_BYTES: Final = 4 * 1024 * 1024

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class Number(str):
    """A number as the text that it was written in."""

    __slots__ = ()


class StrictJsonError(ValueError):
    """A text that is not JSON, or more of it than is read; `position` counts characters.

    `end`: where the value ends all the same, when that is sure; what follows it can be read.
    """

    def __init__(
        self, message: str, position: int | None = None, *, end: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.end = end


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value, where its text ends, and whether a name comes twice in one of its objects."""

    value: Any
    end: int
    has_repeated_name: bool


class StrictDecoder:
    """Decodes values one after the other; one thread. The last of a repeated name counts."""

    def __init__(self, max_depth: int = MAX_DEPTH) -> None:
        self._max_depth = max_depth
        self._has_repeated_name = False
        self._constant = ""
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=self._note_constant,
        )

    def value_at(self, text: str, start: int = 0) -> Parsed:
        """Read the value that begins at `start`; what follows it is not looked at.

        Raises `StrictJsonError`; for NaN, Infinity and half a character one that knows the `end`.
        The text must not be deeper than allowed (`check_depth`).
        """
        self._has_repeated_name = False
        self._constant = ""
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise StrictJsonError(error.msg, error.pos) from None
        except RecursionError:
            raise StrictJsonError("it is nested too deeply") from None
        if self._constant:
            raise StrictJsonError(f"{self._constant} is not a JSON value", end=end)
        if _SURROGATE.search(text, start, end) and _has_half_a_character(value):
            raise StrictJsonError("a text holds half a surrogate pair", end=end)
        return Parsed(value, end, self._has_repeated_name)

    def document(self, data: bytes) -> Parsed:
        """Read bytes that are one JSON text; raises `StrictJsonError`."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StrictJsonError("it is not UTF-8", error.start) from None
        check_depth(text, self._max_depth)
        parsed = self.value_at(text, _skip(text, 0))
        if _skip(text, parsed.end) != len(text):
            raise StrictJsonError("something follows the value", parsed.end)
        return parsed

    def _note_constant(self, name: str) -> None:
        self._constant = name

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self._has_repeated_name = True
        return found


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Parsed:
    """Read one JSON text; raises `StrictJsonError` for anything else."""
    if len(data) > max_bytes:
        raise StrictJsonError(f"it is larger than {max_bytes:,} bytes")
    return StrictDecoder(max_depth).document(data)


def plain_value(data: bytes) -> Any:
    """Read one JSON text into Python's own values; raises `StrictJsonError`, also for a name twice.

    For bodies of requests, whose fields a model checks: numbers are numbers.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError("it is not UTF-8", error.start) from None
    check_depth(text)
    try:
        value = _PLAIN.decode(text)
    except json.JSONDecodeError as error:
        raise StrictJsonError(error.msg, error.pos) from None
    except StrictJsonError:
        raise
    except ValueError:  # more digits than Python takes for a number
        raise StrictJsonError("a number has too many digits") from None
    except RecursionError:
        raise StrictJsonError("it is nested too deeply") from None
    if _SURROGATE.search(text) and _has_half_a_character(value):
        raise StrictJsonError("a text holds half a surrogate pair")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise StrictJsonError("a name comes twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise StrictJsonError(f"{name} is not a JSON value")


_PLAIN: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def dumps(value: Any) -> str:
    """Return a value as JSON text, its numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        parts = (f"{json.dumps(k, ensure_ascii=False)}:{dumps(v)}" for k, v in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def check_depth(text: str, max_depth: int = MAX_DEPTH) -> None:
    """Raise `StrictJsonError` for a text whose arrays and objects are nested too deeply."""
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > max_depth:
            raise StrictJsonError(f"it is nested more than {max_depth} deep", match.start())


def _skip(text: str, at: int) -> int:
    """Return where the white space that JSON allows ends."""
    while at < len(text) and text[at] in " \t\n\r":
        at += 1
    return at


def _has_half_a_character(value: Any) -> bool:
    """Whether a text in a value is one that no table and no other program could keep."""
    if isinstance(value, str):
        return any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return any(map(_has_half_a_character, value)) or any(
            map(_has_half_a_character, value.values())
        )
    return isinstance(value, list) and any(map(_has_half_a_character, value))
