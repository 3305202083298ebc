"""The histories of features that a snapshot's examples were made from, proven while they are read.

A snapshot pins its examples and not the histories: those are read as they stood when the pinned
examples were committed. Whether they are the right ones is no matter of trust: `ProvenHistory`
makes the point-in-time join of every row again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import EXAMPLES, Manifest, TableVersion
from lakehouse.training.pinned import gone, open_pinned
from lakehouse.training.rows import RANGE_ROWS, Ranges, range_starts, tenant_batches
from lakehouse.training.tables import path_of

TABLES: Final = {
    "user": "features.user_feature_history",
    "item": "features.item_feature_history",
}
"""Entity → the table with a row per entity and time from which its features count."""
AS_OF: Final = "as_of"


class FeatureHistory:
    """The rows of one entity's history: `{entity}_id`, the features named as in examples, `as_of`.

    Values hold strictly after `as_of`. Raises `EtaError` when the table is not there any more.
    """

    def __init__(self, lake: Lake, manifest: Manifest, entity: str) -> None:
        self.entity = entity
        self.key = f"{entity}_id"
        table = TABLES[entity]
        version = _version_then(lake, manifest, table)
        self._lake = lake
        self._table = table
        self._manifest = manifest.model_copy(update={"pinned": {**manifest.pinned, table: version}})
        held = pa.schema(open_pinned(lake, self._manifest, table).schema().to_arrow())
        in_examples = open_pinned(lake, manifest, EXAMPLES).schema().to_arrow()
        known = set(pa.schema(in_examples).names)
        named = [field for field in held if f"{entity}_{field.name}" in known]
        self._names = [field.name for field in named if field.name != self.key]
        self.features = [f"{entity}_{name}" for name in self._names]
        """Columns that the examples have of it, too."""
        self._types = [_file_type(held.field(name).type) for name in self._names]

    def schema(self, time: str) -> pa.Schema:
        """Return the columns of a file of the history, with the name of the time's column."""
        features = zip(self.features, self._types, strict=True)
        key, at = (self.key, pa.string()), (time, pa.timestamp("us", tz="UTC"))
        return pa.schema([key, *features, at])

    def sorted_rows(self, scratch: Path) -> Iterator[pl.DataFrame]:
        """Yield all rows in order of `as_of` and entity, in frames of about `RANGE_ROWS`.

        `scratch` is a folder for spill files, which this deletes as it goes.
        """
        starts = range_starts_of(self._batches([]))
        if starts is None:
            return
        ranges = Ranges(starts if len(starts) > 1 else None, scratch)
        ranges.fill(self._batches([self.key, *self._names]))
        for number in ranges.numbers():
            frame = ranges.take(number).sort("event_time", self.key)
            renamed = {name: f"{self.entity}_{name}" for name in self._names}
            yield frame.rename({**renamed, "event_time": AS_OF})

    def _batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        wanted = [AS_OF, *columns]
        for frame in tenant_batches(self._lake, self._manifest, self._table, wanted):
            yield frame.rename({AS_OF: "event_time"})


class ProvenHistory:
    """Joins rows of examples with a history again, strictly before each, and compares.

    Takes rows in order of their time; holds a state per entity, and the history of the rows' time.
    """

    def __init__(self, history: FeatureHistory, scratch: Path) -> None:
        self._history = history
        self._frames = history.sorted_rows(scratch)
        self._held: pl.DataFrame | None = next(self._frames, None)
        self._is_read = self._held is None

    def check(self, rows: pl.DataFrame) -> None:
        """Raise `EtaError` unless the join gives the features that the rows have."""
        key, features = self._history.key, self._history.features
        times = rows.get_column("event_time").cast(pl.Datetime("us", "UTC"))
        since, until = times[0], times[-1]
        wanted = rows.select(key, "event_time", *features)
        if self._held is None:
            is_same = wanted.select(pl.all_horizontal(pl.col(features).is_null())).to_series()
        else:
            held = self._read(since, until)
            joined = wanted.sort("event_time").join_asof(
                held,
                left_on="event_time",
                right_on=AS_OF,
                by=key,
                allow_exact_matches=False,
                suffix="_then",
                check_sortedness=False,
            )
            pairs = [pl.col(name).eq_missing(pl.col(f"{name}_then")) for name in features]
            is_same = joined.select(pl.all_horizontal(pairs)).to_series()
        if not is_same.all():
            raise _others(self._history)

    def _read(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Return, sorted by time, the state of each entity before `since` and what came by `until`.

        Maybe more.
        """
        assert self._held is not None
        held = _from(self._held, since, self._history.key)
        while not self._is_read and held.get_column(AS_OF)[-1] < until:
            frame = next(self._frames, None)
            if frame is None:
                self._is_read = True
            else:
                held = _from(pl.concat([held, frame]), since, self._history.key)
        self._held = held
        return held


def _from(held: pl.DataFrame, since: datetime, key: str) -> pl.DataFrame:
    """Return the newest row of each entity before a moment, and all later ones, sorted by time."""
    before = pl.col(AS_OF) < since
    newest = held.filter(before).unique(key, keep="last", maintain_order=True).sort(AS_OF)
    return pl.concat([newest, held.filter(~before)])


def _file_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_string_view(kind) or pa.types.is_large_string(kind) else kind


def range_starts_of(frames: Iterator[pl.DataFrame]) -> pl.Series | None:
    """Return where ranges of time begin, None without a row."""
    first = next(frames, None)
    if first is None:
        return None

    def all_frames() -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    return range_starts(all_frames(), RANGE_ROWS)


def _version_then(lake: Lake, manifest: Manifest, name: str) -> TableVersion:
    """Return the version of a table at the time of the commit that the examples are pinned to.

    The newest where the logs do not say: what is read is compared with the examples.
    """
    pinned = manifest.pinned[EXAMPLES]
    try:
        until = _commits(lake.table(pinned.location)).get(pinned.version)
        times = _commits(lake.table(name))
    except DeltaError as error:
        raise gone(manifest, f"the log of {EXAMPLES} or {name} is not there") from error
    before = [version for version, at in times.items() if until is not None and at <= until]
    return TableVersion(location=path_of(name), version=max(before or times))


def _commits(table: DeltaTable) -> dict[int, int]:
    """Return version → milliseconds of the commits that the log still has."""
    return {int(entry["version"]): int(entry["timestamp"]) for entry in table.history()}


def _others(history: FeatureHistory) -> EtaError:
    return EtaError(
        f"the {history.entity} features in the lake are not those that the examples of the "
        "snapshot were made from",
        remedy="export the current snapshot; if it is that one, run `eta prepare` first",
    )
