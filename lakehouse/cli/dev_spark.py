"""`eta dev spark`: a Spark server that several processes share."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.dev import show_servers
from lakehouse.cli.output import note
from lakehouse.dev.servers import stop_server
from lakehouse.dev.spark import DEFAULT_PORTS, NAMES, Kind, become_spark, start_spark

app = typer.Typer(
    help="One long-lived Spark for dbt, the checks and the tasks of a scheduler.",
    no_args_is_help=True,
)

ThriftOption = Annotated[
    bool, typer.Option("--thrift", help="The Thrift Server instead of Spark Connect.")
]


@app.command()
def up(
    thrift: ThriftOption = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port on 127.0.0.1; 0: a free one. Default: 15002 or 10000."
        ),
    ] = None,
) -> None:
    """Start the server on the local lake and say how to use it; one that runs is left alone."""
    kind = _kind(thrift)
    server = start_spark(lake_settings(), kind, DEFAULT_PORTS[kind] if port is None else port)
    addresses = server.addresses
    if thrift:
        note(f"The Thrift Server listens on {addresses['host']}:{addresses['port']}. Use it with")
        note(f"  ETA_THRIFT_PORT={addresses['port']} uv run dbt build --target thrift")
    else:
        note(f"Spark Connect listens on {addresses['remote']}. Use it with")
        note(f"  ETA_SPARK_REMOTE={addresses['remote']} DBT_TARGET=connect uv run eta prepare")
    note(f"Log: {server.log}. End it with `eta dev spark down`.")


@app.command()
def serve(
    thrift: ThriftOption = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port.")] = None,
) -> None:
    """Be the server, in the foreground: what a container runs. It asks nobody who they are."""
    kind = _kind(thrift)
    become_spark(lake_settings(), kind, host, port or DEFAULT_PORTS[kind])


@app.command()
def down() -> None:
    """End the servers that `up` has started here."""
    folder = lake_settings().dev_dir
    ended = [name for name in NAMES.values() if stop_server(name, folder / name)]
    note(f"{' and '.join(ended)} ended." if ended else "No Spark server is running here.")


@app.command()
def status() -> None:
    """Show the Spark servers that run here; exit code 1 when there is none."""
    if not show_servers(set(NAMES.values())):
        raise typer.Exit(1)


def _kind(thrift: bool) -> Kind:
    return "thrift" if thrift else "connect"
