"""Writes an export: whole or not at all, from the versions that a snapshot pins."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import whole_folder
from lakehouse.training.export import croissant
from lakehouse.training.export.base import ExportWriter, markdown_table
from lakehouse.training.export.catalogue import items
from lakehouse.training.export.checksums import CHECKSUMS, file_digests, write_checksums
from lakehouse.training.export.features import (
    ALL,
    GROUPS,
    choose_features,
    chosen_columns,
    chosen_fields,
)
from lakehouse.training.export.hugging_face import HuggingFaceExport, front_matter
from lakehouse.training.export.parquet import ParquetExport
from lakehouse.training.export.personalize import PersonalizeExport
from lakehouse.training.export.recbole import RecBoleExport
from lakehouse.training.manifest import EvaluationManifest, Manifest
from lakehouse.training.rows import ChosenFeatures, sorted_rows
from lakehouse.training.sample_weights import with_sample_weights
from lakehouse.training.snapshots import to_json


class ExportFormat(StrEnum):
    """The formats of an export."""

    PARQUET = "parquet"
    HUGGING_FACE = "huggingface"
    RECBOLE = "recbole"
    PERSONALIZE = "personalize"


MANIFEST: Final = "manifest.json"
FEATURES: Final = "features.json"
"""The file that says which features an export has; not there without any."""
WITH_FEATURES: Final = (ExportFormat.PARQUET, ExportFormat.HUGGING_FACE)


def default_destination(
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    features: Sequence[str] = (),
    history: int = 0,
) -> Path:
    """Return where an export goes unless told otherwise: below the home, where erasure looks.

    What was chosen is in the name: groups by name, single columns by a hash over all that is.
    """
    purpose = "evaluation-" if isinstance(manifest, EvaluationManifest) else ""
    name = f"{manifest.snapshot_id}-{purpose}{kind}"
    name += named_choice(features, history)
    return lake.home / "exports" / manifest.tenant_id / name


def named_choice(features: Sequence[str], history: int) -> str:
    """Return the part of a folder's name that says which features were chosen."""
    chosen = sorted(set(features))
    name = "".join(f"-{feature}" for feature in chosen)
    if not set(chosen) <= {*GROUPS, ALL}:
        name = f"-{hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]}"
    return f"{name}-history-{history}" if history else name


def export_snapshot(
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    destination: Path,
    *,
    features: Sequence[str] = (),
    history: int = 0,
    on_rows: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a snapshot's rows, a README.md of the columns and the manifest to `destination`.

    `features` and `history` add columns of the examples, see `choose_features`; only formats of
    Parquet hold them. `SHA256SUMS` has a checksum of every other file, as `sha256sum --check`
    reads it. The folder appears complete, in one rename, or not at all. Raises `EtaError` when it
    is there already, when the snapshot's rows are gone or differ from the manifest, or when the
    format cannot hold a value.
    """
    destination = destination.absolute()
    chosen = choose_features(lake, manifest, features, history)
    if chosen is not None and kind not in WITH_FEATURES:
        raise EtaError(
            f"{kind} files have no place for features",
            remedy=f"export them with --format {' or '.join(WITH_FEATURES)}",
        )
    with new_folder(destination) as partial:
        _write(lake, manifest, kind, partial, chosen, on_rows)


@contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """Give a folder that becomes `destination` at the end of the block, with its `SHA256SUMS`.

    Raises `EtaError` when `destination` is there already or lies within another export, or its
    folder cannot be made.
    """
    if os.path.lexists(destination):
        raise _exists(destination)
    if outer := next((one for one in destination.parents if (one / CHECKSUMS).exists()), None):
        raise EtaError(
            f"{destination} lies within the export {outer}, whose readers would take it for a part",
            remedy="name a folder beside that export with --to",
        )
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EtaError(
            f"the folder {destination.parent} cannot be made: {error.strerror}",
            remedy="name another folder with --to",
        ) from error
    with whole_folder(destination) as partial:
        yield partial
        write_checksums(partial)
        if destination.exists():  # somebody else's export was faster
            raise _exists(destination)


def _write(
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    folder: Path,
    chosen: ChosenFeatures | None,
    on_rows: Callable[[int], None],
) -> None:
    writer = _open_writer(lake, manifest, kind, folder, chosen)
    for rows in sorted_rows(lake, manifest, folder, on_rows=on_rows, chosen=chosen):
        writer.write(with_sample_weights(rows, manifest))
    write_documents(folder, manifest, kind, chosen, writer.finish())


def write_documents(
    folder: Path, manifest: Manifest, kind: ExportFormat, chosen: ChosenFeatures | None, text: str
) -> None:
    """Write what stands beside the rows of an export: README, manifest, and what was chosen."""
    (folder / "README.md").write_text(_readme(manifest, kind, text), encoding="utf-8")
    (folder / MANIFEST).write_bytes(to_json(manifest))
    if chosen is not None:
        (folder / FEATURES).write_text(f"{json.dumps(asdict(chosen))}\n", encoding="utf-8")
    rows = sorted(path for path in folder.rglob("*.parquet") if path.parent != folder)
    if kind in WITH_FEATURES and rows:
        described = croissant.croissant(manifest, file_digests(folder), pq.read_schema(rows[0]))
        (folder / croissant.NAME).write_text(described, encoding="utf-8")


def _open_writer(
    lake: Lake, manifest: Manifest, kind: ExportFormat, folder: Path, chosen: ChosenFeatures | None
) -> ExportWriter:
    if isinstance(manifest, EvaluationManifest) and kind is ExportFormat.PERSONALIZE:
        raise EtaError(
            "Amazon Personalize divides a data set itself and has no place for a split",
            remedy="export it as parquet or recbole, or a training set with `eta export`",
        )
    if kind in WITH_FEATURES:
        is_evaluation = isinstance(manifest, EvaluationManifest)
        writer = ParquetExport if kind is ExportFormat.PARQUET else HuggingFaceExport
        return writer(
            folder,
            manifest,
            items(lake, manifest) if is_evaluation else None,
            added=chosen_fields(lake, manifest, chosen),
            meanings=chosen_columns(chosen),
        )
    if kind is ExportFormat.RECBOLE:
        return RecBoleExport(folder, manifest, items(lake, manifest))
    return PersonalizeExport(folder, manifest, items(lake, manifest))


def _readme(manifest: Manifest, kind: ExportFormat, text: str) -> str:
    counts = [
        ("positives", manifest.counts.positives),
        ("sampled negatives", manifest.counts.sampled_negatives),
        ("explicit negatives", manifest.counts.explicit_negatives),
    ]
    if manifest.counts.shown_negatives is not None:
        counts.append(("shown negatives", manifest.counts.shown_negatives))
    title = "Training set"
    if isinstance(manifest, EvaluationManifest):
        title = "Evaluation snapshot"
        counts = [(f"train: {name}", count) for name, count in counts]
        counts.append(("validation: positives", manifest.held_out.validation))
        counts.append(("test: positives", manifest.held_out.test))
    table = markdown_table(("rows", "count"), [(name, f"{count:,}") for name, count in counts])
    front = front_matter(manifest) if kind is ExportFormat.HUGGING_FACE else ""
    return (
        f"{front}# {title} of {manifest.tenant_id}, snapshot {manifest.snapshot_id} ({kind})\n\n"
        f"Seed {manifest.parameters.seed}, content hash `{manifest.content_hash}`; "
        f"everything else is in `manifest.json`.\n\n{table}\n\n{text}"
    )


def _exists(destination: Path) -> EtaError:
    return EtaError(
        f"{destination} is there already", remedy="remove it, or name another folder with --to"
    )
