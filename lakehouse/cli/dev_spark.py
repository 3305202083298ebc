"""`eta dev spark`: a Spark server that several processes share."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.dev import show_servers
from lakehouse.cli.output import note
from lakehouse.dev.servers import stop_server
from lakehouse.dev.spark import DEFAULT_PORTS, NAMES, Kind, become_spark, start_spark
from lakehouse.dev.spark_cluster import (
    HISTORY,
    MASTER,
    MAX_WORKERS,
    WORKER,
    start_cluster,
    stop_cluster,
)
from lakehouse.errors import EtaError

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
    cluster: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_WORKERS, help="A cluster of so many workers; 0: one local Spark."
        ),
    ] = 0,
    cores: Annotated[int, typer.Option(min=1, help="Cores of each worker.")] = 1,
    memory: Annotated[
        str, typer.Option(help="Memory of each worker's executor, as Spark writes it.")
    ] = "1g",
    history: Annotated[
        bool, typer.Option("--history", help="With a cluster: a history server, too.")
    ] = False,
) -> None:
    """Start the server on the lake and say how to use it; one that runs is left alone."""
    kind = _kind(thrift)
    if cluster:
        if thrift:
            raise EtaError(
                "a cluster is started with a Connect server",
                remedy="leave out --thrift, or --cluster",
            )
        _up_cluster(cluster, cores, memory, DEFAULT_PORTS[kind] if port is None else port, history)
        return
    server = start_spark(lake_settings(), kind, DEFAULT_PORTS[kind] if port is None else port)
    addresses = server.addresses
    if thrift:
        note(f"The Thrift Server listens on {addresses['host']}:{addresses['port']}. Use it with")
        note(f"  ETA_THRIFT_PORT={addresses['port']} uv run dbt build --target thrift")
    else:
        _say_connect(addresses["remote"])
    note(f"Log: {server.log}. End it with `eta dev spark down`.")


def _up_cluster(workers: int, cores: int, memory: str, port: int, with_history: bool) -> None:
    started = start_cluster(
        lake_settings(),
        workers,
        cores=cores,
        memory=memory,
        port=port or None,
        with_history=with_history,
        on_step=lambda step: note(f"{step} …"),
    )
    _say_connect(started.connect.addresses["remote"])
    note(f"Master with {len(started.workers)} workers: {started.master.addresses['url']}")
    if started.history is not None:
        note(f"History server: {started.history.addresses['url']}")
    note("Addresses and logs: `eta dev spark status`. End it with `eta dev spark down`.")


def _say_connect(remote: str) -> None:
    note(f"Spark Connect listens on {remote}. Use it with")
    note(f"  ETA_SPARK_REMOTE={remote} DBT_TARGET=connect uv run eta prepare")


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
    settings = lake_settings()
    ended = [*stop_cluster(settings)]
    ended += [n for n in NAMES.values() if stop_server(n, settings.dev_dir / n)]
    note(f"{' and '.join(ended)} ended." if ended else "No Spark server is running here.")


@app.command()
def status() -> None:
    """Show the Spark servers that run here; exit code 1 when there is none."""
    workers = {f"{WORKER}{number}" for number in range(1, MAX_WORKERS + 1)}
    if not show_servers({*NAMES.values(), MASTER, HISTORY, *workers}):
        raise typer.Exit(1)


def _kind(thrift: bool) -> Kind:
    return "thrift" if thrift else "connect"
