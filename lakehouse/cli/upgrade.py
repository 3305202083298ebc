"""`eta upgrade`: bring everything up to what the installed version needs."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.control.schema import HEAD
from lakehouse.jobs.upgrade import Lag, has_tables, lags
from lakehouse.jobs.upgrade import upgrade as upgrade_all
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import newest_layout


def upgrade(
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; exit code 1 if anything is behind."),
    ] = False,
) -> None:
    """Bring the control database, the lake and its tables up to what this version needs.

    Says what is behind and what is done to it. Safe to repeat, also after it was killed; no run of
    the models goes on meanwhile.
    """
    settings = lake_settings()
    if check:
        found = lags(settings)
        for lag in found:
            _tell(lag)
        if found:
            note(f"{len(found)} behind: run `eta upgrade`.")
            raise typer.Exit(1)
    else:
        count = upgrade_all(settings, _tell)
        if count:
            note(f"{count} upgraded.")
            return
    if not has_tables(Lake(settings)):
        note("There is no lake here yet: what writes first makes it as this version needs it.")
        return
    note(f"Nothing is behind: control database {HEAD}, layout {newest_layout()}.")


def _tell(lag: Lag) -> None:
    typer.echo(f"{lag.what}: {lag.change}")
