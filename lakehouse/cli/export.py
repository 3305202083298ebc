"""`eta export`: a published training set as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.features import MAX_HISTORY
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import find_snapshot

DestinationOption = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="New folder; default: below `exports` in the home."),
]


def export(
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="What is to read the files.")
    ] = ExportFormat.PARQUET,
    snapshot: Annotated[str, typer.Option(help="A snapshot's id.")] = "current",
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Features of the examples, with commas between: user, item, context, all, or "
            "names of columns.",
        ),
    ] = None,
    history: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_HISTORY, help="How many of the user's interactions before each event."
        ),
    ] = 0,
    to: DestinationOption = None,
) -> None:
    """Write a snapshot's rows to a folder, which appears whole or not at all."""
    settings = lake_settings()
    manifest = find_snapshot(Lake(settings), tenant, snapshot)
    wanted = [] if features is None else [name.strip() for name in features.split(",")]
    export_and_tell(settings, manifest, kind, to, features=wanted, history=history)


def export_and_tell(
    settings: LakeSettings,
    manifest: Manifest,
    kind: ExportFormat,
    to: Path | None,
    *,
    features: Sequence[str] = (),
    history: int = 0,
) -> None:
    """Export a snapshot with a bar of progress; print the folder alone on stdout."""
    place = default_destination(Lake(settings), manifest, kind, features, history)
    destination = (to or place).absolute()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Rows", total=manifest.row_count)
        export_snapshot(
            Lake(settings),
            manifest,
            kind,
            destination,
            features=features,
            history=history,
            on_rows=lambda count: progress.advance(task, count),
        )
    note(f"{manifest.row_count:,} rows of snapshot {manifest.snapshot_id} were read.")
    note(f"What the files hold: {destination / 'README.md'}")
    typer.echo(destination)
