"""`eta dev s3`: an S3 for development."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.dev.s3 import exports, find_s3, start_s3, stop_s3

app = typer.Typer(help="A local S3 with a bucket for the lake, in memory.", no_args_is_help=True)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
) -> None:
    """Start it and print the two variables that put the lake there: `eval "$(eta dev s3 up)"`."""
    note("Starting S3 …")
    typer.echo(exports(start_s3(lake_settings(), port)))
    note("Its objects live in memory: they are gone when it ends. The models need the one Spark")
    note("server of the lake: `eta dev spark up`, then `eta prepare` with DBT_TARGET=connect.")


@app.command()
def down() -> None:
    """End it; its objects are gone with it."""
    note("S3 has ended." if stop_s3(lake_settings()) else "No S3 was running here.")


@app.command()
def status() -> None:
    """Show whether it runs, and the variables that put the lake there."""
    server = find_s3(lake_settings())
    if server is None:
        note("No S3 is running here; start one with `eta dev s3 up`.")
        raise typer.Exit(1)
    typer.echo(exports(server))
    note(f"process {server.pid}, log {server.log}")
