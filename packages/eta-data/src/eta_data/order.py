"""The one order of a set's rows per (seed, epoch): arithmetic on positions, nothing is read.

The row groups of each folder (each label, say) are permuted: a *stratum*. The epoch is a line of N
positions, divided into `streams` runs of whole batches; each run is divided into windows. A window
takes from each stratum its share of rows, those that come next there, and shuffles them. Batch b is
the next one of stream b mod `streams`. So every batch has the labels in the set's proportion, a
reader holds one window per stream, and where batch b lies follows from b alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from eta_data.errors import DataError

Remainder = Literal["drop", "pad", "keep"]

LARGEST_SEED: Final = 1 << 63


def permutation(count: int, *key: object) -> NDArray[np.int64]:
    """Return a permutation of 0 … count - 1 that is a function of the key alone.

    `RandomState` is frozen by numpy's policy: no release changes what it gives.
    """
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    state = np.random.RandomState(np.frombuffer(digest, "<u4"))
    return state.permutation(count).astype(np.int64, copy=False)


class Turned:
    """Orders of windows: one permutation, turned for each window by a number of its own.

    To make a permutation for each window takes half as long as decoding its rows.
    """

    def __init__(self, size: int, *key: object) -> None:
        self._size, self._key = size, key
        self._twice = np.tile(permutation(size, *key), 2)

    def order(self, count: int, *place: object) -> NDArray[np.int64]:
        """Return the order of a window's rows, at most `size`; a function of the keys alone."""
        start = number(*self._key, *place) % self._size
        turned = self._twice[start : start + self._size]
        return turned if count == self._size else turned[turned < count]


def number(*key: object) -> int:
    """Return 64 bits that are a function of the key alone."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:8], "little")


def shares(position: int, sizes: Sequence[int]) -> list[int]:
    """Return how many of the first `position` rows are of each stratum.

    Never falls as `position` grows, sums to `position`, ends in `sizes`, and is within one row per
    stratum of the exact proportion.
    """
    taken, left, total = [], position, sum(sizes)
    for size in sizes:
        share = left * size // total if total else 0
        taken.append(share)
        left -= share
        total -= size
    return taken


@dataclass(frozen=True, slots=True)
class Layout:
    """How the positions of an epoch are divided. Units are rows, or groups of rows."""

    units: int
    batch_size: int
    window_units: int
    """Asked for; a window is as many whole batches as fit, and one at least."""
    streams: int

    def __post_init__(self) -> None:
        """Refuse sizes that are no sizes."""
        for name in ("batch_size", "window_units", "streams"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}", remedy="give 1 or more")

    @property
    def batches(self) -> int:
        """Batches of an epoch, a last one that is not full included."""
        return -(-self.units // self.batch_size)

    @property
    def batches_per_window(self) -> int:
        """Whole batches that a window holds."""
        return max(1, self.window_units // self.batch_size)

    def _batches_before(self, stream: int) -> int:
        """Return how many batches the streams before this one have."""
        whole, rest = divmod(self.batches, self.streams)
        return whole * stream + min(stream, rest)

    def stream_start(self, stream: int) -> int:
        """Return the first position of a stream; of `streams`, the number of positions."""
        start = self._batches_before(stream) * self.batch_size
        # the epoch's last batch ends its stream, and may not be full
        is_after_last = self.batches and stream > (self.batches - 1) % self.streams
        return start - (self.batches * self.batch_size - self.units if is_after_last else 0)

    def place(self, batch: int) -> tuple[int, int, int]:
        """Return where a batch lies: its stream, its window there and its number in the window."""
        number_in_stream, stream = divmod(batch, self.streams)
        window, place = divmod(number_in_stream, self.batches_per_window)
        return stream, window, place

    def window(self, stream: int, window: int) -> tuple[int, int]:
        """Return the first position of a window and the one behind its last."""
        size = self.batches_per_window * self.batch_size
        start = self.stream_start(stream) + window * size
        return start, min(start + size, self.stream_start(stream + 1))


@dataclass(frozen=True, slots=True)
class Shard:
    """Which batches a rank gets from a batch of the epoch on, and what equal shards cost.

    Rank r gets the batches start + r, start + r + ranks, …: in turn, so that a step of all ranks is
    a run of batches, whatever their number.
    """

    layout: Layout
    rank: int
    ranks: int
    remainder: Remainder
    start: int = 0

    def __post_init__(self) -> None:
        """Refuse a rank that is none, and a word for the remainder that is none."""
        if not 0 <= self.rank < self.ranks:
            raise DataError(
                f"rank {self.rank} of {self.ranks} is none", remedy="ranks count from 0"
            )
        if self.remainder not in ("drop", "pad", "keep"):
            raise DataError(
                f"remainder {self.remainder!r} is unknown", remedy='give "drop", "pad" or "keep"'
            )

    @property
    def steps(self) -> int:
        """Batches that this rank gets; the same for every rank unless the remainder is kept."""
        layout = self.layout
        if self.remainder == "drop":
            left = layout.units // layout.batch_size - self.start
            return max(0, left) // self.ranks
        left = max(0, layout.batches - self.start)
        if self.remainder == "keep":
            return max(0, -(-(left - self.rank) // self.ranks))
        return -(-left // self.ranks)

    @property
    def dropped(self) -> int:
        """Units from `start` on that no rank gets."""
        if self.remainder != "drop":
            return 0
        layout = self.layout
        left = layout.units - min(self.start * layout.batch_size, layout.units)
        return left - self.steps * self.ranks * layout.batch_size

    @property
    def repeated(self) -> int:
        """Units that some rank gets although they were given out before in this epoch."""
        if self.remainder != "pad":
            return 0
        layout = self.layout
        left = layout.units - min(self.start * layout.batch_size, layout.units)
        return self.steps * self.ranks * layout.batch_size - left

    def batch(self, step: int) -> int:
        """Return the number of the batch of a step; past the epoch's last, padding is meant."""
        return self.start + step * self.ranks + self.rank
