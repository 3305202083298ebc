"""Puts deltas onto an export: the export of the last one's snapshot, proven by its content hash.

Everything is read in the order of its rows, a window of times at a time, and never whole; several
deltas are put on in one pass. The files are those that `eta export` would write of the snapshot.
No lake is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from lakehouse.errors import EtaError
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.checksums import check_files, listed_files
from lakehouse.training.export.delta import row_schema
from lakehouse.training.export.delta_document import (
    ADDED,
    CHANGED,
    DELTA,
    REMOVED,
    Delta,
)
from lakehouse.training.export.features import chosen_columns
from lakehouse.training.export.hugging_face import HuggingFaceExport
from lakehouse.training.export.parquet import LABEL, ParquetExport
from lakehouse.training.export.run import (
    FEATURES,
    MANIFEST,
    ExportFormat,
    new_folder,
    write_documents,
)
from lakehouse.training.export.windows import windows
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import BATCH_ROWS, ORDER, ChosenFeatures
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, TYPE_WEIGHT

_LIST_ROWS: Final = 16_384
"""Rows at a time where they have lists of the user's interactions."""
_NOTHING: Final = ChosenFeatures((), 0)
_IN_ORDER: Final = "apply deltas in their order from the export's snapshot on, or take the whole"


@dataclass(frozen=True, slots=True)
class _Base:
    """An export that deltas can be put onto."""

    folder: Path
    kind: ExportFormat
    manifest: Manifest
    chosen: ChosenFeatures
    files: dict[float | None, list[str]]
    """Label in the path, or None where it is in the files → the files, in order."""


@dataclass(frozen=True, slots=True)
class _Delta:
    folder: Path
    document: Delta
    manifest: Manifest
    files: dict[str, list[str]]


def apply_deltas(
    deltas: Sequence[Path],
    onto: Path,
    destination: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    window_rows: int = BATCH_ROWS,
) -> Manifest:
    """Write the export that `deltas`, in their order, make of the export `onto`.

    `on_rows` hears how many rows were written. Return the manifest of the snapshot that is
    exported then. The new folder appears complete or not at all. Raises `EtaError` when a folder
    is not as it was written, when base and deltas are not of one row, when their columns are not
    the same, or when the outcome is not the snapshot's.
    """
    base = _read_base(onto)
    found = [_read_delta(folder) for folder in deltas]
    _refuse_order(base, found)
    for folder in (onto, *deltas):
        check_files(folder)
    result = found[-1].manifest
    fields = _refuse_columns(base, found)
    with new_folder(destination.absolute()) as folder:
        chosen = base.chosen if base.chosen != _NOTHING else None
        writer = (ParquetExport if base.kind is ExportFormat.PARQUET else HuggingFaceExport)(
            folder, result, added=fields, meanings=chosen_columns(chosen)
        )
        contents = ContentHash()
        count = 0
        size = min(window_rows, _LIST_ROWS) if base.chosen.history else window_rows
        schema = row_schema(result, fields)
        rows = _base_rows(base, schema, size)
        for delta in found:
            rows = _applied(rows, delta, schema, size)
        for frame in rows:
            contents.update(_with_type_weight(frame))
            count += frame.height
            writer.write(frame)
            on_rows(frame.height)
        if (count, contents.hexdigest()) != (result.row_count, result.content_hash):
            raise _not_the_snapshot(result)
        write_documents(folder, result, base.kind, chosen, writer.finish())
    return result


def read_delta_document(folder: Path) -> Delta:
    """Return what a delta says of itself; raise `EtaError` for another folder."""
    return _read_delta(folder).document


