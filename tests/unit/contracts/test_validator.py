"""The validator beside its row-by-row reference, and what it promises besides."""

import string
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.characters import Traits
from lakehouse.contracts.column_words import common_names, folded_name
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import (
    DataType,
    SourceMapping,
    TenantSettings,
    TimeRange,
    TimestampFormat,
)
from lakehouse.contracts.validator import REASON_SCHEMA, Validated, Validator
from tests.support.examples import examples
from tests.support.reference_validator import (
    Outcome,
    validate_click,
    validate_interaction,
    validate_item,
)
from tests.support.validating import KNOWN_AT, validated

RANGE = TimeRange()

INTERACTION_COLUMNS = [
    "event_id",
    "user_id",
    "item_id",
    "interaction_type",
    "timestamp",
    "rating",
    "device_type",
    "location",
    "session_id",
]
ITEM_COLUMNS = [
    "item_id",
    "title",
    "category",
    "price",
    "available_from",
    "is_active",
    "attributes",
    "updated_at",
]


CLICK_COLUMNS = [
    "event_id",
    "event_name",
    "user_id",
    "anonymous_id",
    "session_id",
    "item_id",
    "url",
    "timestamp",
    "properties",
]


def texts(*likely: str, alphabet: str = "") -> st.SearchStrategy[str | None]:
    """Likely values, white space, nothing, values over an alphabet, and any text at all."""
    free = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
    odd = st.sampled_from(["", " ", "\t", "\u00a0", "\u3000", "\\", "\x1f", "a\\u", "x" * 513])
    own = st.text(alphabet=alphabet or string.ascii_letters, max_size=8)
    drawn = st.one_of(own, free).filter(_names_no_column)
    return st.one_of(st.none(), st.sampled_from(likely), st.sampled_from(likely), odd, drawn)


def _names_no_column(text: str) -> bool:
    """Rows of names are headers, which have tests of their own."""
    name = folded_name(text)
    return name not in common_names() and not name.endswith("id")


NUMBERS = texts(
    "1", "-0", "0.0", "4.5", "1e5", " 7 ", "nan", "NaN", "inf", "-Infinity", "1_0", "0x1", "1e999",
    "12.34565", "1e-7", "1e-30", "1e12", "-999999999999.5", "0.1234567890123456789", "1.500000",
    "123456789.1234567", "12345678901.1234", "1e-400", "4,5",
    "99999999999999.9999", "100000000000000", "5.", ".5", "+3",
    alphabet="0123456789+-.eE",
)  # fmt: skip
TIMES = texts(
    "1700000000000", "1577836800000", "1577836799999", "1893456000000", "1893455999999", "0",
    "1777723200000", "1777723200124", "1700000000000.0",
    "1700000000000.5", "-1", "99999999999999999999", "1e12", "nan", "1e400",
    "1.76723E+12", "1700000000", "31622400000", "31622400001", "-31622400001", "1809432000123",
    "9223372036854775807", "+1700000000000", " 1700000000000 ",
    alphabet="0123456789.-",
)  # fmt: skip
ISO_TIMES = texts(
    "2024-02-29", "2023-02-29", "2024-01-01T00:00:00Z", "2024-01-01 10:30", "2024-01-01T10:30:59.5",
    "2024-01-01T10:30:59,123456789+02:00", "2024-01-01T24:00:00Z", "2024-01-01T10:30:60Z",
    "2024-01-01T10:00:00-0530", "2024-01-01T10:00:00+05", "2024-1-1", "2019-12-31T23:59:59.999999Z",
    "2024-01-01T10:00:00+24:00", "2024-01-\u0660\u0663", "2024-01-01t10:00z", "0000-01-01",
    alphabet="0123456789-:TZ",
)  # fmt: skip
IDS = texts(
    "u1",
    "u 2",
    " u3",
    "u\u200b",
    "NULL",
    " None",
    "\\N",
    "1.23E+15",
    "u\x00",
    "\ufeffu",
    "u\u00a0x",
    "u\x07",
    "\u00fc\u4f60\U0001f600",
    "u\n4",
    "x" * 512,
    "\u00fc" * 512,
)

