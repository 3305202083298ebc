"""Identities: fixed for ever, and different for everything that differs."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.identity import event_ids, fingerprints, payload_text
from lakehouse.contracts.tenant import DataType

WHEN = datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=UTC)
TEXT = st.one_of(
    st.none(),
    st.text(alphabet=["a", "b", "\\", "\x1f", "u", "=", "i", "\0", "\u00e9"], max_size=4),
)


def interactions(**columns: object) -> pl.DataFrame:
    """One interaction with the contract's types."""
    row = {
        "user_id": "u1",
        "item_id": "i1",
        "interaction_type": "view",
        "event_time": WHEN,
        "rating": None,
        "device_type": None,
        "location": None,
        "session_id": None,
    } | columns
    types = {"event_time": pl.Datetime("us", "UTC"), "rating": pl.Float64}
    return pl.DataFrame(
        [row],
        schema_overrides=types
        | dict.fromkeys(
            ("user_id", "item_id", "interaction_type", "device_type", "location", "session_id"),
            pl.String,
        ),
    )


@pytest.mark.parametrize(
    ("frame", "event_id"),
    [
        pytest.param(interactions(), "1157bb73d14986d439f137c94278424b", id="required fields"),
        pytest.param(
            interactions(rating=4.5, device_type="ios", location="Bern, CH", session_id="s\\1"),
            "f32df6af66ae65202736f5a68af5de70",
            id="every field, one escaped",
        ),
        pytest.param(
            interactions(user_id="\u00fc\x1f\u4f60"),
            "0d911248809f60d598256da94c94382c",
            id="separator and Unicode",
        ),
    ],
)
def test_computed_ids_never_change(frame: pl.DataFrame, event_id: str) -> None:
    """Stored ids are compared with new ones for ever: a changed value here loses that."""
    assert _id(DataType.INTERACTIONS, frame) == event_id


def test_ids_of_catalogue_rows_never_change() -> None:
    frame = pl.DataFrame(
        {
            "item_id": ["i1"],
            "title": ["Tea"],
            "price": [Decimal("12.3400")],
            "is_active": [True],
            "attributes": ['{"a": 1}'],
            "updated_at": [WHEN],
        },
        schema_overrides={"price": pl.Decimal(18, 4), "updated_at": pl.Datetime("us", "UTC")},
    )
    state = frame.with_columns(updated_at=pl.lit(None, pl.Datetime("us", "UTC")))

    assert _id(DataType.ITEMS, frame) == "1d15f946f3dfdc53016bd0a226cff842"
    assert _id(DataType.ITEMS, state, is_state=True) == "8b9d570fd99e7c5e458502228335e128"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=2, max_size=6, unique=True))
def test_rows_that_differ_have_texts_that_differ(rows: list[tuple[str | None, ...]]) -> None:
    names = ["user_id", "item_id", "session_id"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")

    assert payload_text(DataType.INTERACTIONS, frame).n_unique() == len(rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_text_of_a_row_does_not_depend_on_its_neighbours(
    rows: list[tuple[str | None, ...]],
) -> None:
    schema = {"device_type": pl.String, "session_id": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    together = payload_text(DataType.INTERACTIONS, frame).to_list()
    alone = [payload_text(DataType.INTERACTIONS, frame.slice(n, 1))[0] for n in range(frame.height)]

    assert [text or "" for text in together] == [text or "" for text in alone]


def test_repeated_state_has_the_item_as_its_key() -> None:
    frame = pl.DataFrame({"item_id": ["i1", "i1"], "event_id": ["a", "b"]})
    payload = pl.Series(["x", "y"])
    states = fingerprints(DataType.ITEMS, frame, payload, pl.Series([True, True]))
    dated = fingerprints(DataType.ITEMS, frame, payload, None)

    assert states["key"].n_unique() == 1
    assert dated["key"].n_unique() == 2


def _id(data_type: DataType, frame: pl.DataFrame, *, is_state: bool = False) -> str:
    payload = payload_text(data_type, frame)
    states = pl.Series([True]) if is_state else None
    value: str = event_ids(payload, 1_700_000_000_000_000, states)[0]
    return value
