"""`eta dev registry`: a schema registry for development."""

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.dev.registry import URL, find_registry, start_registry, stop_registry

app = typer.Typer(help="A Confluent-compatible schema registry.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Start the registry and print its URL. 109 MB are fetched once."""
    note("Starting the registry …")
    typer.echo(start_registry(lake_settings()).addresses[URL])
    note("Register the schemas with `eta schemas register`; it keeps them until it ends.")


@app.command()
def down() -> None:
    """End the registry; its schemas are gone with it."""
    ran = stop_registry(lake_settings())
    note("The registry has ended." if ran else "No registry was running here.")


@app.command()
def status() -> None:
    """Show whether it runs and where."""
    server = find_registry(lake_settings())
    if server is None:
        note("No registry is running here; start one with `eta dev registry up`.")
        raise typer.Exit(1)
    typer.echo(server.addresses[URL])
    note(f"process {server.pid}, log {server.log}")