INTERACTIONS = st.fixed_dictionaries(
    {
        "event_id": texts("e1", "e2"),
        "user_id": IDS,
        "item_id": IDS,
        "interaction_type": texts("view", "click", " like ", "View", "buy"),
        "timestamp": TIMES,
        "rating": NUMBERS,
        "device_type": texts("ios", " iOS\t", "TÉLÉPHONE"),
        "location": texts("Bern, CH"),
        "session_id": texts("s1", " S1 "),
    }
)
ITEMS = st.fixed_dictionaries(
    {
        "item_id": IDS,
        "title": texts("Tea", "#N/A", "x" * 4_097, "x" * 4_096),
        "category": texts("food"),
        "price": NUMBERS,
        "available_from": TIMES,
        "is_active": texts("true", "FALSE", "Yes", "n", "1", "0", "2", "on"),
        "attributes": texts('{"a": 1}', "{}", " {} ", "[]", '{"a": NaN}', '{"a": 1', "{'a': 1}"),
        "updated_at": TIMES,
    }
)
CLICKS = st.fixed_dictionaries(
    {
        "event_id": texts("e1"),
        "event_name": texts("page_view"),
        "user_id": IDS,
        "anonymous_id": texts("a1"),
        "session_id": texts("s1"),
        "item_id": texts("i1"),
        "url": texts("https://shop.example/tea?x=1", "x" * 8_192, "x" * 8_193),
        "timestamp": TIMES,
        "properties": texts('{"a": 1}', "{}", "[]", '{"a": NaN}', '{"a": 1'),
    }
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(INTERACTIONS, min_size=1, max_size=8))
def test_interactions_like_the_reference(rows: list[dict[str, str | None]]) -> None:
    expected = [validate_interaction(row, RANGE.start, RANGE.end, KNOWN_AT) for row in rows]
    _compare(validated(DataType.INTERACTIONS, rows, INTERACTION_COLUMNS), expected, "event_time")


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=8))
def test_items_like_the_reference(rows: list[dict[str, str | None]]) -> None:
    expected = [validate_item(row, KNOWN_AT) for row in rows]
    _compare(validated(DataType.ITEMS, rows, ITEM_COLUMNS), expected, "timestamp")


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(CLICKS, min_size=1, max_size=8))
def test_clickstream_like_the_reference(rows: list[dict[str, str | None]]) -> None:
    expected = [validate_click(row, RANGE.start, RANGE.end, KNOWN_AT) for row in rows]
    _compare(validated(DataType.CLICKSTREAM, rows, CLICK_COLUMNS), expected, "event_time")


def test_clickstream_needs_a_column_for_one_of_its_subjects() -> None:
    columns = ["event_name", "session_id", "timestamp"]
    for subject in ("user_id", "anonymous_id"):
        Validator(DataType.CLICKSTREAM, SourceMapping(), TenantSettings(), [*columns, subject])
    with pytest.raises(FileRefusedError) as caught:
        Validator(DataType.CLICKSTREAM, SourceMapping(), TenantSettings(), columns)
    assert caught.value.columns == ("user_id or anonymous_id",)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(ISO_TIMES, min_size=1, max_size=8), st.sampled_from(["iso", "s", "us"]))
def test_timestamps_of_every_unit_like_the_reference(times: list[str | None], unit: str) -> None:
    rows = [
        {"user_id": "u", "item_id": "i", "interaction_type": "view", "timestamp": time}
        for time in times
    ]
    mapping = SourceMapping(
        timestamps={"timestamp": TimestampFormat.model_validate({"unit": unit})}
    )
    expected = [validate_interaction(row, RANGE.start, RANGE.end, KNOWN_AT, unit) for row in rows]
    found = validated(DataType.INTERACTIONS, rows, list(rows[0]), mapping)
    _compare(found, expected, "event_time")


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_numbers_like_the_reference(numbers: list[str | None]) -> None:
    rows: list[dict[str, str | None]] = [{"item_id": "i", "price": text} for text in numbers]
    expected = [validate_item(row, KNOWN_AT) for row in rows]
    _compare(validated(DataType.ITEMS, rows, ["item_id", "price"]), expected, "timestamp")


def test_one_column_feeds_two_fields_through_a_value_map() -> None:
    mapping = SourceMapping(
        columns={"rating": "stars", "interaction_type": "stars"},
        values={"interaction_type": {"5": "like", "3": "view", "1": "dislike"}},
        timestamps={"timestamp": TimestampFormat(unit="s")},
    )
    rows = [
        {"user_id": "u", "item_id": "i", "stars": stars, "timestamp": "1700000000.0"}
        for stars in ("5", "3", "1", "2")
    ]
    found = validated(DataType.INTERACTIONS, rows, list(rows[0]), mapping)

    assert found.accepted["interaction_type"].to_list() == ["like", "view", "dislike"]
    assert found.accepted["rating"].to_list() == [5.0, 3.0, 1.0]
    assert found.reasons.select("row", "code", "column").rows() == [
        (3, "unknown_interaction_type", "stars")
    ]


def test_constants_win_and_columns_without_a_use_are_ignored() -> None:
    mapping = SourceMapping(constants={"interaction_type": "click", "location": "shop"})
    rows = [
        {"user_id": "u", "item_id": "i", "interaction_type": "x", "timestamp": "1700000000000"}
        | {"unused": "\x00"}
    ]
    found = validated(DataType.INTERACTIONS, rows, list(rows[0]), mapping)

    assert found.accepted.select("interaction_type", "location").rows() == [("click", "shop")]


