"""Writes an export: whole or not at all, from the versions that a snapshot pins."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import whole_folder
from lakehouse.training.export.base import ExportWriter, markdown_table
from lakehouse.training.export.catalogue import items
from lakehouse.training.export.checksums import write_checksums
from lakehouse.training.export.parquet import ParquetExport
from lakehouse.training.export.personalize import PersonalizeExport
from lakehouse.training.export.recbole import RecBoleExport
from lakehouse.training.manifest import EvaluationManifest, Manifest
from lakehouse.training.rows import sorted_rows
from lakehouse.training.sample_weights import with_sample_weights
from lakehouse.training.snapshots import to_json


class ExportFormat(StrEnum):
    """The formats of an export."""

    PARQUET = "parquet"
    RECBOLE = "recbole"
    PERSONALIZE = "personalize"


def default_destination(lake: Lake, manifest: Manifest, kind: ExportFormat) -> Path:
    """Return where an export goes unless told otherwise: below the home, where erasure looks."""
    purpose = "evaluation-" if isinstance(manifest, EvaluationManifest) else ""
    name = f"{manifest.snapshot_id}-{purpose}{kind}"
    return lake.home / "exports" / manifest.tenant_id / name


def export_snapshot(
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    destination: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a snapshot's rows, a README.md of the columns and the manifest to `destination`.

    The folder appears complete, in one rename, or not at all. Raises `EtaError` when it is there
    already, when the snapshot's rows are gone or differ from the manifest, or when the format
    cannot hold a value.
    """
    destination = destination.absolute()
    if destination.exists():
        raise _exists(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(destination) as partial:
        _write(lake, manifest, kind, partial, on_rows)
        if destination.exists():  # somebody else's export was faster
            raise _exists(destination)


def _write(
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    folder: Path,
    on_rows: Callable[[int], None],
) -> None:
    writer = _open_writer(lake, manifest, kind, folder)
    for rows in sorted_rows(lake, manifest, folder, on_rows=on_rows):
        writer.write(with_sample_weights(rows, manifest))
    text = writer.finish()
    (folder / "README.md").write_text(_readme(manifest, kind, text), encoding="utf-8")
    (folder / "manifest.json").write_bytes(to_json(manifest))
    write_checksums(folder)


def _open_writer(lake: Lake, manifest: Manifest, kind: ExportFormat, folder: Path) -> ExportWriter:
    if isinstance(manifest, EvaluationManifest) and kind is ExportFormat.PERSONALIZE:
        raise EtaError(
            "Amazon Personalize divides a data set itself and has no place for a split",
            remedy="export it as parquet or recbole, or a training set with `eta export`",
        )
    if kind is ExportFormat.PARQUET:
        is_evaluation = isinstance(manifest, EvaluationManifest)
        return ParquetExport(folder, manifest, items(lake, manifest) if is_evaluation else None)
    if kind is ExportFormat.RECBOLE:
        return RecBoleExport(folder, manifest, items(lake, manifest))
    return PersonalizeExport(folder, manifest, items(lake, manifest))


def _readme(manifest: Manifest, kind: ExportFormat, text: str) -> str:
    counts = [
        ("positives", manifest.counts.positives),
        ("sampled negatives", manifest.counts.sampled_negatives),
        ("explicit negatives", manifest.counts.explicit_negatives),
    ]
    title = "Training set"
    if isinstance(manifest, EvaluationManifest):
        title = "Evaluation snapshot"
        counts = [(f"train: {name}", count) for name, count in counts]
        counts.append(("validation: positives", manifest.held_out.validation))
        counts.append(("test: positives", manifest.held_out.test))
    table = markdown_table(("rows", "count"), [(name, f"{count:,}") for name, count in counts])
    return (
        f"# {title} of {manifest.tenant_id}, snapshot {manifest.snapshot_id} ({kind})\n\n"
        f"Seed {manifest.parameters.seed}, content hash `{manifest.content_hash}`; "
        f"everything else is in `manifest.json`.\n\n{table}\n\n{text}"
    )


def _exists(destination: Path) -> EtaError:
    return EtaError(
        f"{destination} is there already", remedy="remove it, or name another folder with --to"
    )
