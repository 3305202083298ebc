"""Hands out the batches of an epoch to one of any number of ranks and workers, and can resume."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from eta_data.encoders import Encoders
from eta_data.errors import DataError, OtherDataError
from eta_data.given import whole
from eta_data.memory import scalar, to_numpy
from eta_data.negatives import ITEMS, NEEDED, PROBABILITIES, Sampler
from eta_data.order import LARGEST_SEED, Layout, Remainder, Shard
from eta_data.reading import Units
from eta_data.schema import refuse_taken
from eta_data.windows import GROUP_NUMBER, Windows

Batch = TypeVar("Batch")
_LOG: Final = logging.getLogger("eta_data")
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What the order of batches is a function of, besides the data and the epoch."""

    seed: int
    batch_size: int
    """Rows, or groups."""
    window_rows: int
    streams: int
    group: bool
    selection: str
    """Which rows: the split, and whether positives alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What is read and given out: it changes no order."""

    units: Units
    columns: tuple[str, ...]
    digest: str
    encoders: Encoders | None = None
    sampler: Sampler | None = None
    negatives: str | None = None
    """A hash of what the sampler draws from."""

    def schema(self, source: pa.Schema, *, group: bool) -> pa.Schema:
        """Return names and types of what is given out of rows of a source."""
        found = [self._given(source.field(name)) for name in self.columns]
        if group:
            found.append(pa.field(GROUP_NUMBER, pa.int32()))
        if self.sampler is not None:
            item = self.sampler.items.type if self.sampler.item_codes is None else pa.int32()
            found.append(pa.field(ITEMS, pa.list_(item)))
            found.append(pa.field(PROBABILITIES, pa.list_(pa.float64())))
        return pa.schema(found)

    def _given(self, field: pa.Field) -> pa.Field:
        if self.encoders is None or self.encoders.of_column(field.name) is None:
            return field
        code = pa.int32()
        return field.with_type(pa.list_(code) if pat.is_list(field.type) else code)