def test_missing_columns_are_all_named_as_the_file_would_name_them() -> None:
    mapping = SourceMapping(columns={"user_id": "customer"})
    with pytest.raises(FileRefusedError) as caught:
        Validator(DataType.INTERACTIONS, mapping, TenantSettings(), ["item_id", "x"])
    assert caught.value.columns == ("customer", "interaction_type", "timestamp")
    assert "customer (for user_id)" in caught.value.message


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param(SourceMapping(columns={"userid": "u"}), id="unknown field"),
        pytest.param(
            SourceMapping(timestamps={"timestamp": TimestampFormat(format="%Q%%%")}),
            id="unusable format",
        ),
        pytest.param(SourceMapping(columns={"rating": "stars"}), id="mapped column not there"),
    ],
)
def test_mapping_that_cannot_be_used_is_refused(mapping: SourceMapping) -> None:
    columns = ["user_id", "item_id", "interaction_type", "timestamp"]
    with pytest.raises(FileRefusedError):
        Validator(DataType.INTERACTIONS, mapping, TenantSettings(), columns)


def test_tenants_range_holds_for_events_and_not_for_catalogue_dates() -> None:
    settings_ = TenantSettings(time_range=TimeRange(start=datetime(1990, 1, 1)))
    old = "881250949000"
    row: dict[str, str | None] = {
        "user_id": "u",
        "item_id": "i",
        "interaction_type": "view",
        "timestamp": old,
    }
    frame = pl.DataFrame([row])
    narrow = Validator(DataType.INTERACTIONS, SourceMapping(), TenantSettings(), frame.columns)
    wide = Validator(DataType.INTERACTIONS, SourceMapping(), settings_, frame.columns)
    item = pl.DataFrame([{"item_id": "i", "available_from": old}])
    catalogue = Validator(DataType.ITEMS, SourceMapping(), TenantSettings(), item.columns)

    assert narrow.validate(frame, KNOWN_AT).accepted.height == 0
    assert wide.validate(frame, KNOWN_AT).accepted.height == 1
    assert catalogue.validate(item, KNOWN_AT).accepted.height == 1


@pytest.mark.parametrize("is_tidy", [True, False])
def test_promise_of_tidy_texts_hides_nothing_that_the_mapping_adds(is_tidy: bool) -> None:
    mapping = SourceMapping(constants={"session_id": "s\u200b"})
    columns = ["user_id", "item_id", "interaction_type", "timestamp"]
    frame = pl.DataFrame([["u", "i", "view", "1700000000000"]], schema=columns, orient="row")
    validator = Validator(DataType.INTERACTIONS, mapping, TenantSettings(), columns)
    found = validator.validate(frame, KNOWN_AT, Traits(is_tidy=is_tidy, is_solid=is_tidy))

    assert found.warnings["code"].to_list() == ["invisible_character"]


def test_fault_of_the_reader_stands_for_everything_else_of_its_row() -> None:
    columns = ["user_id", "item_id", "interaction_type", "timestamp"]
    rows = [["u", "i", "view", "1700000000000"], [None] * 4, ["u", "", "view", "1700000000000"]]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    fault = pl.DataFrame([[1, "ragged_row", "", "", "m"]], schema=REASON_SCHEMA, orient="row")
    everything = SourceMapping(constants=dict(zip(columns, rows[0], strict=True)))
    for mapping, wrong in (
        (SourceMapping(), [(1, "ragged_row"), (2, "missing_value")]),
        (everything, [(1, "ragged_row")]),
    ):
        validator = Validator(DataType.INTERACTIONS, mapping, TenantSettings(), columns)
        found = validator.validate(frame, KNOWN_AT, faults=fault)
        assert found.reasons.select("row", "code").rows() == wrong
        assert 1 not in found.accepted["row"].to_list()


def test_both_zeros_are_one_rating() -> None:
    rows: list[dict[str, str | None]] = [
        {
            "user_id": "u",
            "item_id": "i",
            "interaction_type": "view",
            "timestamp": "1700000000000",
            "rating": zero,
        }
        for zero in ("0", "-0", "-0.0")
    ]
    found = validated(DataType.INTERACTIONS, rows, list(rows[0]))

    assert found.accepted["event_id"].n_unique() == 1


def _compare(found: Validated, expected: list[Outcome], time_column: str) -> None:
    wrong = found.reasons.select("row", "field", "code").rows()
    assert wrong == [(n, *w) for n, outcome in enumerate(expected) for w in outcome.wrong]
    odd = found.warnings.select("row", "field", "code").rows()
    assert odd == [(n, *o) for n, outcome in enumerate(expected) for o in outcome.odd]
    good = [(n, outcome.values) for n, outcome in enumerate(expected) if not outcome.wrong]
    assert found.accepted["row"].to_list() == [n for n, _ in good]
    for row, (_, values) in zip(found.accepted.iter_rows(named=True), good, strict=True):
        for name, value in values.items():
            assert row[time_column if name == "timestamp" else name] == value, name
