"""Writes an export: whole or not at all, from the versions that a snapshot pins."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.working_folder import FolderInUseError, working_folder
from lakehouse.training.export import croissant, journal
from lakehouse.training.export.base import ExportWriter, markdown_table
from lakehouse.training.export.catalogue import items
from lakehouse.training.export.checksums import CHECKSUMS, file_digests, write_checksums
from lakehouse.training.export.feast import FeastExport, chosen_for_feast
from lakehouse.training.export.features import (
    ALL,
    GROUPS,
    choose_features,
    chosen_columns,
    chosen_fields,
)
from lakehouse.training.export.gorse import GorseExport
from lakehouse.training.export.hugging_face import HuggingFaceExport, front_matter
from lakehouse.training.export.journal import Journal
from lakehouse.training.export.left import told_of_others
from lakehouse.training.export.parquet import ParquetExport
from lakehouse.training.export.personalize import PersonalizeExport
from lakehouse.training.export.recbole import RecBoleExport
from lakehouse.training.export.rectools import RecToolsExport
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
    RECTOOLS = "rectools"
    GORSE = "gorse"
    FEAST = "feast"


MANIFEST: Final = "manifest.json"
FEATURES: Final = "features.json"
"""The file that says which features an export has; not there without any."""
WITH_FEATURES: Final = (ExportFormat.PARQUET, ExportFormat.HUGGING_FACE)
"""Formats whose rows have the chosen features; deltas fit them."""
TAKES_FEATURES: Final = (*WITH_FEATURES, ExportFormat.RECTOOLS)
"""Formats that features can be chosen for."""


_WITHOUT_SPLITS: Final = {
    ExportFormat.PERSONALIZE: "Amazon Personalize",
    ExportFormat.GORSE: "Gorse",
}

_OF_THE_PLACE: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.EIO),
    }
)
"""What is wrong with a place that an export goes to, and not with the export."""


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
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write a snapshot's rows, a README.md of the columns and the manifest to `destination`.

    `features` and `history` add columns of the examples, see `choose_features`; only formats of
    Parquet hold them. `SHA256SUMS` has a checksum of every other file, as `sha256sum --check`
    reads it. The folder appears complete, in one rename, or not at all. Files that a killed export
    of the same has finished are taken over, and `say` hears what becomes of what it left. Raises
    `EtaError` when the folder is there already or another process is making it, when the
    snapshot's rows are gone or differ from the manifest, or when the format cannot hold a value.
    """
    destination = destination.absolute()
    chosen = choose_features(lake, manifest, features, history)
    if kind is ExportFormat.FEAST:
        chosen = chosen_for_feast(lake, manifest, chosen)
    elif chosen is not None and kind not in TAKES_FEATURES:
        raise EtaError(
            f"{kind} files have no place for features",
            remedy=f"export them with --format {' or '.join(TAKES_FEATURES)}",
        )
    with new_folder(destination) as partial, ExitStack() as scratch:
        finished = begin(partial, str(kind), to_json(manifest), chosen, say)
        writer = _open_writer(lake, manifest, kind, partial, chosen, finished, scratch)
        rows = sorted_rows(
            lake, manifest, partial, on_rows=on_rows, chosen=chosen, is_done=writer.has_all
        )
        for frame in scratch.enter_context(closing(rows)):
            writer.write(with_sample_weights(frame, manifest))
        text = writer.finish()
        scratch.close()
        told = None if kind is ExportFormat.FEAST else chosen  # its rows have none
        write_documents(partial, manifest, kind, told, text)


@contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """Give a folder that becomes `destination` at the end of the block, with its `SHA256SUMS`.

    It may hold what a killed process left there. Raises `EtaError` when `destination` is there
    already, is being made by another process or lies within another export, or its folder cannot
    be made.
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
    try:
        with working_folder(destination) as partial:
            if os.path.lexists(destination):  # another one has ended meanwhile
                raise _exists(destination)
            yield partial
            write_checksums(partial, without=journal.NAME)
            (partial / journal.NAME).unlink(missing_ok=True)
            if destination.exists():
                raise _exists(destination)
    except FolderInUseError as error:
        raise EtaError(
            f"another process is writing {destination} at this moment",
            remedy="wait until it has ended, or name another folder with --to",
        ) from error
    except OSError as error:
        if error.errno not in _OF_THE_PLACE:
            raise
        raise EtaError(
            f"{destination} cannot be written: {os.strerror(error.errno)}",
            remedy=f"look at {error.filename or destination.parent}: make room, or put it right; "
            "or name another folder with --to",
        ) from error


def begin(
    folder: Path,
    kind: str,
    rows: bytes,
    chosen: ChosenFeatures | None,
    say: Callable[[str], None],
) -> Journal:
    """Return the journal of an export in a new folder, and say what is taken over of a killed one.

    What is exported is told by `kind`, by `rows`, which name its rows (manifests or checksums), and
    by what was chosen. Files that another version of the writers made are not taken over.
    """
    job = {
        "kind": kind,
        "rows": hashlib.sha256(rows).hexdigest(),
        "features": None if chosen is None else [list(chosen.columns), chosen.history],
        "written_by": {name: version(name) for name in ("eta-lakehouse", "polars", "pyarrow")},
    }
    begun = Journal(folder, job)
    if others := told_of_others(folder):
        say(others)
    if begun.left_files:
        say(
            f"Going on where a killed export was: {begun.left_files:,} finished files with "
            f"{begun.left_rows:,} rows are as they were written, and stay."
        )
    elif begun.is_continued:
        say("A killed export of the same had finished no file that can be used: beginning anew.")
    elif begun.is_of_another:
        say("What was left of another export into this folder was removed: beginning anew.")
    return begun


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
    lake: Lake,
    manifest: Manifest,
    kind: ExportFormat,
    folder: Path,
    chosen: ChosenFeatures | None,
    finished: Journal,
    scratch: ExitStack,
) -> ExportWriter:
    """Return the writer of a format; what it needs for a while is given up with `scratch`."""
    if isinstance(manifest, EvaluationManifest) and kind in _WITHOUT_SPLITS:
        raise EtaError(
            f"{_WITHOUT_SPLITS[kind]} divides a data set itself and has no place for a split",
            remedy="export it as parquet, recbole or rectools, or a training set with `eta export`",
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
            journal=finished,
        )
    if kind is ExportFormat.RECBOLE:
        return RecBoleExport(folder, manifest, items(lake, manifest))
    if kind is ExportFormat.RECTOOLS:
        return RecToolsExport(folder, manifest, items(lake, manifest), chosen, finished)
    if kind is ExportFormat.GORSE:
        return GorseExport(folder, manifest, items(lake, manifest))
    if kind is ExportFormat.FEAST:
        return FeastExport(lake, folder, manifest, finished, scratch)
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
