"""`eta db`: the control database's schema."""

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.control.schema import HEAD
from lakehouse.control.upgrade import current_revision, upgrade_database

app = typer.Typer(help="Upgrade the control database.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the control database to this version's schema; safe to repeat and to run twice."""
    note(f"The control database stands at revision {upgrade_database(_url())}.")


@app.command()
def current() -> None:
    """Print the revision the control database stands at, and the one this version needs."""
    typer.echo(current_revision(_url()) or "none")
    note(f"This version needs {HEAD}.")


def _url() -> str:
    return lake_settings().control_url
