"""Why a row or a file was refused: the one typed catalogue of codes.

A code is part of the public interface: once released it keeps its meaning. Messages never hold a
value of the file, so that they may be logged and kept after an erasure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ReasonCode(StrEnum):
    """Stable codes of everything that can be wrong with a single row."""

    MISSING_VALUE = "missing_value"
    MISSING_SUBJECT = "missing_subject"
    VALUE_TOO_LONG = "value_too_long"
    UNKNOWN_INTERACTION_TYPE = "unknown_interaction_type"
    BAD_TIMESTAMP = "bad_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    BAD_NUMBER = "bad_number"
    BAD_BOOLEAN = "bad_boolean"
    BAD_JSON = "bad_json"
    CONFLICTING_EVENT = "conflicting_event"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means and what the sender can do about it."""

    meaning: str
    remedy: str


EXPLANATIONS: Final[dict[ReasonCode, Explanation]] = {
    ReasonCode.MISSING_VALUE: Explanation(
        "a required field is empty or holds only white space",
        "fill it in, or give the field a constant in the source mapping",
    ),
    ReasonCode.MISSING_SUBJECT: Explanation(
        "a clickstream event has neither user_id nor anonymous_id",
        "give it one of the two: the id of the account, or the one the browser or device keeps",
    ),
    ReasonCode.VALUE_TOO_LONG: Explanation(
        "a text is longer than its field allows",
        "shorten it: 512 characters for identifiers and context, 4,096 for titles, "
        "8,192 for a url, 65,536 for attributes and properties",
    ),
    ReasonCode.UNKNOWN_INTERACTION_TYPE: Explanation(
        "the type is none of view, click, like, purchase, dislike",
        "map the file's own words to these in the source mapping's `values`",
    ),
    ReasonCode.BAD_TIMESTAMP: Explanation(
        "the time cannot be read in the mapping's unit or format",
        "set `timestamps` in the source mapping to the file's unit (iso, s, ms, us) or format",
    ),
    ReasonCode.TIMESTAMP_OUT_OF_RANGE: Explanation(
        "the time lies outside the tenant's time range, or outside 1900 to 2262",
        "check the unit (seconds read as milliseconds fall into 1970), or widen `time_range`",
    ),
    ReasonCode.BAD_NUMBER: Explanation(
        "not a finite decimal number, or too large for its field",
        "write it like 4, 4.5 or 4.5e1; NaN and Infinity are not numbers",
    ),
    ReasonCode.BAD_BOOLEAN: Explanation(
        "not a yes or no",
        "write true, false, t, f, yes, no, y, n, 1 or 0",
    ),
    ReasonCode.BAD_JSON: Explanation(
        "not a JSON object (RFC 8259)",
        'write an object like {"colour": "red"}',
    ),
    ReasonCode.CONFLICTING_EVENT: Explanation(
        "an event of the same event_id but other content is already known",
        "give every event its own event_id; the row is kept in quarantine",
    ),
}


class FileFault(StrEnum):
    """Stable codes of what makes a whole file unreadable; nothing of it is stored."""

    EMPTY_FILE = "empty_file"
    NO_ROWS = "no_rows"
    NOT_UTF8 = "not_utf8"
    NUL_BYTE = "nul_byte"
    BAD_QUOTE = "bad_quote"
    BARE_CARRIAGE_RETURN = "bare_carriage_return"
    RAGGED_ROW = "ragged_row"
    RECORD_TOO_LONG = "record_too_long"
    DUPLICATE_HEADER = "duplicate_header"
    TOO_MANY_COLUMNS = "too_many_columns"
    MISSING_COLUMNS = "missing_columns"
    UNKNOWN_MAPPED_FIELD = "unknown_mapped_field"