def _applied(
    rows: Iterator[pl.DataFrame], delta: _Delta, schema: pa.Schema, size: int
) -> Iterator[pl.DataFrame]:
    """Yield rows in order as a delta has them, its own in place of those that it names."""
    counts = delta.document.rows
    keys = pa.schema([schema.field(name) for name in ORDER])
    gone = expected = counts.removed + counts.changed
    streams = [
        rows,
        *(
            _read(delta.folder, delta.files[kind], wanted, size)
            for kind, wanted in ((ADDED, schema), (CHANGED, schema), (REMOVED, keys))
        ),
    ]
    for held, added, changed, removed in windows(streams):
        named = pl.concat([changed.select(ORDER), removed])
        kept = held.join(named, on=ORDER, how="anti")
        gone -= held.height - kept.height
        yield pl.concat([kept, added, changed]).sort(ORDER)
    if gone:
        raise EtaError(
            f"{expected:,} rows of the base are to be replaced or removed, and {gone:,} of them "
            "are not there",
            remedy="take the whole export, and report this",
        )


def _base_rows(base: _Base, schema: pa.Schema, size: int) -> Iterator[pl.DataFrame]:
    nothing = pl.DataFrame(schema.empty_table())
    streams = [
        _read(base.folder, names, schema, size, label) for label, names in base.files.items()
    ]
    for frames in windows([iter([nothing]), *streams]):
        yield pl.concat(frames).sort(ORDER)


def _read(
    folder: Path, names: Sequence[str], schema: pa.Schema, size: int, label: float | None = None
) -> Iterator[pl.DataFrame]:
    """Yield rows as they stand in files, an empty frame first; `label` is that of the path."""
    yield pl.DataFrame(schema.empty_table())
    for name in names:
        for batch in pq.ParquetFile(folder / name).iter_batches(batch_size=size):
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            if label is not None:
                frame = frame.with_columns(pl.lit(label).alias(LABEL.name))
            yield frame.select(schema.names)


def _with_type_weight(rows: pl.DataFrame) -> pl.DataFrame:
    """Without a half-life, of which there are no deltas, the weight is that of the type."""
    if SAMPLE_WEIGHT not in rows.columns:
        return rows
    return rows.with_columns(pl.col(SAMPLE_WEIGHT).alias(TYPE_WEIGHT))


