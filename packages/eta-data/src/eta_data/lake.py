"""A tenant's rows in a lake's Delta table, at exactly the version that a snapshot pins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eta_data.errors import DamagedError, DataError
from eta_data.files import Folder
from eta_data.footers import read_footers
from eta_data.manifest import Manifest
from eta_data.memory import to_numpy
from eta_data.schema import plain_schema
from eta_data.source import DataFile, RowSource

if TYPE_CHECKING:
    from deltalake import DeltaTable

TRAINING_DATA: Final = "training.training_data"
EVALUATION_DATA: Final = "evaluation.evaluation_data"
EXAMPLES: Final = "training.training_examples"
AVAILABILITY: Final = "training.item_availability"
_NEWER: Final = (
    "read another snapshot, see `eta training list`; `eta prepare` (`eta evaluation make`) "
    "publishes the current one again where its rows are gone"
)


class Lake:
    """The tables of one lake. Needs the extra `eta-data[lake]`."""

    def __init__(self, place: str | Path, folder: Folder, options: Mapping[str, str]) -> None:
        self._place = folder.path if folder.is_local else str(place).rstrip("/")
        self._folder = folder
        self._options = dict(options)

    def rows(self, manifest: Manifest, table: str | None = None) -> RowSource:
        """Return the tenant's rows of a snapshot, or of its examples, at the version it pins."""
        default = EVALUATION_DATA if manifest.is_evaluation else TRAINING_DATA
        own = (EVALUATION_DATA,) if manifest.is_evaluation else (TRAINING_DATA, EXAMPLES)
        name = default if table is None else table
        if name not in own:
            raise DataError(
                f"{name} does not hold the rows of snapshot {manifest.snapshot_id}",
                remedy=f"open {' or '.join(own)}, or leave table out",
            )
        source = self._rows(manifest, name)
        if source.rows != manifest.rows:
            raise DamagedError(
                f"{name} at version {manifest.pinned[name].version} has {source.rows:,} rows of "
                f"the tenant, the snapshot's manifest says {manifest.rows:,}",
                remedy=f"the table was changed by an erasure: {_NEWER}",
            )
        return source

    def availability(self, manifest: Manifest) -> RowSource:
        """Return when the tenant's items became available, as the snapshot pins it."""
        return self._rows(manifest, AVAILABILITY)

    def _rows(self, manifest: Manifest, name: str) -> RowSource:
        table = self._pinned(manifest, name)
        folder = Folder(self._folder.files, self._folder.below(manifest.pinned[name].location))
        try:
            return _source(table, folder, manifest.tenant_id)
        except DamagedError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise _gone(manifest, f"a vacuum deleted data files of {name}") from error
            raise

    def _open(self, location: str, version: int | None) -> DeltaTable:
        try:
            from deltalake import DeltaTable
            from deltalake.exceptions import DeltaError
        except ImportError as error:
            raise DataError(
                "reading a lake needs the package deltalake",
                remedy="pip install 'eta-data[lake]', or read an export (`eta export`)",
            ) from error
        place = f"{self._place}/{location}"
        if self._folder.is_local and unquote(place) != place:
            raise DataError(
                f"{place} cannot be read: deltalake takes %{place.partition('%')[2][:2]} in a path "
                "for another character",
                remedy="move the lake to a folder without `%`, or read an export (`eta export`)",
            )
        try:
            return DeltaTable(place, version=version, storage_options=self._options or None)
        except (DeltaError, OSError, ValueError) as error:
            raise DataError(
                f"{place} has no version {version}" if version is not None else f"no table {place}",
                remedy=f"the lake was moved, or the version is not kept any more: {_NEWER}",
            ) from error

    def _pinned(self, manifest: Manifest, name: str) -> DeltaTable:
        if name not in manifest.pinned:
            raise DataError(
                f"snapshot {manifest.snapshot_id} pins no version of {name}",
                remedy=f"it pins {', '.join(manifest.pinned)}",
            )
        pinned = manifest.pinned[name]
        table = self._open(pinned.location, pinned.version)
        if pinned.table_id not in (None, str(table.metadata().id)):
            raise _gone(manifest, f"{name} was dropped and built again")
        if pinned.files_hash not in (None, _files_hash(table, manifest.tenant_id)):
            why = f"version {pinned.version} of {name} has other files: the table was put back"
            raise _gone(manifest, why)
        return table


def _gone(manifest: Manifest, why: str) -> DamagedError:
    return DamagedError(
        f"the rows of snapshot {manifest.snapshot_id} are not kept any more: {why}", remedy=_NEWER
    )


def _files_hash(table: DeltaTable, tenant: str) -> str:
    """Return the hash over the tenant's files, as the manifest has it of what is pinned."""
    actions = table.get_add_actions(flatten=True)
    both = zip(actions["path"].to_pylist(), actions["partition.tenant_id"].to_pylist(), strict=True)
    said = sorted(repr([path]) for path, owner in both if owner == tenant)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _source(table: DeltaTable, folder: Folder, tenant: str) -> RowSource:
    configuration = table.metadata().configuration
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        raise DataError(
            f"{table.table_uri} renames its columns (column mapping), which is not read here",
            remedy="export the snapshot with `eta export` and read the export",
        )
    schema = plain_schema(pa.schema(table.schema().to_arrow()), table.table_uri)
    added = sorted(_added(table, tenant))
    footers = read_footers(folder, [name for name, _ in added], ())
    kept = _kept(table, {name for name, _ in added})
    identity = hashlib.sha256(f"{table.metadata().id}".encode()).hexdigest()
    files = []
    for name, constants in added:
        footer = footers[name]
        keep = kept.get(name)
        if keep is not None and len(keep) != sum(footer.row_groups):
            raise DamagedError(
                f"the deletion vector of {folder.below(name)} is not of its rows",
                remedy=f"report this; {_NEWER}",
            )
        bits = None if keep is None else np.packbits(keep)
        digest = f"{identity[:16]}{footer.digest}"
        files.append(DataFile(name, footer.row_groups, footer.digest, digest, constants, bits))
    return RowSource(folder, tuple(files), schema)


def _added(table: DeltaTable, tenant: str) -> Iterable[tuple[str, tuple[tuple[str, Any], ...]]]:
    """Yield the tenant's files with the values of their partition columns.

    Paths of Delta's log are URL-encoded, the folder of the table is a plain path.
    """
    actions = pa.RecordBatch.from_struct_array(
        pa.table(table.get_add_actions(flatten=True)).to_struct_array().combine_chunks()
    )
    partitions = [name for name in actions.schema.names if name.startswith("partition.")]
    for row in actions.select(["path", *partitions]).to_pylist():
        values = {name.removeprefix("partition."): row[name] for name in partitions}
        if values.get("tenant_id") == tenant:
            yield unquote(row["path"]), tuple(values.items())


def _kept(table: DeltaTable, names: set[str]) -> dict[str, NDArray[np.bool_]]:
    """Return, for files with a deletion vector, which rows it leaves."""
    found = {}
    for batch in pa.RecordBatchReader.from_stream(table.deletion_vectors()):
        for path, kept in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            name = next((name for name in names if unquote(path).endswith(f"/{name}")), None)
            if name is not None:
                found[name] = to_numpy(kept.values)
    return found
