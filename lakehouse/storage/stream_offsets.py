"""How far the lake has read a topic: application transactions of the Delta log, and their names.

A feed is a partition of a topic, read for the n-th time from a beginning (`generation`). Its
transaction in a raw table is the offset of the next message: it moves in the commit that stores
the messages before it. Batches of a feed are consecutive ranges of offsets, so one is stored if
and only if its first offset lies below the feed's (docs/adr/0018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from deltalake import DeltaTable

SOURCE: Final = "kafka"
PREFIX: Final = "kafka."
_DIGITS: Final = 19


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A partition of a topic, and the names under which the lake knows it."""

    topic: str
    number: int

    @property
    def stem(self) -> str:
        """What every name of the partition begins with."""
        return f"{PREFIX}{self.topic}.{self.number:05}"

    @property
    def owner_id(self) -> str:
        """Transaction: number of the take-over that may write; only grows."""
        return f"{self.stem}.owner"

    @property
    def generation_id(self) -> str:
        """Transaction: the generation that is read now."""
        return f"{self.stem}.generation"

    @property
    def topic_id(self) -> str:
        """Transaction: which topic of this name it is; another one after it was made anew."""
        return f"{self.stem}.topic"

    def offset_id(self, generation: int) -> str:
        """Transaction: offset of the next message."""
        return f"{self.stem}.{generation}"

    def place(self, offset: int) -> str:
        """Return where a message stands, as `source_ref` has it; text order is offset order."""
        return f"{self.topic}:{self.number}:{offset:0{_DIGITS}}"


@dataclass(frozen=True, slots=True)
class Feed:
    """A partition in one generation."""

    partition: Partition
    generation: int

    @property
    def offset_id(self) -> str:
        """See `Partition.offset_id`."""
        return self.partition.offset_id(self.generation)

    def batch_id(self, first: int, tenant_id: str) -> str:
        """Return the id of the tenant's part of the batch that begins at offset `first`."""
        return f"{self.offset_id}.{first:0{_DIGITS}}.{tenant_id}"

    def not_before(self, offset: int) -> str:
        """Return a condition for the batches that begin at `offset` or later."""
        first, end = f"{self.offset_id}.{offset:0{_DIGITS}}", f"{self.offset_id}.:"
        return f"batch_id >= '{first}' and batch_id < '{end}'"


def is_stream_batch(batch_id: str) -> bool:
    """Whether a batch came from a topic."""
    return batch_id.startswith(PREFIX)


def lost_stream_rows(rows: pl.DataFrame, raw: Callable[[str], DeltaTable]) -> pl.DataFrame:
    """Return the rows of batches from topics that raw has not: under way, or left by a kill.

    `rows` have `data_type` and `batch_id`; `raw` opens the raw table of a data type. A feed whose
    transaction has expired (30 days without a message) counts as stored.
    """
    parts = rows.with_columns(
        offset_id=pl.col("batch_id").str.extract(r"^(.+)\.\d{19}\.[^.]+$"),
        first=pl.col("batch_id").str.extract(r"\.(\d{19})\.[^.]+$").cast(pl.Int64),
    )
    feeds = parts.select("data_type", "offset_id").unique()
    offsets = [
        (data_type, offset_id, raw(data_type).transaction_version(offset_id))
        for data_type, offset_id in feeds.iter_rows()
    ]
    schema = {"data_type": pl.String, "offset_id": pl.String, "offset": pl.Int64}
    known = pl.DataFrame(offsets, schema=schema, orient="row")
    found = parts.join(known, on=["data_type", "offset_id"], how="left")
    return found.filter(pl.col("first") >= pl.col("offset")).select(rows.columns)
