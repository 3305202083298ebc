"""How messages become rows: by a mapping of the tenant, or as Segment's calls.

An adapter says what the rows of a message are; a source mapping says what their fields are. So a
row in quarantine is read again like any other, and a tenant corrects its mapping, not its code.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from ingest_service.readers.events.parsing import (
    BadEventsError,
    EventLimits,
    TooLargeError,
    parse_events,
)
from ingest_service.readers.json.rows import JsonColumns, JsonRecord, RowTexts, texts_of
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode
from lakehouse.contracts.row_issues import WARNING_CODES
from lakehouse.contracts.strict_json import Parsed, dumps

SEGMENT_CALLS: Final = frozenset({"track", "identify"})
_BATCH: Final = "batch"


def rows_of(adapter: str, body: bytes, columns: JsonColumns, limits: EventLimits) -> RowTexts:
    """Return the rows of a message; what cannot be mapped is a row with a fault.

    Never raises for what a message holds: a body that is no JSON is one row of these bytes.
    """
    try:
        records: Sequence[JsonRecord] = parse_events(body, limits)
    except (BadEventsError, TooLargeError) as error:
        records = [JsonRecord(body, 0, 0, None, error.message)]
    return _ADAPTERS[adapter](records, columns)


def conflicting_rows(body: bytes, columns: JsonColumns) -> RowTexts:
    """Return a message as one row of its bytes, wrong because its id was of another message."""
    code = ReasonCode.CONFLICTING_MESSAGE
    rows = texts_of([JsonRecord(body, 0, 0, None, "")], columns, reports_unread=False)
    return replace(rows, faults=[(0, code.value, "", "", EXPLANATIONS[code].meaning)])


def _generic(records: Sequence[JsonRecord], columns: JsonColumns) -> RowTexts:
    return texts_of(records, columns)


def _segment(records: Sequence[JsonRecord], columns: JsonColumns) -> RowTexts:
    """Calls of Segment, alone or as its `batch`; others than track and identify are faults."""
    calls = [call for record in records for call in _calls(record)]
    rows = texts_of(calls, columns)
    told = {row for row, code, *_ in rows.faults if code not in WARNING_CODES}
    code = ReasonCode.UNSUPPORTED_EVENT
    faults = [
        (row, code.value, "", "", EXPLANATIONS[code].meaning)
        for row, call in enumerate(calls)
        if row not in told and not _is_supported(call)
    ]
    return replace(rows, faults=sorted([*rows.faults, *faults]))


def _calls(record: JsonRecord) -> list[JsonRecord]:
    parsed = record.parsed
    if parsed is None or not isinstance(parsed.value, dict):
        return [record]
    batch = parsed.value.get(_BATCH)
    if not isinstance(batch, list) or not batch or parsed.has_repeated_name:
        return [record]
    return [
        JsonRecord(dumps(call).encode(), n, n, Parsed(call, 0, has_repeated_name=False))
        for n, call in enumerate(batch)
    ]


def _is_supported(call: JsonRecord) -> bool:
    value = call.parsed.value if call.parsed is not None else None
    return isinstance(value, dict) and value.get("type") in SEGMENT_CALLS


_ADAPTERS: Final[dict[str, Callable[[Sequence[JsonRecord], JsonColumns], RowTexts]]] = {
    "generic": _generic,
    "segment": _segment,
}
