"""Where messages stand: as columns of the tables, and as parts of a micro-batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from kafka import TopicPartition

from ingest_service.pipeline.places import line_refs
from ingest_service.readers.messages import Position
from ingest_service.sources.kafka.sink import Assignment

OFFSET_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """Messages of one feed, in their order (Kafka's records), and where it is read on.

    `after` lies behind the last message, and behind what is none: markers of transactions,
    messages of aborted ones, and what compaction took.
    """

    assignment: Assignment
    records: Sequence[Any]
    after: int


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the rows of a group stand; see `Places`."""

    parts: npt.NDArray[np.int64]
    texts: pl.Series
    used: npt.NDArray[np.int64]
    """The parts that rows are of, in order; each has a batch and the number of its take-over."""
    batch_ids: list[str]
    epochs: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, places: Sequence[Position], parts: Sequence[PartitionBatch], tenant_id: str
    ) -> "Positions":
        """Return those of a tenant's messages."""
        numbers = np.fromiter((place.part for place in places), np.int64, len(places))
        offsets = np.fromiter((place.offset for place in places), np.int64, len(places))
        refs = pl.repeat("", len(places), eager=True)
        used = np.unique(numbers)
        for number in used:
            partition = parts[number].assignment.feed.partition
            unit = f"{partition.topic}:{partition.number}"
            mine = np.flatnonzero(numbers == number)
            found = pl.Series(line_refs(offsets[mine], unit, OFFSET_DIGITS))
            refs = found if len(used) == 1 else refs.scatter(mine, found)
        ids = [batch_id_of(parts[number], tenant_id) for number in used]
        epochs = [parts[number].assignment.epoch for number in used]
        return cls(numbers, refs, used, ids, np.array(epochs, dtype=np.int64))

    def refs(self, rows: pl.Series) -> pa.Array:
        """Return `source_ref` of these rows."""
        refs = self.texts.gather(rows).to_arrow(compat_level=pl.CompatLevel.oldest())
        return refs.cast(pa.string())

    def others(self, rows: pl.Series) -> dict[str, pa.Array]:
        """Return the batch's id of each of these rows, and as its attempt the take-over."""
        at = np.searchsorted(self.used, self.parts[rows.to_numpy()])
        names = pl.Series(self.batch_ids).to_arrow(compat_level=pl.CompatLevel.oldest())
        keys = pl.Series(at.astype(np.int32)).to_arrow()
        ids = pa.DictionaryArray.from_arrays(keys, names.cast(pa.string()))
        return {"batch_id": ids, "attempt": pl.Series(self.epochs[at]).to_arrow()}


def batch_id_of(part: PartitionBatch, tenant_id: str) -> str:
    """Return the id of the tenant's messages among these."""
    return part.assignment.feed.batch_id(part.assignment.offset, tenant_id)


def topic_partition(assignment: Assignment) -> TopicPartition:
    """Return the assignment's partition as Kafka's client names it."""
    partition = assignment.feed.partition
    return TopicPartition(partition.topic, partition.number)
