"""Whichever way a row comes, each of its values is stored as sent, or a reason or warning names it.

What "as sent" means is said here once more, in plain Python on the texts.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.dedupe.window import DedupeWindows, NoHistory
from ingest_service.readers.events.parsing import EventLimits, parse_events
from ingest_service.readers.events.plain import plain_body
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.events.rows import EventRows, EventTexts
from ingest_service.readers.json.rows import JsonColumns, texts_of
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.events.outcomes import told_of
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.upload import FileUpload, RowsOrder
from lakehouse.contracts.fields import CONTEXT_FIELDS, ContractField, FieldKind
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.privacy.suppression import EmptySuppressionList
from tests.support.examples import examples

MAPPING, TENANT = SourceMapping(), TenantSettings()
LIMITS = EventLimits(100, 100_000)
MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WHITE_SPACE = " \t\u00a0\u3000"
Row = dict[str, Any]


@dataclass
class Outcome:
    """Rows that were stored by their number, and the names that reasons and warnings name."""

    stored: dict[int, Row] = field(default_factory=dict)
    wrong: set[int] = field(default_factory=set)
    named: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_all: set[str] = field(default_factory=set)


def new_service(sink: MemorySink) -> IngestService:
    suppression: Any = EmptySuppressionList()
    return IngestService(sink, NoHistory(), DedupeWindows(), suppression, lambda: MOMENT)


def by_file(rows: list[Row], data_type: DataType, path: Path) -> Outcome:
    """Upload a file whose n-th row begins on line n + 2."""
    kind = FileFormat.CSV if path.suffix == ".csv" else FileFormat.JSON
    sink = MemorySink()
    report = new_service(sink).ingest(
        FileUpload(
            path,
            "acme",
            data_type,
            MAPPING,
            TENANT,
            "b",
            OnError.QUARANTINE,
            format=kind,
            encoding="utf-8",
            delimiter=",",
        )
    )
    found = Outcome(stored_in(sink, data_type))
    found.wrong = {error.line - 2 for error in report.errors.kept}
    for warning in report.warnings.kept:
        (found.of_all if warning.line == 1 else found.named[warning.line - 2]).add(warning.column)
    assert report.counts.received == len(rows)
    return found


def by_csv(rows: list[Row], data_type: DataType, folder: Path) -> Outcome:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    path = folder / "rows.csv"
    path.write_text(text.getvalue(), newline="")
    return by_file(rows, data_type, path)


def by_json(rows: list[Row], data_type: DataType, folder: Path) -> Outcome:
    path = folder / "rows.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")
    return by_file(rows, data_type, path)


def by_lines(rows: list[Row], data_type: DataType, folder: Path) -> Outcome:
    path = folder / "lines.json"
    path.write_text("\n" + "\n".join(map(json.dumps, rows)))
    return by_file(rows, data_type, path)


def by_events(parts: list[EventTexts], data_type: DataType) -> Outcome:
    sink = MemorySink()
    order = RowsOrder("acme", data_type, MAPPING, "contract", TENANT, "b", "api")
    columns = JsonColumns.of(data_type, MAPPING)
    _, judged = new_service(sink).ingest_rows(order, lambda: EventRows(parts, columns))
    (told,) = told_of(judged, [sum(part.count for part in parts)])
    found = Outcome(stored_in(sink, data_type))
    for number, result in enumerate(json.loads(told.results)):
        if result["status"] == "rejected":
            found.wrong.add(number)
        found.named[number] |= {one["field"] for one in result.get("warnings", [])}
    return found


def by_plain_body(rows: list[Row], data_type: DataType, _: Path) -> Outcome:
    body = plain_body(json.dumps(rows).encode(), data_type, LIMITS)
    assert body is not None
    return by_events([body], data_type)


def by_quick_way(rows: list[Row], data_type: DataType, _: Path) -> Outcome:
    """Each event by the quick way where it may take it, else by the strict one."""
    bodies = [json.dumps([row]).encode() for row in rows]
    columns = JsonColumns.of(data_type, MAPPING)
    return by_events(
        [
            quick_texts(body, data_type, LIMITS) or texts_of(parse_events(body, LIMITS), columns)
            for body in bodies
        ],
        data_type,
    )


WAYS: list[Callable[[list[Row], DataType, Path], Outcome]] = [
    *(by_csv, by_json, by_lines, by_plain_body, by_quick_way)
]

GOOD: dict[DataType, Row] = {
    DataType.INTERACTIONS: {
        "user_id": "u",
        "item_id": "i",
        "interaction_type": "view",
        "timestamp": "1767225600000",
    },
    DataType.ITEMS: {"title": "t"},
    DataType.CLICKSTREAM: {
        "event_name": "e",
        "session_id": "s",
        "user_id": "u",
        "timestamp": "1767225600000",
    },
    DataType.USERS: {"attributes": '{"a": 1}'},
}
KEYS = {
    DataType.INTERACTIONS: "event_id",
    DataType.ITEMS: "item_id",
    DataType.CLICKSTREAM: "event_id",
    DataType.USERS: "user_id",
}
WORDS = ["", " ", " a", "a\u200b", "NULL", "\\N", "nan", "#N/A", "1.23E+15", "x" * 600, "\u0663"]
NUMBERS = [
    *("1e13", "1e-7", "4,5", "4.5", "0.12345", "-0", "1e-30", "1" * 17, "12345678901.12345"),
    *("0.1234567", "1.0000000000000000000001", "999999999999.9999999", "1.5e3", "0.1" + "0" * 30),
]
TIMES = [
    *("1767225600", "1767225600000", "1.76723E+12", "4102444800000", "1767225600000.5", "0"),
    *("1767225600000.1234", "2026-01-01", "+1767225600000", "176722560000\u0663"),
]
LIKELY: dict[FieldKind, list[str]] = {
    FieldKind.TEXT: WORDS,
    FieldKind.LABEL: [*WORDS, "iOS", " \u00c9 "],
    FieldKind.INTERACTION_TYPE: [" like ", "View", "buy"],
    FieldKind.TIMESTAMP: TIMES,
    FieldKind.NUMBER: NUMBERS,
    FieldKind.DECIMAL: NUMBERS,
    FieldKind.BOOLEAN: ["yes", "TRUE", " 0", "2", "on"],
    FieldKind.JSON_OBJECT: [
        '{"a": 1}',
        "{}",
        "[]",
        '{"a":',
        ' {"a": "\u00e9"} ',
        '{"a": {}}',
        '{"a": false}',
    ],
}
ANY = st.one_of(
    st.sampled_from([text for texts in LIKELY.values() for text in texts]),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6),
    st.text("0123456789.-eE+", min_size=1, max_size=22),
)


@st.composite
def rows_of(draw: st.DrawFn, data_type: DataType) -> list[Row]:
    """Rows of which each has an odd value and, now and then, a name that is not quite right."""
    kinds = defaultdict(list)
    for one in data_type.definition.fields:
        if one.name != KEYS[data_type]:
            kinds[one.kind].append(one.name)
    spelling = st.sampled_from([str.upper, str.title, " {}".format, "{}s".format, "x_{}".format])
    rows = []
    for number in range(8):
        row = {KEYS[data_type]: f"k{number}", **GOOD[data_type]}
        # each kind as often as the others, whatever number of fields it has
        kind = draw(st.sampled_from(sorted(kinds)))
        row[draw(st.sampled_from(kinds[kind]))] = draw(
            st.one_of(st.sampled_from(LIKELY[kind]), ANY)
        )
        if draw(st.booleans()):
            name = draw(st.sampled_from(kinds[draw(st.sampled_from(sorted(kinds)))]))
            row[draw(spelling)(name)] = draw(ANY.filter(str.strip))
        rows.append(row)
    return rows


@pytest.mark.parametrize("data_type", list(DataType))
@pytest.mark.parametrize("way", WAYS)
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_each_value_is_stored_as_sent_or_named(
    way: Callable[[list[Row], DataType, Path], Outcome],
    data_type: DataType,
    data: st.DataObject,
    tmp_path: Path,
) -> None:
    rows = data.draw(rows_of(data_type))
    found = way(rows, data_type, tmp_path)
    fields = {one.name: one for one in data_type.definition.fields}
    for number, row in enumerate(rows):
        stored = found.stored.get(number)
        assert (stored is None) == (number in found.wrong), "stored, or wrong with a reason"
        if stored is None:
            continue
        for name, text in row.items():
            is_kept = name in fields and is_as_sent(fields[name], text, stored)
            assert is_kept or name in found.named[number] | found.of_all, (name, text, stored)


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_context_that_is_not_read_is_told(
    way: Callable[[list[Row], DataType, Path], Outcome], tmp_path: Path
) -> None:
    kind = DataType.INTERACTIONS
    contexts: list[Any] = [
        "ios",
        {"os": "x"},
        {"location": "CH"},
        {"device_type": "a"},
        {"Location": 1},
    ]
    rows = [
        {"event_id": f"k{number}", **GOOD[kind], "context": context, "device_type": None}
        for number, context in enumerate(contexts)
    ]
    found = way(rows, kind, tmp_path)
    assert {number: named for number, named in found.named.items() if named} == {
        0: {"context"},
        1: {"context.os"},
        3: {"context.device_type"},
        4: {"context.Location"},
    }
    assert found.stored[2]["context"]["location"] == "CH"


def stored_in(sink: MemorySink, data_type: DataType) -> dict[int, Row]:
    tables = [table for _, table in sink.raw.get(data_type, [])]
    rows = [row for table in tables for row in table.to_pylist()]
    return {int(row[KEYS[data_type]].removeprefix("k")): row for row in rows}


def is_as_sent(contract: ContractField, text: str, stored: Row) -> bool:
    """Whether a stored value is what was sent, after the normalisation that is documented."""
    value = stored.get(contract.column)
    if contract.name in CONTEXT_FIELDS and "context" in stored:
        value = (stored["context"] or {}).get(contract.name)
    plain = text.strip(WHITE_SPACE)
    if not plain:
        return value is None or contract.name == "updated_at"
    return SAME[contract.kind](value, text, plain)


def _is_same_time(value: Any, _: str, plain: str) -> bool:
    micros = Decimal((value - EPOCH) // timedelta(microseconds=1))
    return abs(micros - Decimal(plain) * 1_000) < 1


SAME: dict[FieldKind, Callable[[Any, str, str], bool]] = {
    FieldKind.TEXT: lambda value, text, _: bool(value == text),
    FieldKind.LABEL: lambda value, _, plain: bool(value == plain.lower()),
    FieldKind.INTERACTION_TYPE: lambda value, _, plain: bool(value == plain),
    FieldKind.TIMESTAMP: _is_same_time,
    # as the models have it
    FieldKind.NUMBER: lambda value, _, plain: (
        Decimal(plain) == Decimal(repr(value)).quantize(Decimal("1e-6"))
    ),
    FieldKind.DECIMAL: lambda value, _, plain: bool(Decimal(plain) == value),
    FieldKind.BOOLEAN: lambda value, _, plain: bool(
        value == (plain.lower() in ("true", "t", "yes", "y", "1"))
    ),
    FieldKind.JSON_OBJECT: lambda value, text, _: bool(json.loads(value) == json.loads(text)),
}
