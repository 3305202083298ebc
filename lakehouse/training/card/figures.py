"""The figures of a snapshot's rows, read once from the version that it pins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import polars as pl
import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.card.counting import Identifiers, NumberCounts, TextCounts
from lakehouse.training.export.features import feature_fields
from lakehouse.training.manifest import EXAMPLES, Manifest
from lakehouse.training.rows import tenant_batches

Feature = NumberCounts | TextCounts
_IS_POSITIVE: Final = (pl.col("label") == 1).sum().cast(pl.Int64)
_COLUMNS: Final = ("user_id", "item_id", "label", "negative_type", "event_time")


@dataclass(slots=True)
class Figures:
    """What a pass over the rows has found.

    `features` by the name of the column; an attribute is `column[attribute]`. `other` are columns
    whose type has no distribution here, with their number of nulls.
    """

    rows: int = 0
    positives: int = 0
    sampled: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    users: Identifiers = field(default_factory=Identifiers)
    items: Identifiers = field(default_factory=Identifiers)
    positive_items: Identifiers = field(default_factory=Identifiers)
    features: dict[str, Feature] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)


def read_figures(lake: Lake, manifest: Manifest) -> Figures:
    """Return the figures of a snapshot, with those of its features where it pins any.

    Memory holds one batch, the counts, and eight bytes per user and item. Raises `EtaError` when
    the rows are gone, or are not as many of each kind as the manifest says. The content hash is not
    computed again: an export does that, and it would take longer than everything here.
    """
    fields = feature_fields(lake, manifest) if EXAMPLES in manifest.pinned else pa.schema([])
    table = EXAMPLES if EXAMPLES in manifest.pinned else manifest.data_table
    found = Figures()
    for frame in tenant_batches(lake, manifest, table, [*_COLUMNS, *fields.names]):
        _take_rows(found, frame)
        for kind in fields:
            _take_feature(found, frame, kind)
    for counts in found.features.values():  # batches without an attribute
        counts.add_absent(found.rows - counts.rows)
    said = manifest.counts
    kinds = (found.rows, found.positives, found.sampled)
    if kinds != (said.rows, said.positives, said.sampled_negatives):
        raise EtaError(
            f"the rows of snapshot {manifest.snapshot_id} are not those its manifest names",
            remedy="make a new snapshot, and report this",
        )
    return found


def _take_rows(found: Figures, frame: pl.DataFrame) -> None:
    found.rows += frame.height
    found.positives += int(frame.select(_IS_POSITIVE).item())
    found.sampled += int(frame.select((pl.col("negative_type") == "sampled").sum()).item())
    found.earliest, found.latest = widened(found, frame.get_column("event_time"))
    found.users.update(frame.get_column("user_id"))
    found.items.update(frame.get_column("item_id"))
    found.positive_items.update(frame.filter(pl.col("label") == 1).get_column("item_id"))


class _Spanned(Protocol):
    earliest: datetime | None
    latest: datetime | None


def widened(span: _Spanned, times: pl.Series) -> tuple[datetime, datetime]:
    """Return the first and the last of these times, of which there are some, and of the span."""
    first, last = times.min(), times.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    earliest = first if span.earliest is None else min(span.earliest, first)
    return earliest, last if span.latest is None else max(span.latest, last)


def _take_feature(found: Figures, frame: pl.DataFrame, kind: pa.Field) -> None:
    counted = _counter(kind.type)
    if counted is not None:
        values = frame.lazy().group_by(pl.col(kind.name).alias("value"))
        counts = values.agg(positives=_IS_POSITIVE, rows=pl.len()).collect()
        found.features.setdefault(kind.name, counted()).update(counts)
    elif _is_map(kind.type):
        _take_attributes(found, frame, kind)
    else:
        nulls = frame.get_column(kind.name).null_count()
        found.other[kind.name] = found.other.get(kind.name, 0) + nulls


def _take_attributes(found: Figures, frame: pl.DataFrame, kind: pa.Field) -> None:
    """Take a map as one feature per key; a row without the key has no value of it."""
    value_type = kind.type.value_type.field("value").type
    counted = _counter(value_type)
    if counted is None:
        found.other[kind.name] = found.other.get(kind.name, 0)
        return
    # a map of Delta is a type of its own in polars, which cannot be exploded
    told = pl.String() if counted is TextCounts else pl.Float64()
    entries = pl.List(pl.Struct({"key": pl.String(), "value": told}))
    pairs = (
        frame.lazy()
        .select("label", pair=pl.col(kind.name).cast(entries))
        .explode("pair")
        .select("label", pl.col("pair").struct.unnest())
        .filter(pl.col("key").is_not_null())
        .group_by("key", "value")
        .agg(positives=_IS_POSITIVE, rows=pl.len())
        .collect()
    )
    for (key,), counts in pairs.partition_by("key", as_dict=True, include_key=False).items():
        feature = found.features.setdefault(f"{kind.name}[{key}]", counted())
        feature.update(counts)
    # every attribute seen so far: its rows are those of all batches
    for name, feature in found.features.items():
        if name.startswith(f"{kind.name}["):
            feature.add_absent(found.rows - feature.rows)


def _counter(kind: pa.DataType) -> type[NumberCounts | TextCounts] | None:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_number:
        return NumberCounts
    is_text = pa.types.is_string(kind) or pa.types.is_boolean(kind)
    return TextCounts if is_text else None


def _is_map(kind: pa.DataType) -> bool:
    """Whether it is a map, as `feature_fields` has it: a list of `key` and `value`."""
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return False
    return {part.name for part in kind.value_type} == {"key", "value"}
