"""Reads what stands in the folders of an export and of deltas, and whether they go together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from lakehouse.errors import EtaError
from lakehouse.training.export.checksums import listed_files
from lakehouse.training.export.delta import row_schema
from lakehouse.training.export.delta_document import ADDED, CHANGED, DELTA, REMOVED, Delta
from lakehouse.training.export.parquet import LABEL
from lakehouse.training.export.run import FEATURES, MANIFEST, ExportFormat
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import HISTORY_COLUMNS, ORDER, ChosenFeatures

NO_FEATURES: Final = ChosenFeatures((), 0)
_IN_ORDER: Final = "apply deltas in their order from the export's snapshot on, or take the whole"


@dataclass(frozen=True, slots=True)
class BaseFolder:
    """An export that deltas can be put onto."""

    folder: Path
    kind: ExportFormat
    manifest: Manifest
    chosen: ChosenFeatures
    files: dict[float | None, list[str]]
    """Label in the path, or None where it is in the files → the files, in order."""


@dataclass(frozen=True, slots=True)
class DeltaFolder:
    """A delta: its folder, what it says of itself, and its files by kind, in order."""

    folder: Path
    document: Delta
    manifest: Manifest
    files: dict[str, list[str]]


def read_base(folder: Path) -> BaseFolder:
    """Return what an export is; raise `EtaError` for a folder that deltas cannot be put onto."""
    if (folder / DELTA).exists():
        raise EtaError(f"{folder} is a delta and no export", remedy="name an export with --onto")
    names = [name for name in listed_files(folder) if name.endswith(".parquet")]
    manifest = _read_manifest(folder)
    chosen = NO_FEATURES
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
    return BaseFolder(folder, kind, manifest, chosen, files)


_LABELS: Final = {"label=1.0": 1.0, "label=0.0": 0.0}


def read_delta(folder: Path) -> DeltaFolder:
    """Return what a delta is; raise `EtaError` for another folder."""
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
    return DeltaFolder(folder, document, manifest, files)


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


def refuse_order(base: BaseFolder, deltas: Sequence[DeltaFolder]) -> None:
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


def refuse_columns(base: BaseFolder, deltas: Sequence[DeltaFolder]) -> list[pa.Field]:
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
    wanted = [*base.chosen.columns, *(HISTORY_COLUMNS if base.chosen.history else ())]
    held = _types(deltas[0].folder / deltas[0].files[ADDED][0])
    if not set(wanted) <= set(held):
        raise _other_columns(deltas[0].folder)
    fields = [pa.field(name, held[name]) for name in wanted]
    expected = {field.name: field.type for field in row_schema(deltas[-1].manifest, fields)}
    without_label = {name: kind for name, kind in expected.items() if name != LABEL.name}
    keys = {name: expected[name] for name in ORDER}
    for delta in deltas:
        for kind, names in delta.files.items():
            _refuse_types(delta.folder, names, keys if kind == REMOVED else expected)
    for label, names in base.files.items():
        _refuse_types(base.folder, names, expected if label is None else without_label)
    return fields


def _refuse_types(folder: Path, names: Sequence[str], types: Mapping[str, pa.DataType]) -> None:
    if any(_types(folder / name) != types for name in names):
        raise _other_columns(folder)


def _types(path: Path) -> dict[str, pa.DataType]:
    """Return the columns of a file as an export spells their types: what a list is of is `item`."""
    try:
        held = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path) from error
    return {field.name: _spelled(field.type) for field in held}


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


def _unreadable(path: Path) -> EtaError:
    return EtaError(
        f"{path} cannot be read, or does not fit the files beside it",
        remedy="copy the folder again from where it was exported, or take the whole export",
    )
