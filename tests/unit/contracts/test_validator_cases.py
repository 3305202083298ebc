"""Single things that the validator promises."""

from pathlib import Path

import polars as pl

from lakehouse.contracts import number_texts
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator
from tests.support.validating import KNOWN_AT, validated


def test_words_are_mapped_without_the_white_space_around_them() -> None:
    mapping = SourceMapping(
        values={"interaction_type": {"buy": "purchase", " look": "view", "look": "click"}}
    )
    columns = ["user_id", "item_id", "interaction_type", "timestamp"]
    rows: list[dict[str, str | None]] = [
        dict(zip(columns, ["u", "i", word, "1700000000000"], strict=True))
        for word in (" buy", "buy\t", " look", "look ", "like", "")
    ]
    found = validated(DataType.INTERACTIONS, rows, columns, mapping)

    kinds = ["purchase", "purchase", "view", "click", "like"]
    assert found.accepted["interaction_type"].to_list() == kinds
    assert found.reasons.select("row", "code").rows() == [(5, "missing_value")]


def test_a_row_that_repeats_the_header_is_refused_as_that() -> None:
    columns = ["item_id", "title", "category"]
    rows: list[list[str | None]] = [
        ["A", "t", "c"],
        ["item_id", "title", "category"],
        [" item_id", "title ", None],
        ["item_id", None, None],
        ["item_id", "title", "c"],
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    validator = Validator(DataType.ITEMS, SourceMapping(), TenantSettings(), columns)
    found = validator.validate(frame, KNOWN_AT)

    assert found.reasons.select("row", "code").rows() == [
        (1, "repeated_header"),
        (2, "repeated_header"),
        (4, "repeated_header"),
    ]
    assert found.accepted["row"].to_list() == [0, 3]


def test_a_decimal_comma_is_read_where_the_mapping_says_so() -> None:
    rows: list[dict[str, str | None]] = [
        {"item_id": "i", "price": text} for text in ("4,5", "4.5", "1.234,5", "7", "1,234,5")
    ]
    comma = validated(DataType.ITEMS, rows, ["item_id", "price"], SourceMapping(decimal=","))
    assert [str(price) for price in comma.accepted["price"]] == ["4.5000", "7.0000"]
    assert "decimal: ','" in comma.reasons["message"][0]
    point = validated(DataType.ITEMS, rows, ["item_id", "price"])
    assert [str(price) for price in point.accepted["price"]] == ["4.5000", "7.0000"]
    assert "decimal: ','" in point.reasons["message"][0]


def test_a_rating_fits_into_what_the_models_keep() -> None:
    """The bound is that of the cast in `ranked_arrivals.sql`."""
    model = Path("macros/staging/ranked_arrivals.sql").read_text()
    assert "cast(rating as decimal(18, 6)) as rating" in model
    below, places = 10.0 ** (18 - 6), 6
    assert (below, places) == (number_texts.RATING_BELOW, number_texts.RATING_PLACES)


def test_an_exponent_beyond_all_numbers_is_told() -> None:
    rows: list[dict[str, str | None]] = [{"item_id": "i", "price": "1e-99999999999999999999"}]
    found = validated(DataType.ITEMS, rows, ["item_id", "price"])
    codes = [*found.reasons["code"], *found.warnings["code"]]
    assert codes in (["bad_number"], ["rounded_number"])
