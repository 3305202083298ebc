"""Draws new negatives for the positives of a batch, never rejecting a draw.

The way of the models (docs/negative-sampling.md): items are ranked by (hour, id), so those
available at a time are a prefix of N ranks; the ranks a user knows are holes in it. A position
among what is left becomes a rank by adding the holes before it. All of it is whole numbers.

What is known of a user: the items of the positives and explicit negatives in the opened rows, and
the pairs that were given. The models know the views and later interactions too, which a training
set does not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eta_data.encoders import Encoder, Encoders
from eta_data.errors import DataError, OtherDataError
from eta_data.given import tenants_table, whole
from eta_data.memory import to_arrow, to_numpy
from eta_data.order import number
from eta_data.source import Reader

if TYPE_CHECKING:
    from eta_data.training_set import TrainingSet

ITEMS: Final = "negative_item_id"
PROBABILITIES: Final = "negative_probability"
NEEDED: Final = ("user_id", "event_time")
_USER: Final = "eta_data.user"
_AVAILABLE: Final = "eta_data.available"
_HOUR: Final = 3_600_000_000
_WEIGHT_UNIT: Final = 1 << 20

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """Draws `count` items per positive, as `TrainingSet.sampler` made it.

    Memory: 4 bytes per known pair, 8 more with popularity, and the ids of users and items once.
    """

    count: int
    alpha: float
    tenant: str
    snapshot: str
    content_hash: str
    """Of the set whose positives it draws for."""
    items: pa.Array
    """In order of rank."""
    available_at: Ints
    """Microseconds, by rank."""
    users: Encoder
    starts: Ints
    """Where each user's known ranks begin, and the end of the last."""
    known: NDArray[np.int32]
    """Known ranks, by user and rank."""
    weights_before: Ints | None
    """Weight of all items of lower rank, and of all; None: every item weighs the same."""
    known_weights_before: Ints | None
    item_codes: NDArray[np.int32] | None = None

    @property
    def digest(self) -> str:
        """A hash of all that draws are made from."""
        digest = hashlib.sha256(f"{self.count}|{self.alpha!r}".encode())
        for array in (self.available_at, self.starts, self.known, self.weights_before):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        for values in (self.items, self.users.values):
            for buffer in values.buffers():
                digest.update(b"" if buffer is None else buffer)
        return digest.hexdigest()

    def check(self, data: TrainingSet) -> None:
        """Raise `OtherDataError` when it was made of other data than this."""
        if (self.tenant, self.content_hash) != (data.tenant, data.manifest.content_hash):
            whose = "" if self.tenant == data.tenant else " of another tenant"
            raise OtherDataError(
                f"this sampler was made of snapshot {self.snapshot}{whose}, not of {data.snapshot}",
                remedy="make one of this set: `data.sampler(...)`",
            )

    def with_codes(self, encoders: Encoders | None) -> Sampler:
        """Return the sampler that gives items as the numbers that `item_id` gets, if it does."""
        encoder = encoders.of_column("item_id") if encoders else None
        if encoder is None:
            return self
        return replace(self, item_codes=to_numpy(encoder.codes(self.items)))

    def mark(self, rows: pa.Table) -> pa.Table:
        """Add what a draw needs of each row: its user's number and how many items there were."""
        user = self.users.codes(rows.column("user_id").combine_chunks())
        times = to_numpy(rows.column("event_time").cast(pa.int64()))
        available = np.searchsorted(self.available_at, times - times % _HOUR, "right")
        found = rows.append_column(_USER, user)
        return found.append_column(_AVAILABLE, to_arrow(available.astype(np.int64)))

    def draw(self, rows: pa.RecordBatch, key: tuple[object, ...], first: int) -> pa.RecordBatch:
        """Put `negative_item_id` and `negative_probability`, lists, in place of the marks.

        `first` is the position of the first row: draws depend on it and the key alone.
        """
        user, available = (to_numpy(rows.column(name)) for name in (_USER, _AVAILABLE))
        positions = np.arange(first, first + rows.num_rows, dtype=np.uint64)
        noise = _noise(number(*key, "negatives"), positions, self.count + 1)
        start, stop = self.starts[user - 1], self.starts[user]
        start = np.where(user > 0, start, 0)
        stop = np.where(user > 0, stop, 0)
        if self.weights_before is None:
            ranks, chances, drawn = self._uniform(start, stop, available, noise)
        else:
            ranks, chances, drawn = self._weighted(start, stop, available, noise)
        is_drawn = np.arange(self.count)[None, :] < drawn[:, None]
        offsets = to_arrow(np.concatenate([[0], np.cumsum(drawn)]).astype(np.int32))
        chosen = ranks[is_drawn]
        if self.item_codes is None:
            values = self.items.take(to_arrow(chosen))
        else:
            values = to_arrow(self.item_codes[chosen])
        kept = rows.drop_columns([_USER, _AVAILABLE])
        kept = kept.append_column(ITEMS, pa.ListArray.from_arrays(offsets, values))
        shown = to_arrow(chances[is_drawn])
        return kept.append_column(PROBABILITIES, pa.ListArray.from_arrays(offsets, shown))

    def _uniform(
        self, start: Ints, stop: Ints, available: Ints, noise: NDArray[np.uint64]
    ) -> tuple[Ints, NDArray[np.float64], Ints]:
        """Draw min(count, M) different items of the M, each with the same probability."""
        eligible = available - self._at_most(start, stop, available - 1, gaps=False)
        drawn = np.minimum(self.count, eligible)
        at_least_one = np.maximum(eligible, 1)[:, None]
        parts = np.maximum(drawn, 1)[:, None]
        bounds = np.arange(self.count + 1)[None, :] * at_least_one // parts
        widths = np.maximum(np.diff(bounds, axis=1), 1).astype(np.uint64)
        offset = (noise[:, -1:] % at_least_one.astype(np.uint64)).astype(np.int64)
        places = bounds[:, :-1] + (noise[:, :-1] % widths).astype(np.int64) + offset
        places %= at_least_one
        shape = places.shape
        first, last = _wide(shape, start, stop)
        holes = self._at_most(first, last, places.ravel(), gaps=True)
        ranks = places + holes.reshape(shape)
        return ranks, np.broadcast_to(drawn[:, None] / at_least_one, shape), drawn

    def _weighted(
        self, start: Ints, stop: Ints, available: Ints, noise: NDArray[np.uint64]
    ) -> tuple[Ints, NDArray[np.float64], Ints]:
        """Draw `count` times, each time every eligible item with weight / total weight."""
        before, held = self.weights_before, self.known_weights_before
        assert before is not None
        assert held is not None
        below = self._at_most(start, stop, available - 1, gaps=False)
        total = before[available] - (held[start + below] - held[start])
        places = (noise[:, :-1] % np.maximum(total, 1)[:, None].astype(np.uint64)).astype(np.int64)
        shape = places.shape
        first, last = _wide(shape, start, stop)
        holes = _bisect(
            first, last, places.ravel(), lambda j: before[self.known[j]] - (held[j] - held[first])
        )
        skipped = (held[first + holes] - held[first]).reshape(shape)
        ranks = np.searchsorted(before, places + skipped, "right") - 1
        ranks = np.minimum(ranks, len(self.items) - 1)
        chances = (before[ranks + 1] - before[ranks]) / np.maximum(total, 1)[:, None]
        return ranks, chances, np.where(total > 0, self.count, 0)

    def _at_most(self, start: Ints, stop: Ints, limit: Ints, *, gaps: bool) -> Ints:
        """Count the known ranks, or their gap positions, that are at most a limit."""
        if gaps:
            return _bisect(start, stop, limit, lambda j: self.known[j] - (j - start))
        return _bisect(start, stop, limit, lambda j: self.known[j])


