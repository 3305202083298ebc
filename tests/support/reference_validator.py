"""The contract once more, row by row in plain Python: slow, and independent of polars.

What the validator does to columns is compared with what this does to rows.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)
TYPES = {"view", "click", "like", "purchase", "dislike"}
BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(Z|z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
TAGS = {
    "interactions": {
        "user_id": "u",
        "item_id": "i",
        "interaction_type": "k",
        "timestamp": "t",
        "rating": "r",
        "device_type": "d",
        "location": "l",
        "session_id": "s",
    },
    "items": {
        "item_id": "i",
        "title": "n",
        "category": "c",
        "price": "p",
        "available_from": "f",
        "is_active": "a",
        "attributes": "j",
        "updated_at": "t",
    },
    "clickstream": {
        "event_name": "n",
        "user_id": "u",
        "anonymous_id": "a",
        "session_id": "s",
        "item_id": "i",
        "url": "l",
        "timestamp": "t",
        "properties": "p",
    },
}
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)
"""Unicode's White_Space; Python's own idea of it also has U+001C to U+001F."""
UNSEEN = {0x61C, 0x180E, 0xA0, 0xAD, 0xFEFF}
"""Characters that nobody sees, besides controls and the ranges in `_is_unseen`."""
DAY = timedelta(days=1)
NULL_WORDS = {
    *("null", "none", "nil", "nan", "nat", "undefined", "n/a", "na", "\\n", "(null)", "<null>"),
    *("<na>", "[object object]", "#n/a", "#null!", "#name?", "#value!", "#ref!", "#div/0!"),
    "#num!",
}
SCIENTIFIC = re.compile(r"[+-]?\d([.,]\d+)?[eE]\+\d{2,3}", re.ASCII)
LENGTHS = {"title": 4_096, "attributes": 65_536, "url": 8_192, "properties": 65_536}


@dataclass
class Outcome:
    """What becomes of one row: values, or codes of everything that is wrong; and what is odd."""

    values: dict[str, Any] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    odd: list[tuple[str, str]] = field(default_factory=list)


def validate_interaction(
    row: Mapping[str, str | None],
    start: datetime,
    end: datetime,
    known_at: datetime,
    unit: str = "ms",
) -> Outcome:
    """Validate an interaction given as contract field → text."""
    out = Outcome()
    _text(out, row, "event_id")
    _text(out, row, "user_id", required=True)
    _text(out, row, "item_id", required=True)
    kind = _strip(row.get("interaction_type"))
    if not kind:
        out.wrong.append(("interaction_type", "missing_value"))
    elif kind not in TYPES:
        out.wrong.append(("interaction_type", "unknown_interaction_type"))
    out.values["interaction_type"] = kind
    if not _strip(row.get("timestamp")):
        out.wrong.append(("timestamp", "missing_value"))
    bounds = (max(start, EARLIEST), min(end, LATEST))
    _time(out, row, "timestamp", unit, bounds, known_at)
    _number(out, row, "rating")
    for name in ("device_type", "location", "session_id"):
        _text(out, row, name)
    if out.values.get("device_type") is not None:
        out.values["device_type"] = _strip(out.values["device_type"]).lower()
    return _identified(out, "interactions", None)


def validate_item(row: Mapping[str, str | None], known_at: datetime, unit: str = "ms") -> Outcome:
    """Validate a catalogue row given as contract field → text."""
    out = Outcome()
    _text(out, row, "item_id", required=True)
    _text(out, row, "title")
    _text(out, row, "category")
    _decimal(out, row, "price")
    _time(out, row, "available_from", unit, (EARLIEST, LATEST), known_at, 366)
    word = _strip(row.get("is_active")).lower()
    if word and word not in BOOLEANS:
        out.wrong.append(("is_active", "bad_boolean"))
    out.values["is_active"] = BOOLEANS.get(word)
    _json(out, row, "attributes")
    _time(out, row, "updated_at", unit, (EARLIEST, LATEST), known_at)
    carried = ("title", "category", "price", "available_from", "is_active", "attributes")
    sent = [name for name in carried if name in row]
    out.values["sent_fields"] = None if len(sent) == len(carried) else sent
    return _identified(out, "items", known_at)


def validate_click(
    row: Mapping[str, str | None], start: datetime, end: datetime, known_at: datetime
) -> Outcome:
    """Validate a clickstream event given as contract field → text."""
    out = Outcome()
    _text(out, row, "event_id")
    _text(out, row, "event_name", required=True)
    _text(out, row, "user_id")
    _text(out, row, "anonymous_id")
    _text(out, row, "session_id", required=True)
    _text(out, row, "item_id")
    _text(out, row, "url")
    if not _strip(row.get("timestamp")):
        out.wrong.append(("timestamp", "missing_value"))
    _time(out, row, "timestamp", "ms", (max(start, EARLIEST), min(end, LATEST)), known_at)
    _json(out, row, "properties")
    if not _strip(row.get("user_id")) and not _strip(row.get("anonymous_id")):
        out.wrong.append(("user_id", "missing_subject"))
    return _identified(out, "clickstream", None)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def identity_text(kind: str, values: Mapping[str, Any]) -> str:
    """The text that an event's identity is computed from."""
    parts = []
    for name, tag in TAGS[kind].items():
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, datetime):
            text = str(micros(value))
        elif isinstance(value, float):
            text = str(struct.unpack("<q", struct.pack("<d", value))[0])
        elif isinstance(value, Decimal):
            text = str(int(value.scaleb(4)))
        else:
            text = value.replace("\\", "\\\\").replace("\x1f", "\\u")
        parts.append(f"{tag}={text}")
    if values.get("sent_fields") is not None:
        parts.append(f"s={','.join(values['sent_fields'])}")
    return "\x1f".join(parts)


