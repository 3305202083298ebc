"""Texts are found among many as Arrow finds them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eta_data import Encoder, encoders
from eta_data.lookup import Lookup, hashes
from tests.support.examples import examples

TEXTS = st.lists(st.text(max_size=12), min_size=1, max_size=40, unique=True)


@given(TEXTS, st.lists(st.none() | st.text(max_size=12), max_size=40), st.integers(0, 5))
@settings(max_examples=examples(300), deadline=None)
def test_a_place_is_the_one_that_arrow_finds(
    values: list[str], others: list[str | None], skip: int
) -> None:
    held = pa.array(values, pa.string())
    wanted = pa.array([*others, *values[::2]], pa.string()).slice(skip)
    lookup = Lookup(held)
    assert lookup.is_exact
    expected = pc.index_in(wanted, value_set=held).fill_null(-1)
    assert lookup.places(wanted).tolist() == expected.to_pylist()


def test_a_hash_is_that_of_the_text_wherever_it_stands() -> None:
    column = pa.array(["b", None, "a", "", "ab", "ba", "a"])
    found = hashes(column)
    assert found[2] == found[6] == hashes(pa.array(["a"]))[0]
    assert np.array_equal(hashes(column.slice(4)), found[4:])
    many = pa.array([f"{number:x}-{number % 97}" for number in range(100_000)])
    assert len(np.unique(hashes(many))) == len(many)


def test_many_and_few_values_get_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    values = pa.array(sorted(f"item-{number}" for number in range(500)))
    column = pa.array([["item-7", None], None, ["item-499", "x"], []])
    few = Encoder(("item_id",), values).codes(column)
    monkeypatch.setattr(encoders, "_FEW", 10)
    many = Encoder(("item_id",), values)
    assert many._lookup is not None
    assert many.codes(column).equals(few)
    assert many.codes(column.values.dictionary_encode()).equals(few.values)
    assert many.codes(pa.array([], pa.string())).to_pylist() == []


def test_texts_with_one_hash_are_left_to_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_FEW", 1)
    monkeypatch.setattr("eta_data.lookup.hashes", lambda texts: np.zeros(len(texts), np.uint64))
    values = pa.array(["a", "b", "c"])
    assert Encoder(("item_id",), values).codes(pa.array(["c", "a"])).to_pylist() == [3, 1]