def _bisect(start: Ints, stop: Ints, limit: Ints, value: object) -> Ints:
    """Return per row how many j in [start, stop) have value(j) <= limit; values must not fall."""
    low, high = start.copy(), stop.copy()
    longest = int((stop - start).max(initial=0))
    if not longest:
        return np.zeros(len(start), np.int64)
    assert callable(value)
    for _ in range(longest.bit_length()):
        is_open = low < high
        middle = np.where(is_open, (low + high) // 2, np.maximum(stop - 1, 0))
        is_low = is_open & (value(middle) <= limit)
        high = np.where(is_open & ~is_low, middle, high)
        low = np.where(is_low, middle + 1, low)
    return low - start


def _wide(shape: tuple[int, ...], *columns: Ints) -> tuple[Ints, ...]:
    return tuple(np.repeat(column, shape[1]) for column in columns)


def _noise(key: int, positions: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return 64 random bits for each position and draw: SplitMix64, counted from the key.

    Reduced modulo M below: off from uniform by less than M / 2^64.
    """
    draws = positions[:, None] * np.uint64(count) + np.arange(count, dtype=np.uint64)[None, :]
    mixed = np.uint64(key) + (draws + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def make_sampler(
    data: TrainingSet,
    catalogue: pa.Table,
    known: pa.Table | None,
    *,
    count: int,
    alpha: float,
) -> Sampler:
    """Return a sampler of a set: one pass over its users, one over users and items."""
    count = whole("count", count, 1)
    if not 0 <= alpha <= 4:
        raise DataError(f"alpha is {alpha}", remedy="it is from 0, which is uniform, to 4")
    ids = {name: data.schema.field(name) for name in data.source.columns(["user_id", "item_id"])}
    moments = pa.schema([ids["item_id"], ("available_at", _moment(catalogue))])
    items, available_at = _ranked(tenants_table("catalogue", catalogue, moments, data.tenant))
    if known is not None:
        known = tenants_table("known", known, pa.schema(list(ids.values())), data.tenant)
    users = Encoders.fit(data, {"user": "user_id"})["user"]
    ranks = Encoder((), items)
    pairs: list[Ints] = []
    taken = np.zeros(len(items) + 1, np.int64)
    for user_ids, item_ids, is_positive in _interactions(data, known):
        user, item = (
            to_numpy(encoder.codes(ids)).astype(np.int64)
            for encoder, ids in ((users, user_ids), (ranks, item_ids))
        )
        taken += np.bincount(item[is_positive], minlength=len(taken))
        is_known = (user > 0) & (item > 0)
        pairs.append(np.unique((user[is_known] - 1) * len(items) + item[is_known] - 1))
    found = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
    starts = np.searchsorted(found, np.arange(users.size) * len(items))
    held = (found % max(len(items), 1)).astype(np.int32)
    weights = None
    if alpha:
        weights = np.rint((1.0 + taken[1:]) ** alpha * _WEIGHT_UNIT).astype(np.int64)
        if float(weights.sum(dtype=np.float64)) > 2**62:
            raise DataError("the weights of the items are too large", remedy="lower alpha")
    return Sampler(
        count=count,
        alpha=alpha,
        tenant=data.tenant,
        snapshot=data.snapshot,
        content_hash=data.manifest.content_hash,
        items=items,
        available_at=available_at,
        users=users,
        starts=starts.astype(np.int64),
        known=held,
        weights_before=None if weights is None else _before(weights),
        known_weights_before=None if weights is None else _before(weights[held]),
    )


def _before(weights: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(weights)]).astype(np.int64)


def _ranked(catalogue: pa.Table) -> tuple[pa.Array, Ints]:
    """Return the items by (hour of availability, id), and the hours in microseconds."""
    rows = catalogue.drop_null()
    hours = to_numpy(rows.column("available_at").cast(pa.int64())) // _HOUR * _HOUR
    found = pa.table({"item_id": rows.column("item_id"), "hour": to_arrow(hours)})
    found = found.sort_by([("hour", "ascending"), ("item_id", "ascending")])
    items = found.column("item_id").combine_chunks()
    if not len(items) or len(items.unique()) != len(items):
        raise DataError(
            "the catalogue is empty, or has an item twice", remedy="give one row per item"
        )
    return items, to_numpy(found.column("hour"))


def _moment(catalogue: Any) -> pa.DataType:
    """Return the type of `available_at` in microseconds; a time without a zone is in UTC."""
    names = catalogue.column_names if isinstance(catalogue, pa.Table) else []
    kind = catalogue.schema.field("available_at").type if "available_at" in names else None
    return pa.timestamp("us", tz="UTC" if getattr(kind, "tz", None) else None)


def _interactions(
    data: TrainingSet, known: pa.Table | None
) -> Iterable[tuple[pa.Array, pa.Array, NDArray[np.bool_]]]:
    """Yield users, items and whether it is a positive, of all pairs that are known."""
    source = data.source
    columns = source.columns(["user_id", "item_id", "label", "draw_index"])
    reader = Reader(source, columns)
    for block in source.blocks():
        for piece in reader.pieces(block):
            rows = piece.filter(to_arrow(to_numpy(piece.column(3)) == 0))
            is_positive = to_numpy(rows.column(2)) == 1.0
            yield rows.column(0), rows.column(1), is_positive
    if known is not None:
        pairs = known.drop_null()
        none = np.zeros(pairs.num_rows, np.bool_)
        yield pairs.column(0).combine_chunks(), pairs.column(1).combine_chunks(), none
