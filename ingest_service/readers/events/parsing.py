"""The body of an events request as records: one JSON object, or an array of them."""

from dataclasses import dataclass
from typing import Final

from ingest_service.readers.json.rows import JsonRecord
from lakehouse.contracts.strict_json import Parsed, StrictDecoder, StrictJsonError, check_depth
from lakehouse.errors import EtaError

_SPACE: Final = " \t\r\n"


class BadEventsError(EtaError):
    """A body that holds no events; `position` counts characters."""

    def __init__(self, message: str, position: int | None = None) -> None:
        where = "" if position is None else f" (at character {position + 1})"
        super().__init__(
            f"the body is not JSON with events: {message}{where}",
            remedy="send one event as a JSON object, or several as an array of objects",
        )


class TooLargeError(EtaError):
    """More than a request may hold; `code` is stable."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What one request may hold."""

    events: int
    event_bytes: int


def parse_events(body: bytes, limits: EventLimits) -> list[JsonRecord]:
    """Return the events of a body in their order, each with its own bytes.

    A fault within an event that leaves the others readable (a repeated name, too deep, no object,
    NaN, half a character) is that event's alone. Raises `BadEventsError` for a body that is not
    JSON, and `TooLargeError` for too many events or one that is too large.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEventsError("it is not UTF-8", error.start) from None
    at = _skip(text, 0)
    reader = _Reader(text, limits)
    if text[at : at + 1] != "[":
        records = [reader.read(at)]
        end = _skip(text, reader.end)
    else:
        records = reader.read_array(at)
        end = _skip(text, reader.end)
    if end != len(text):
        raise BadEventsError("something follows the events", end)
    return records


class _Reader:
    """Reads values out of one text; `end` is where the last one stopped."""

    def __init__(self, text: str, limits: EventLimits) -> None:
        self._text = text
        self._limits = limits
        self._decoder = StrictDecoder()
        self.end = 0

    def read_array(self, at: int) -> list[JsonRecord]:
        text, records = self._text, list[JsonRecord]()
        at = _skip(text, at + 1)
        if text[at : at + 1] == "]":
            raise BadEventsError("the array is empty")
        while True:
            if len(records) >= self._limits.events:
                raise TooLargeError(
                    "too_many_events",
                    f"the request holds more than {self._limits.events:,} events",
                    "send them in several requests",
                )
            records.append(self.read(at, len(records)))
            at = _skip(text, self.end)
            mark = text[at : at + 1]
            if mark == "]":
                self.end = at + 1
                return records
            if mark != ",":
                raise BadEventsError("a ',' or ']' is missing", at)
            at = _skip(text, at + 1)

    def read(self, at: int, index: int = 0) -> JsonRecord:
        parsed: Parsed | None = None
        fault = ""
        try:
            parsed = self._decoder.value_at(self._text, at)
            self.end = parsed.end
        except StrictJsonError as error:
            if error.end is None:
                raise BadEventsError(error.message, error.position) from None
            self.end, fault = error.end, error.message
        text = self._text[at : self.end]
        raw = text.encode()
        if len(raw) > self._limits.event_bytes:
            raise TooLargeError(
                "event_too_large",
                f"event {index} of the request is larger than {self._limits.event_bytes:,} bytes",
                "send less with it: large documents do not belong into an event",
            )
        try:
            check_depth(text)
        except StrictJsonError as error:
            return JsonRecord(raw, index, index, None, error.message)
        return JsonRecord(raw, index, index, parsed, fault)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at