def _identified(out: Outcome, kind: str, known_at: datetime | None) -> Outcome:
    if out.wrong:
        return out
    text = identity_text(kind, out.values)
    if kind == "items" and out.values["updated_at"] is None:
        assert known_at is not None
        text += f"\x1fknown={micros(known_at)}"
        out.values["updated_at"] = known_at
    computed = hashlib.sha256(text.encode()).hexdigest()[:32]
    out.values["event_id"] = out.values.get("event_id") or computed
    return out


def _strip(text: str | None) -> str:
    return (text or "").strip(WHITE_SPACE)


def _text(
    out: Outcome, row: Mapping[str, str | None], name: str, *, required: bool = False
) -> None:
    text = row.get(name)
    if not _strip(text):
        text = None
        if required:
            out.wrong.append((name, "missing_value"))
    if len(row.get(name) or "") > LENGTHS.get(name, 512):
        out.wrong.append((name, "value_too_long"))
    if "\0" in (row.get(name) or ""):
        out.wrong.append((name, "nul_byte"))
    if text is not None and _is_null_word(_strip(text)):
        out.odd.append((name, "null_word"))
    if text is not None:
        out.odd += [(name, odd) for odd in _oddities(name, text)]
    out.values[name] = text


def _oddities(name: str, text: str) -> Iterator[str]:
    is_identifier = name.endswith("_id")
    if is_identifier and SCIENTIFIC.fullmatch(_strip(text)):
        yield "scientific_identifier"
    if (is_identifier or name == "event_name") and _strip(text) != text:
        yield "surrounding_white_space"
    if is_identifier and any(_is_unseen(ord(char)) for char in text):
        yield "invisible_character"


def _is_null_word(text: str) -> bool:
    usual = len(text) <= 4 or text in (text.lower(), text.upper(), text.title(), text.capitalize())
    return (usual and text.lower() in NULL_WORDS) or text == "[object Object]"


def _is_unseen(code: int) -> bool:
    is_control = code < 0x20 or 0x7F <= code <= 0x9F
    is_mark = 0x200B <= code <= 0x200F or 0x2028 <= code <= 0x202F or 0x2060 <= code <= 0x206F
    return is_control or is_mark or code in UNSEEN


