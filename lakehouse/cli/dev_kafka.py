"""`eta dev kafka`: a Kafka broker for development."""

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.dev.kafka import BOOTSTRAP, find_broker, start_broker, stop_broker, topic_sizes

app = typer.Typer(help="A Kafka broker (KRaft) with the project's topics.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Start the broker, make the topics, print where it listens. 43 MB are fetched once."""
    note("Starting the broker …")
    server = start_broker(lake_settings())
    typer.echo(server.addresses[BOOTSTRAP])
    note("`eta consume` and `eta produce` of this home find it by themselves.")


@app.command()
def down() -> None:
    """End the broker; its messages stay for the next start."""
    note("The broker has ended." if stop_broker(lake_settings()) else "No broker was running here.")


@app.command()
def status() -> None:
    """Show whether it runs, and its topics with their partitions and messages."""
    server = find_broker(lake_settings())
    if server is None:
        note("No broker is running here; start one with `eta dev kafka up`.")
        raise typer.Exit(1)
    note(f"running at {server.addresses[BOOTSTRAP]}, process {server.pid}, log {server.log}")
    sizes = topic_sizes(server.addresses[BOOTSTRAP])
    print_rows(("topic", "partitions", "messages"), sizes)