class Loader(Generic[Batch]):
    """Iterates over the rest of an epoch, then stands at the start of the next.

    For each (seed, epoch) there is one order of batches; rank r of R gets, from where the loader
    stands, every R-th batch beginning with the r-th. Every rank gets as many batches as the others
    unless the remainder is kept. A loader that was given `load_state_dict` goes on with the batch
    after the last one that was handed out, with the same or another number of ranks and workers.
    """

    def __init__(
        self,
        chosen: Chosen,
        order: Order,
        convert: Callable[[pa.RecordBatch], Batch],
        *,
        rank: int,
        ranks: int,
        remainder: Remainder,
    ) -> None:
        if not 0 <= order.seed < LARGEST_SEED:
            raise DataError(f"seed is {order.seed}", remedy="give a whole number from 0 on")
        units = sum(chosen.units.sizes)
        if not units:
            raise DataError(
                f"there is no row to read ({order.selection})",
                remedy="open another split, or read negatives too",
            )
        self._chosen = chosen
        self._order = order
        self._convert = convert
        self._layout = Layout(units, order.batch_size, order.window_rows, order.streams)
        self._rank, self._ranks, self._remainder = rank, ranks, remainder
        self._epoch = self._next = 0
        self._is_reported = False
        _ = self.shard

    @property
    def epoch(self) -> int:
        """The epoch whose batches are next."""
        return self._epoch

    @property
    def shard(self) -> Shard:
        """What this rank gets from here to the end of the epoch, and what nobody gets."""
        return Shard(self._layout, self._rank, self._ranks, self._remainder, self._next)

    def __len__(self) -> int:
        """Return how many batches this rank still gets in this epoch."""
        return self.shard.steps

    def set_epoch(self, epoch: int) -> None:
        """Stand at the start of an epoch."""
        self._epoch, self._next = whole("epoch", epoch, 0), 0

    def __iter__(self) -> Iterator[Batch]:
        """Yield this rank's batches from where the loader stands to the end of the epoch."""
        for batch in self.share(0, 1):
            self.advance()
            yield batch
        self.end_epoch()

    def share(self, worker: int, workers: int) -> Iterator[Batch]:
        """Yield what one of several workers reads: every `workers`-th batch of this rank.

        Taken in turn from the workers, the batches are those of the rank in order. Does not change
        where this loader stands: who takes the batches calls `advance` for each.
        """
        self._report()
        shard, windows = self.shard, self._windows()
        for step in range(worker, shard.steps, workers):
            yield self._convert(self._filled(windows, shard.batch(step)))

    def advance(self) -> None:
        """Count one batch of this rank as handed out, and those of the other ranks with it."""
        self._next += self._ranks

    def end_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self._epoch, self._next = self._epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader stands, as plain JSON; the same on every rank after a step."""
        return {
            "format": _FORMAT,
            "data": self._chosen.digest,
            "negatives": self._chosen.negatives,
            "order": asdict(self._order),
            "epoch": self._epoch,
            "next_batch": self._next,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where a loader stood; refuse the state of other data, or of another order."""
        try:
            version, data, order = state["format"], state["data"], dict(state["order"])
            epoch, following = state["epoch"], state["next_batch"]
            negatives = state.get("negatives")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _no_state() from error
        if version != _FORMAT or not _is_count(epoch) or not _is_count(following):
            raise _no_state()
        if data != self._chosen.digest:
            raise OtherDataError(
                "the state was saved over other files than those that are open now",
                remedy="open the same snapshot, from the same export or table, or start again",
            )
        if negatives != self._chosen.negatives:
            raise OtherDataError(
                "the state was saved with other new negatives than those that are drawn now",
                remedy="give `negatives=` a sampler of the same count, alpha, catalogue and known "
                "pairs, none if there was none, or start from epoch 0",
            )
        own = asdict(self._order)
        if differing := sorted(name for name in {*own, *order} if own.get(name) != order.get(name)):
            was = ", ".join(f"{name} {order.get(name)}" for name in differing)
            raise OtherDataError(
                f"the state was saved with another order: {was}",
                remedy="give the loader the same, or start from epoch 0",
            )
        self._epoch, self._next = epoch, following

    def _windows(self) -> Windows:
        chosen, sampler = self._chosen, self._chosen.sampler
        columns = list(dict.fromkeys([*chosen.columns, *(NEEDED if sampler else ())]))
        key = (self._order.seed, self._epoch)
        return Windows(chosen.units, self._layout, key, columns, self._changed)

    def _changed(self, rows: pa.Table) -> pa.Table:
        """Mark rows for the sampler, leave out what only it needs, and encode."""
        if self._chosen.sampler is not None:
            rows = self._chosen.sampler.mark(rows)
            extra = [name for name in NEEDED if name not in self._chosen.columns]
            rows = rows.drop_columns(extra)
        for number, name in enumerate(rows.column_names):
            if (encoder := self._encoder(name)) is not None:
                column = rows.column(number).combine_chunks()
                rows = rows.set_column(number, name, encoder.codes(column))
        return rows

    def _encoder(self, column: str) -> Any:
        return self._chosen.encoders.of_column(column) if self._chosen.encoders else None

    def _filled(self, windows: Windows, number: int) -> pa.RecordBatch:
        """Return a batch, with rows from the start of the epoch where padding is asked for."""
        layout = self._layout
        if self._remainder != "pad" or (number + 1) * layout.batch_size <= layout.units:
            return self._read(windows, number)
        source = number % layout.batches
        start = source * layout.batch_size
        have = min(start + layout.batch_size, layout.units) - start
        found = [self._read(windows, source)]
        filler = 0
        while have < layout.batch_size:
            wanted = layout.batch_size - have
            size = min(layout.batch_size, layout.units - filler * layout.batch_size)
            found.append(self._first(self._read(windows, filler), min(wanted, size), have))
            have += min(wanted, size)
            filler = (filler + 1) % layout.batches
        return pa.concat_batches(found)

    def _first(self, batch: pa.RecordBatch, count: int, before: int) -> pa.RecordBatch:
        """Return the first units of a batch; groups are numbered on behind those before them."""
        if not self._order.group:
            return batch.slice(0, count)
        place = batch.schema.get_field_index(GROUP_NUMBER)
        numbers = to_numpy(batch.column(place))
        rows = batch.slice(0, int((numbers < count).sum()))
        moved = pc.add(rows.column(place), scalar(before, pa.int32()))
        return rows.set_column(place, GROUP_NUMBER, moved)

    def _read(self, windows: Windows, number: int) -> pa.RecordBatch:
        batch = windows.batch(number)
        sampler = self._chosen.sampler
        if sampler is None:
            return batch
        stream = number % self._layout.streams
        first = self._layout.stream_start(stream)
        first += number // self._layout.streams * self._layout.batch_size
        return sampler.draw(batch, (self._order.seed, self._epoch), first)

    def _report(self) -> None:
        shard = self.shard
        if self._is_reported or not (shard.dropped or shard.repeated):
            return
        self._is_reported = True
        unit = "groups" if self._order.group else "rows"
        if shard.dropped:
            said = f"leaves out {shard.dropped:,}"
        else:
            said = f"gives {shard.repeated:,} again"
        _LOG.warning(
            "epoch %d %s of %s %s so that %d ranks get equal batches (remainder=%r)",
            self._epoch, said, f"{self._layout.units:,}", unit, self._ranks, self._remainder,
        )  # fmt: skip


def check_added(schema: pa.Schema, *, group: bool, sampler: Sampler | None) -> None:
    """Refuse data that has a column which the loader would add."""
    added = [GROUP_NUMBER] if group else []
    added += [ITEMS, PROBABILITIES] if sampler else []
    refuse_taken(schema, added, "leave the column out with `columns=`")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _no_state() -> DataError:
    return DataError(
        "that is no state of a loader of this release",
        remedy="give what `state_dict` returned, or start from epoch 0",
    )
