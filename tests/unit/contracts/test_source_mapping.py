"""What a source mapping may say, what it says for a data type, and how it survives storage."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings, TimestampFormat
from lakehouse.control.tenants import settings_document

SHOP = """
sources:
  shop:
    delimiter: "::"
    time_zone: Europe/Berlin
    columns: {item_id: sku, price: cost}
    data_types:
      interactions:
        columns: {user_id: customer}
        timestamps: {timestamp: {unit: iso}}
      items:
        decimal: ","
        columns: {item_id: article}
"""


def mapping(text: str) -> SourceMapping:
    return SourceMapping.model_validate(yaml.safe_load(text))


def problem(text: str) -> str:
    with pytest.raises(ValidationError) as raised:
        mapping(text)
    return str(raised.value.errors()[0]["msg"])


def test_one_source_says_something_else_for_each_data_type() -> None:
    settings = TenantSettings.model_validate(yaml.safe_load(SHOP))
    events = settings.mapping("shop", DataType.INTERACTIONS)
    assert events.columns == {"item_id": "sku", "user_id": "customer"}
    assert events.timestamp("timestamp").time_zone == "Europe/Berlin"
    assert (events.delimiter, events.decimal) == ("::", ".")
    items = settings.mapping("shop", DataType.ITEMS)
    assert items.columns == {"item_id": "article", "price": "cost"}
    assert (items.delimiter, items.decimal) == ("::", ",")
    assert settings.mapping("shop", DataType.CLICKSTREAM).columns == {"item_id": "sku"}


def test_what_a_section_leaves_out_is_as_the_source_has_it_when_it_was_stored() -> None:
    settings = TenantSettings.model_validate(yaml.safe_load(SHOP))
    stored = TenantSettings.model_validate(
        yaml.safe_load(yaml.safe_dump(settings_document(settings)))
    )
    assert stored == settings
    for data_type in DataType:
        assert stored.mapping("shop", data_type) == settings.mapping("shop", data_type)


def test_without_sections_an_unknown_field_stays_to_be_refused() -> None:
    assert mapping("columns: {price: cost}").of(DataType.INTERACTIONS).columns == {"price": "cost"}
    mistyped = mapping("data_types: {items: {columns: {prize: cost}}}")
    assert mistyped.of(DataType.ITEMS).columns == {"prize": "cost"}


def test_a_zone_for_all_leaves_numbers_and_own_zones_alone() -> None:
    told = SourceMapping(
        time_zone="Europe/Berlin",
        timestamps={
            "timestamp": TimestampFormat(unit="s"),
            "updated_at": TimestampFormat(unit="iso", time_zone="Asia/Tokyo"),
            "available_from": TimestampFormat(format="%Y-%m-%d"),
        },
    )
    zones = {name: told.timestamp(name).time_zone for name in told.timestamps}
    assert zones == {
        "timestamp": None,
        "updated_at": "Asia/Tokyo",
        "available_from": "Europe/Berlin",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("values: {interaction_type: {5: like}}", "key of entry 1", id="number"),
        pytest.param("values: {interaction_type: {yes: like}}", "boolean", id="boolean"),
        pytest.param("values: {interaction_type: {'5': on}}", "value of entry 1", id="value"),
        pytest.param("constants: {rating: 5}", "a number", id="constant"),
        pytest.param("constants: {title: 2026-01-01}", "a date", id="date"),
        pytest.param("null_values: ['NA', 0]", "entry 2", id="entry of a list"),
        pytest.param("names: [no, ja]", "boolean", id="name of a column"),
        pytest.param("header: none\nnames: [1, 2]", "a number", id="numbers for names"),
    ],
)
def test_what_yaml_makes_no_text_of_is_to_be_quoted(text: str, told: str) -> None:
    message = problem(text)
    assert told in message
    assert "quote it" in message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("header: none", id="no names"),
        pytest.param("header: 0", id="a header of no line"),
        pytest.param("{header: none, names: [a, a]}", id="a name twice"),
        pytest.param("{comment: ';', delimiter: ';'}", id="the delimiter begins comments"),
        pytest.param('{quote: "\'", comment: "\'"}', id="the quote begins comments"),
        pytest.param('{quote: "\'", delimiter: "\',\'"}', id="a quote in the delimiter"),
        pytest.param("delimiter: '123456789'", id="a delimiter of nine characters"),
        pytest.param('delimiter: "\\n"', id="a line end between fields"),
        pytest.param("thousands: '.'", id="one mark for thousands and decimals"),
        pytest.param("time_zone: CET+1", id="no zone"),
        pytest.param("quote: '`'", id="another quote"),
        pytest.param("data_types: {orders: {}}", id="an unknown data type"),
        pytest.param("data_types: {items: {data_types: {}}}", id="sections within one"),
        pytest.param(
            "{thousands: ',', data_types: {items: {decimal: ','}}}", id="one mark in a section"
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(text: str) -> None:
    assert problem(text)


@pytest.mark.parametrize(
    ("given", "meant"), [("tab", "\t"), ("\\t", "\t"), ("::", "::"), ("¦", "¦"), (" ", " ")]
)
def test_a_delimiter_may_have_a_name_and_several_characters(given: str, meant: str) -> None:
    assert SourceMapping(delimiter=given).delimiter == meant


def test_what_rows_of_json_have_no_use_for_is_named() -> None:
    settings: dict[str, Any] = {"delimiter": ";", "skip_lines": 2, "decimal": ",", "quote": '"'}
    assert SourceMapping.model_validate(settings).file_settings == ("delimiter", "skip_lines")
    assert SourceMapping().file_settings == ()
