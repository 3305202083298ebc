"""The arithmetic of the order: every position once, equal shards, whatever the sizes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eta_data import DataError
from eta_data.order import Layout, Remainder, Shard, Turned, permutation, shares
from tests.support.examples import examples

LAYOUTS = st.builds(
    Layout,
    units=st.integers(0, 400),
    batch_size=st.integers(1, 40),
    window_units=st.integers(1, 100),
    streams=st.integers(1, 9),
)


def positions(layout: Layout, batch: int) -> range:
    """Where a batch's units lie on the line of the epoch."""
    stream, window, place = layout.place(batch)
    start, stop = layout.window(stream, window)
    first = start + place * layout.batch_size
    return range(first, min(first + layout.batch_size, stop))


@given(LAYOUTS)
@settings(max_examples=examples(600))
def test_batches_of_an_epoch_have_every_position_once(layout: Layout) -> None:
    batches = [positions(layout, number) for number in range(layout.batches)]
    assert sorted(p for batch in batches for p in batch) == list(range(layout.units))
    assert all(len(batch) == layout.batch_size for batch in batches[:-1])


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
@settings(max_examples=examples(600))
def test_every_window_has_its_share_of_each_stratum(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    cuts = sorted(data.draw(st.lists(st.integers(0, total), max_size=12)))
    taken = [shares(position, sizes) for position in [0, *cuts, total]]
    assert taken[0] == [0] * len(sizes)
    assert taken[-1] == sizes
    for position, found in zip([0, *cuts, total], taken, strict=True):
        assert sum(found) == position
        for size, share in zip(sizes, found, strict=True):
            assert not total or abs(share - position * size / total) <= len(sizes)
    for earlier, later in pairwise(taken):
        assert all(b >= a for a, b in zip(earlier, later, strict=True))


@given(
    LAYOUTS,
    st.integers(1, 9),
    st.sampled_from(["drop", "pad", "keep"]),
    st.integers(0, 20),
)
@settings(max_examples=examples(600))
def test_shards_are_equal_and_what_they_cost_is_counted(
    layout: Layout, ranks: int, remainder: Remainder, start: int
) -> None:
    start = min(start, layout.batches)
    shards = [Shard(layout, rank, ranks, remainder, start) for rank in range(ranks)]
    given_out = [s.batch(step) for s in shards for step in range(s.steps)]
    real = [positions(layout, b) for b in given_out if b < layout.batches]
    handed = sum(map(len, real))
    left = layout.units - min(start * layout.batch_size, layout.units)
    assert len(given_out) == len(set(given_out))
    assert handed + shards[0].dropped == left
    if remainder == "keep":
        assert handed == left
        assert max(s.steps for s in shards) - min(s.steps for s in shards) <= 1
        return
    assert len({s.steps for s in shards}) == 1
    whole = len(given_out) * layout.batch_size
    assert whole == handed + shards[0].repeated
    if remainder == "pad":
        assert handed == left
        assert shards[0].repeated < ranks * layout.batch_size
    else:
        assert shards[0].dropped < ranks * layout.batch_size or not left


def test_a_permutation_is_a_function_of_its_key() -> None:
    """These numbers never change: a state that was saved says where it stands in them."""
    assert permutation(8, 7, 0, "row groups", 0).tolist() == [5, 2, 0, 3, 1, 7, 4, 6]
    assert sorted(permutation(1000, 1).tolist()) == list(range(1000))
    first = np.array([permutation(3, seed).tolist() for seed in range(6000)])
    for column in first.T:
        counts = np.bincount(column, minlength=3)
        assert ((counts - 2000) ** 2 / 2000).sum() < 20


def test_a_window_has_a_turned_order_of_its_own() -> None:
    turned = Turned(1000, 7, 0)
    orders = [turned.order(1000, stream, window) for stream in range(3) for window in range(3)]
    assert all(sorted(order.tolist()) == list(range(1000)) for order in orders)
    assert len({order.tobytes() for order in orders}) == len(orders)
    assert np.array_equal(Turned(1000, 7, 0).order(1000, 2, 2), orders[-1])
    assert sorted(turned.order(30, 0, 9).tolist()) == list(range(30))


def test_each_row_of_a_window_comes_at_each_place_as_often() -> None:
    first = np.array([Turned(3, seed).order(3, 1, 2).tolist() for seed in range(6000)])
    for column in first.T:
        counts = np.bincount(column, minlength=3)
        assert ((counts - 2000) ** 2 / 2000).sum() < 20
    turned = Turned(10, 7)
    leading = np.bincount([turned.order(10, 0, n)[0] for n in range(5000)], minlength=10)
    assert ((leading - 500) ** 2 / 500).sum() < 35


@pytest.mark.parametrize("name", ["batch_size", "window_units", "streams"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = {"units": 5, "batch_size": 1, "window_units": 1, "streams": 1}
    with pytest.raises(DataError, match=f"{name} is 0"):
        Layout(**{**sizes, name: 0})


@pytest.mark.parametrize(("rank", "ranks", "word"), [(2, 2, "drop"), (-1, 1, "drop"), (0, 1, "x")])
def test_a_rank_or_a_remainder_that_is_none_is_refused(rank: int, ranks: int, word: Any) -> None:
    with pytest.raises(DataError, match=r"is none|is unknown"):
        Shard(Layout(5, 1, 1, 1), rank, ranks, word)
