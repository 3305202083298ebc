"""A published training set, opened for reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypedDict, TypeVar, Unpack

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from eta_data.arrays import Arrays, ToNumpy, ToTorch
from eta_data.encoders import Encoders
from eta_data.errors import DamagedError, DataError
from eta_data.export import ITEMS_FILE, MANIFEST, open_export, refuse_delta, verify_export
from eta_data.files import Folder, folder_of
from eta_data.given import instance, mapping, whole
from eta_data.groups import Groups
from eta_data.lake import Lake
from eta_data.loader import Chosen, Loader, Order, check_added
from eta_data.manifest import Manifest, check_snapshot, check_tenant, read_manifest
from eta_data.negatives import ITEMS, NEEDED, PROBABILITIES, Sampler, make_sampler
from eta_data.order import Remainder
from eta_data.reading import Rows, Units
from eta_data.source import Reader, RowSource

Batch = TypeVar("Batch")
_SPLITS: Final = ("train", "validation", "test")


class Reading(TypedDict, total=False):
    """What the ways to read a set have in common; `TrainingSet` explains each."""

    seed: int
    columns: Sequence[str] | None
    rank: int
    ranks: int
    remainder: Remainder
    group: bool
    window_rows: int
    streams: int
    encoders: Encoders | None
    negatives: Sampler | None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The rows of one snapshot of one tenant, or of one split of it.

    Opening reads footers alone. `arrow`, `numpy` and `torch` return a `Loader`; what they share:

    - `seed`: with the epoch, what the order is made of. Default 0.
    - `columns`: what is read. Default all.
    - `rank`, `ranks`: this process among those that train together. Default 0 of 1.
    - `remainder`: rows that do not fill a batch for each rank are left out ("drop", the default),
      filled up with rows from the start of the epoch ("pad"), or given as they are, so that shards
      may differ by a batch ("keep"). A warning says how many; `Loader.shard` has the counts.
    - `group`: a positive and its negatives stay together, and `batch_size` counts groups;
      `group_number` tells them apart within a batch. Needs an export. Default off.
    - `window_rows`, `streams`: rows are shuffled within windows of so many rows (or groups), one
      window per stream is held in memory, and row groups come in a permuted order. Ranks times
      workers should divide `streams`, else some windows are read by several. Default 65,536 and 4.
    - `encoders`: columns that become numbers.
    - `negatives`: a `sampler`. Positives alone are read, each with new negatives in every epoch.
    """

    manifest: Manifest
    split: str | None
    source: RowSource
    folder: Folder
    lake: Lake | None = None

    @classmethod
    def open(
        cls,
        place: str | Path,
        tenant: str,
        snapshot: str = "current",
        *,
        split: str | None = None,
        table: str | None = None,
        verify: bool = False,
        storage_options: Mapping[str, str] | None = None,
        filesystem: pafs.FileSystem | None = None,
    ) -> TrainingSet:
        """Open an export (a folder with a manifest.json), or a snapshot of a lake.

        `snapshot` is an id or "current". `split` opens an evaluation snapshot: train, validation or
        test. `table` is `training.training_examples` for the examples of a lake. `verify` reads
        every file of an export and compares it with the checksums beside it. Raises `DataError`.
        """
        check_tenant(tenant)
        if split not in (None, *_SPLITS):
            raise DataError(f"{split!r} is no split", remedy=f"give one of {', '.join(_SPLITS)}")
        folder = folder_of(place, storage_options, filesystem)
        refuse_delta(folder)
        content = folder.read(MANIFEST)
        lake = None
        if content is not None:
            manifest = read_manifest(content, f"{folder.path}/{MANIFEST}", tenant, snapshot)
            if table is not None:
                raise DataError(
                    f"{folder.path} is an export and has no tables",
                    remedy="leave table out, or name the folder of the lake",
                )
            source = open_export(folder, manifest)
            if verify:
                verify_export(folder, source)
        else:
            manifest = _of_lake(folder, tenant, snapshot, is_evaluation=split is not None)
            lake = Lake(place, folder, storage_options or {})
            source = lake.rows(manifest, table)
        if manifest.is_evaluation != (split is not None):
            raise DataError(
                f"snapshot {manifest.snapshot_id} is {'' if manifest.is_evaluation else 'not '}"
                "divided into train, validation and test",
                remedy='say split="train"' if manifest.is_evaluation else "leave split out",
            )
        if split is not None:
            source = source.where("split", split)
        return cls(manifest, split, source, folder, lake)

    @property
    def tenant(self) -> str:
        """Whose rows they are."""
        return self.manifest.tenant_id

    @property
    def snapshot(self) -> str:
        """Id of the snapshot."""
        return self.manifest.snapshot_id

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""
        return self.source.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.source.rows

    def where(self, column: str, value: object) -> TrainingSet:
        """Return the set of the rows that have a value in a column; None: of those without one.

        `data.where("label", 1.0)` are the positives. Files that hold another value in the name of
        their folder, as `label` does in an export of Parquet, are not read at all; any other column
        is read once, now, and a bit per row is held. Orders and states of loaders are those of the
        chosen rows. Raises `DataError` for a column that is not there, or holds no such values.
        """
        return replace(self, source=self.source.where(column, value))

    def arrow(self, batch_size: int = 1024, **reading: Unpack[Reading]) -> Loader[pa.RecordBatch]:
        """Return a loader of Arrow record batches."""
        return self._loader(batch_size, _as_it_is, reading)

    def numpy(
        self,
        batch_size: int = 1024,
        *,
        lengths: Mapping[str, int] | None = None,
        fill: Mapping[str, Any] | None = None,
        **reading: Unpack[Reading],
    ) -> Loader[Arrays]:
        """Return a loader of dicts of NumPy arrays; `ToNumpy` says what becomes of each type."""
        convert = _to_numpy(lengths, fill, reading)
        return self._loader(batch_size, convert, reading, convert.check)

    def torch(
        self,
        batch_size: int = 1024,
        *,
        lengths: Mapping[str, int] | None = None,
        fill: Mapping[str, Any] | None = None,
        **reading: Unpack[Reading],
    ) -> Loader[dict[str, Any]]:
        """Return a loader of dicts of torch tensors; for workers see `eta_data.data_loader`."""
        convert = _to_numpy(lengths, fill, reading)
        return self._loader(batch_size, ToTorch(convert), reading, convert.check)

    def sampler(
        self,
        count: int = 4,
        *,
        alpha: float = 0.0,
        catalogue: pa.Table | None = None,
        known: pa.Table | None = None,
    ) -> Sampler:
        """Return a sampler of new negatives; reads users and items once.

        With alpha 0 each positive gets min(count, M) different items, each of the M eligible ones
        with the same probability. Else it gets `count` independent draws, an item's probability in
        proportion to (1 + its positives in these rows) ** alpha; an item may come twice.

        Eligible is what `catalogue` (item_id, available_at) has in the hour of the positive or
        before, less what the user is known to have met: the positives and explicit negatives of
        these rows, and the pairs of `known` (user_id, item_id).
        The catalogue of a lake is the pinned one, that of an export its items.parquet. Of a table
        that is given and has a column `tenant_id`, the rows of this set's tenant are taken.
        """
        chosen = self._catalogue() if catalogue is None else catalogue
        return make_sampler(self, chosen, known, count=count, alpha=alpha)

    def _catalogue(self) -> pa.Table:
        if self.lake is not None and not self.manifest.is_evaluation:
            source = self.lake.availability(self.manifest)
            reader = Reader(source, ["item_id", "available_at"])
            pieces = [piece for block in source.blocks() for piece in reader.pieces(block)]
            return pa.Table.from_batches(pieces)
        content = self.folder.read(ITEMS_FILE) if self.lake is None else None
        found = None if content is None else pq.read_table(pa.BufferReader(content))
        if found is None or "available_at" not in found.column_names:
            raise DataError(
                f"{self.folder.path} does not say when items became available",
                remedy="give `catalogue=`, a table of item_id and available_at: "
                "training.item_availability of the lake, which the snapshot pins",
            )
        return found

    def _loader(
        self,
        batch_size: int,
        convert: Callable[[pa.RecordBatch], Batch],
        reading: Reading,
        check: Callable[[pa.Schema], None] | None = None,
    ) -> Loader[Batch]:
        """Return a loader; `check` is given the schema of its batches before any row is read."""
        encoders, sampler = reading.get("encoders"), reading.get("negatives")
        instance("encoders", encoders, Encoders)
        instance("negatives", sampler, Sampler)
        group = reading.get("group", False)
        if encoders is not None:
            encoders.check(self)
        if sampler is not None:
            sampler.check(self)
        if sampler is not None and group:
            raise DataError(
                "new negatives stand in the row of their positive",
                remedy="leave group off, or leave negatives out",
            )
        source = self.source if sampler is None else self.source.where("label", 1.0)
        columns = source.columns(reading.get("columns"))
        if not columns:
            raise DataError("no column is asked for", remedy="name one, or leave columns out")
        if sampler is not None:
            source.columns(NEEDED)
        check_added(
            pa.schema([source.schema.field(name) for name in columns]), group=group, sampler=sampler
        )
        units: Units = Groups.of(source) if group else Rows.of(source)
        chosen = Chosen(
            units=units,
            columns=tuple(columns),
            digest=self._digest(),
            encoders=encoders,
            sampler=None if sampler is None else sampler.with_codes(encoders),
            negatives=None if sampler is None else sampler.digest,
        )
        if check is not None:
            check(chosen.schema(source.schema, group=group))
        order = Order(
            seed=whole("seed", reading.get("seed", 0), 0),
            batch_size=whole("batch_size", batch_size, 1),
            window_rows=whole("window_rows", reading.get("window_rows", 65_536), 1),
            streams=whole("streams", reading.get("streams", 4), 1),
            group=group,
            selection=f"{self.split or 'all'}{', positives' if sampler else ''}",
        )
        return Loader(
            chosen,
            order,
            convert,
            rank=whole("rank", reading.get("rank", 0), 0),
            ranks=whole("ranks", reading.get("ranks", 1), 1),
            remainder=reading.get("remainder", "drop"),
        )

    def _digest(self) -> str:
        parts = [self.tenant, self.manifest.content_hash, self.source.digest]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def _to_numpy(
    lengths: Mapping[str, int] | None, fill: Mapping[str, Any] | None, reading: Reading
) -> ToNumpy:
    sampler = reading.get("negatives")
    instance("negatives", sampler, Sampler)
    own = {} if sampler is None else dict.fromkeys((ITEMS, PROBABILITIES), sampler.count)
    return ToNumpy({**own, **mapping("lengths", lengths)}, mapping("fill", fill))


def _of_lake(folder: Folder, tenant: str, snapshot: str, *, is_evaluation: bool) -> Manifest:
    """Return the manifest of a snapshot in a lake."""
    kind = "evaluation_sets" if is_evaluation else "training_sets"
    command = "evaluation" if is_evaluation else "training"
    place = f"{kind}/{tenant}"
    name = snapshot
    if snapshot == "current":
        pointer = folder.read(f"{place}/current.json")
        if pointer is None:
            raise DataError(
                f"{folder.path} is no export, and no lake with a snapshot of {tenant}",
                remedy=f"name the folder that `eta export` wrote (it has a {MANIFEST}), or a lake "
                f"(see `eta {command} list`)",
            )
        try:
            name = check_snapshot(json.loads(pointer)["snapshot_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{folder.path}/{place}/current.json cannot be read",
                remedy=f"name a snapshot (`eta {command} list`), or publish again",
            ) from error
    content = folder.read(f"{place}/{check_snapshot(name)}.json")
    if content is None:
        raise DataError(
            f"{tenant} has no snapshot {name} in {folder.path}",
            remedy=f"see `eta {command} list --tenant {tenant}`",
        )
    return read_manifest(content, f"{folder.path}/{place}/{name}.json", tenant, name)