def _read_base(folder: Path) -> _Base:
    if (folder / DELTA).exists():
        raise EtaError(f"{folder} is a delta and no export", remedy="name an export with --onto")
    names = [name for name in listed_files(folder) if name.endswith(".parquet")]
    manifest = _read_manifest(folder)
    chosen = _NOTHING
    if (folder / FEATURES).exists():
        try:
            held = json.loads((folder / FEATURES).read_text(encoding="utf-8"))
            chosen = ChosenFeatures(tuple(map(str, held["columns"])), int(held["history"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(folder / FEATURES) from error
    files: dict[float | None, list[str]] = {}
    for name in sorted(names):
        parts = PurePosixPath(name).parts
        if parts[:2] == ("data", "train"):
            files.setdefault(None, []).append(name)
        elif parts[0] == "training_data" and len(parts) == 4 and parts[2] in _LABELS:
            files.setdefault(_LABELS[parts[2]], []).append(name)
        else:
            files.clear()
            break
    if not files:
        raise EtaError(
            f"{folder} is no training set in Parquet",
            remedy="name an export of the format parquet or huggingface with --onto",
        )
    kind = ExportFormat.HUGGING_FACE if None in files else ExportFormat.PARQUET
    return _Base(folder, kind, manifest, chosen, files)


_LABELS: Final = {"label=1.0": 1.0, "label=0.0": 0.0}


def _read_delta(folder: Path) -> _Delta:
    try:
        text = (folder / DELTA).read_bytes()
    except OSError as error:
        raise EtaError(
            f"{folder} has no {DELTA}: it is no delta, or not a whole one",
            remedy="name a folder that `eta export --since` has written",
        ) from error
    try:
        document = Delta.model_validate_json(text)
    except ValidationError as error:
        raise _unreadable(folder / DELTA) from error
    manifest = _read_manifest(folder)
    names = sorted(listed_files(folder))
    files = {
        kind: [name for name in names if name.startswith(f"{kind}/")]
        for kind in (ADDED, CHANGED, REMOVED)
    }
    if manifest.snapshot_id != document.result.snapshot_id or not all(files.values()):
        raise _unreadable(folder / DELTA)
    return _Delta(folder, document, manifest, files)


def _read_manifest(folder: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise EtaError(
            f"{folder / MANIFEST} is no training set's, or of a later release",
            remedy="name an export of a training set; evaluation snapshots have no deltas",
        ) from error
    except OSError as error:
        raise _unreadable(folder / MANIFEST) from error


def _refuse_order(base: _Base, deltas: Sequence[_Delta]) -> None:
    """Raise `EtaError` unless each delta begins where the one before ends."""
    tenant_id, held = base.manifest.tenant_id, base.manifest.snapshot_id
    for delta in deltas:
        document = delta.document
        if document.tenant_id != tenant_id:
            raise EtaError(
                f"{delta.folder} is a delta of another tenant than the export",
                remedy="name the folders of one tenant",
            )
        if document.base.snapshot_id != held:
            raise EtaError(
                f"{delta.folder} begins at snapshot {document.base.snapshot_id}, and what it is to "
                f"be put onto is {held}",
                remedy=_IN_ORDER,
            )
        held = document.result.snapshot_id


def _refuse_columns(base: _Base, deltas: Sequence[_Delta]) -> list[pa.Field]:
    """Return the fields of the chosen features; raise `EtaError` when they are not the same."""
    for delta in deltas:
        document = delta.document
        if (set(base.chosen.columns), base.chosen.history) != (
            set(document.features),
            document.history,
        ):
            raise EtaError(
                f"the export has {_told(base.chosen)}, and {delta.folder} has "
                f"{_told(ChosenFeatures(document.features, document.history))}",
                remedy="export the delta with the features and the history of the export",
            )
    schemas = [
        _schema(delta.folder / name)
        for delta in deltas
        for kind in (ADDED, CHANGED)
        for name in delta.files[kind]
    ]
    first = schemas[0]
    plain = set(row_schema(deltas[-1].manifest, ()).names)
    lists = [name for name in first.names if name not in {*plain, *base.chosen.columns}]
    wanted = [*base.chosen.columns, *lists]
    if not set(wanted) <= set(first.names):
        raise _other_columns(deltas[0].folder)
    fields = [first.field(name) for name in wanted]
    expected = {field.name: field.type for field in row_schema(deltas[-1].manifest, fields)}
    for schema in schemas:
        if {field.name: field.type for field in schema} != expected:
            raise _other_columns(deltas[-1].folder)
    for label, names in base.files.items():
        held = {**expected}
        if label is not None:
            del held[LABEL.name]
        for name in names:
            if {field.name: field.type for field in _schema(base.folder / name)} != held:
                raise _other_columns(base.folder)
    return fields


def _schema(path: Path) -> pa.Schema:
    """Return the columns of a file as an export spells their types: what a list is of is `item`."""
    return pa.schema([field.with_type(_spelled(field.type)) for field in pq.read_schema(path)])


def _spelled(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_spelled(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_spelled(field.type)) for field in kind])
    return kind


def _told(chosen: ChosenFeatures) -> str:
    """Return in words which features were chosen."""
    names = ", ".join(chosen.columns) or "no features"
    return f"{names} and histories of {chosen.history}" if chosen.history else names


def _other_columns(folder: Path) -> EtaError:
    return EtaError(
        f"the files in {folder} have other columns than those they are to be put together with",
        remedy="take the whole export",
    )


def _not_the_snapshot(result: Manifest) -> EtaError:
    return EtaError(
        f"base and deltas do not make the rows of snapshot {result.snapshot_id}",
        remedy="take the whole export, and report this",
    )


def _unreadable(path: Path) -> EtaError:
    return EtaError(
        f"{path} cannot be read, or does not fit the files beside it",
        remedy="copy the folder again from where it was exported, or take the whole export",
    )