def _number(out: Outcome, row: Mapping[str, str | None], name: str) -> None:
    text = _strip(row.get(name))
    out.values[name] = None
    if not text:
        return
    value = float(text) if NUMBER.fullmatch(text) else float("nan")
    if value - value != 0:
        out.wrong.append((name, "bad_number"))
    else:
        out.values[name] = value + 0.0
        sent = Decimal(text)
        if abs(value) >= 1e12:
            out.wrong.append((name, "bad_number"))
        if sent and not _is_kept(sent, 6, 15):
            out.odd.append((name, "rounded_number"))


def _is_kept(sent: Decimal, places: int, digits: int) -> bool:
    exact = Context(1_000_000).normalize(sent).as_tuple()
    assert isinstance(exact.exponent, int)
    return exact.exponent >= -places and len(exact.digits) <= digits


def _decimal(out: Outcome, row: Mapping[str, str | None], name: str) -> None:
    text = _strip(row.get(name))
    out.values[name] = None
    if not text:
        return
    sent = Decimal("nan")
    try:
        sent = Decimal(text) if NUMBER.fullmatch(text) else Decimal("nan")
        value = sent.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or abs(value) >= Decimal(10) ** 14:
        out.wrong.append((name, "bad_number"))
    else:
        out.values[name] = value
        if value != sent:
            out.odd.append((name, "rounded_number"))


def _json(out: Outcome, row: Mapping[str, str | None], name: str) -> None:
    text = row.get(name)
    if not _strip(text):
        out.values[name] = None
        return
    assert text is not None

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        good = isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        good = False
    if not good:
        out.wrong.append((name, "bad_json"))
    out.values[name] = text


def _time(
    out: Outcome,
    row: Mapping[str, str | None],
    name: str,
    unit: str,
    bounds: tuple[datetime, datetime],
    known_at: datetime,
    days_ahead: int = 1,
) -> None:
    text = _strip(row.get(name))
    out.values[name] = None
    if not text:
        return
    found = _iso(text) if unit == "iso" else _epoch(text, unit)
    if found is None:
        out.wrong.append((name, "bad_timestamp"))
    elif not micros(bounds[0]) <= found < micros(bounds[1]):
        out.wrong.append((name, "timestamp_out_of_range"))
    elif unit != "iso" and abs(found) <= micros(EPOCH + 366 * DAY):
        # of no use to events here: their range ends long after it
        out.wrong.append((name, "timestamp_out_of_range"))
    else:
        out.values[name] = EPOCH + timedelta(microseconds=found)
        if out.values[name] > known_at + days_ahead * DAY:
            out.odd.append((name, "future_timestamp"))


def _epoch(text: str, unit: str) -> int | None:
    if not NUMBER.fullmatch(text):
        return None
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        # Python's own integers know no limit; a number beyond a double's is no number.
        return int(text) * scale if len(text.lstrip("+-0")) < 300 else None
    if "e" in text.lower():
        return None
    value = float(text) * scale
    if value - value != 0:
        return None if float(text) - float(text) != 0 else 2**63
    return round_half_away(value)


def round_half_away(value: float) -> int:
    """Round as polars does: halves away from zero."""
    whole = int(value)
    rest = value - whole
    return whole + (1 if rest >= 0.5 else -1 if rest <= -0.5 else 0)


def _iso(text: str) -> int | None:
    match = ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if year == "0000":  # a leap year that Python does not have, long before any range
        return None if _iso("2000" + text[4:]) is None else -(2**62)
    try:
        start = datetime.combine(date(int(year), int(month), int(day)), datetime.min.time(), UTC)
        clock = datetime(2000, 1, 1, int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    total = micros(start) + (clock - datetime(2000, 1, 1)) // timedelta(microseconds=1)
    total += int((fraction or "0").ljust(6, "0")[:6])
    if offset and offset not in "Zz":
        hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
        if hours > 23 or minutes > 59:
            return None
        shift = (hours * 60 + minutes) * 60_000_000
        total -= shift if offset[0] == "+" else -shift
    return total
