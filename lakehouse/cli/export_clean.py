"""`eta export-clean`: deletes what killed exports have left."""

from pathlib import Path
from typing import Annotated

import typer
from rich import filesize

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.export.left import delete_left, export_places, left_exports


def clean(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Where exports went with --to, the folder above; default: below the home.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is there.")] = False,
) -> None:
    """Delete the hidden folders that killed exports have left, and say which.

    The same export, run again, would go on in them. Those in which an export is being made are left
    alone, and so is every folder that no export has made.
    """
    places = (
        [one.absolute() for one in folders] if folders else export_places(Lake(lake_settings()))
    )
    if missing := [place for place in places if folders and not place.is_dir()]:
        raise EtaError(
            f"{missing[0]} is no folder: nothing was looked at",
            remedy="name the folder that exports went to with --to, the one above theirs",
        )
    found = left_exports(places)
    rows = []
    for one in found:
        done = "is there" if dry_run else "deleted" if delete_left(one) else "in use now"
        rows.append((one.folder, filesize.decimal(one.bytes), one.changed_at, done))
    print_rows(("folder", "bytes", "last written", "what became of it"), rows)
    if not found:
        note("No killed export has left anything there.")
