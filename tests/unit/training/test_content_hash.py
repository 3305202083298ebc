"""Equal rows, equal hash; any other row, another hash."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.training.content_hash import ContentHash
from tests.support.lake import NOON
from tests.support.training import TRAINING_DATA, WEIGHTED_DATA, examples

ROWS = [{"tenant_id": "acme", **row} for row in examples(40)]


def frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=pl.Schema(TRAINING_DATA))


def hash_of(*pieces: list[dict]) -> str:
    counted = ContentHash()
    for piece in pieces:
        counted.update(frame(piece))
    return counted.hexdigest()


@settings(deadline=None)
@given(st.permutations(range(len(ROWS))), st.integers(0, len(ROWS)))
def test_order_and_pieces_do_not_matter(order: list[int], cut: int) -> None:
    shuffled = [ROWS[number] for number in order]
    assert hash_of(shuffled[:cut], shuffled[cut:]) == hash_of(ROWS)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("tenant_id", "other"),
        ("user_id", "other"),
        ("item_id", "other"),
        ("anchor_item_id", "other"),
        ("draw_index", 9),
        ("interaction_type", "like"),
        ("interaction_type", None),
        ("negative_type", "explicit"),
        ("label", 0.5),
        ("sampling_probability", 4 / 51),
        ("sampling_probability", None),
        ("event_time", NOON + timedelta(microseconds=1)),
    ],
)
def test_every_column_counts(column: str, value: object) -> None:
    held = {**ROWS[0], "event_time": NOON, "sampling_probability": 0.5}
    assert hash_of([{**held, column: value}]) != hash_of([held])


def test_a_boundary_between_columns_counts() -> None:
    """Joined by a separator that may stand in an id, these two would be one."""
    one = {**ROWS[0], "user_id": "a|b", "item_id": "c"}
    other = {**ROWS[0], "user_id": "a", "item_id": "b|c"}
    assert hash_of([one]) != hash_of([other])
    assert hash_of([{**one, "user_id": "1:b"}]) != hash_of([{**one, "user_id": "b"}])
    dash, nothing = {"interaction_type": "-"}, {"interaction_type": None}
    assert hash_of([{**ROWS[0], **dash}]) != hash_of([{**ROWS[0], **nothing}])


def test_a_row_that_stands_twice_counts() -> None:
    assert hash_of(ROWS, [ROWS[0]]) != hash_of(ROWS)
    assert hash_of(ROWS, [ROWS[0], ROWS[0]]) != hash_of(ROWS)


def test_a_weight_counts_where_it_is_not_one() -> None:
    """A set without weights has the hash that it had before there were any."""

    def weighing(*weights: float | None) -> str:
        rows = [{**row, "type_weight": weight} for row, weight in zip(ROWS, weights, strict=False)]
        counted = ContentHash()
        counted.update(pl.DataFrame(rows, schema=pl.Schema(WEIGHTED_DATA)))
        return counted.hexdigest()

    assert weighing(1.0, None) == hash_of(ROWS[:2])
    others = {weighing(2.0, 1.0), weighing(1.0, 2.0), weighing(2.5, 1.0), weighing(0.0, 1.0)}
    assert len(others | {hash_of(ROWS[:2])}) == 5


def test_where_a_negative_was_shown_counts_where_it_was() -> None:
    """A set without shown negatives has the hash that it had before there were any."""

    def shown(*places: int | None) -> str:
        rows = pl.DataFrame(ROWS[:2], schema=pl.Schema(TRAINING_DATA))
        counted = ContentHash()
        counted.update(rows.with_columns(shown_position=pl.Series(places, dtype=pl.Int32)))
        return counted.hexdigest()

    assert shown(None, None) == hash_of(ROWS[:2])
    assert len({shown(3, None), shown(None, 3), shown(4, None), hash_of(ROWS[:2])}) == 4


def test_nothing_is_all_zeros() -> None:
    assert hash_of() == "0" * 32
