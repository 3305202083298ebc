"""`eta dev`: servers for development and tests, started and ended on this machine."""

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.dev.servers import all_servers, stop_server

app = typer.Typer(
    help="Start and end servers for development: plain processes on 127.0.0.1, no Docker.",
    no_args_is_help=True,
)


@app.command()
def status() -> None:
    """Show the servers that run, where they listen and where they log."""
    show_servers()


def show_servers(names: set[str] | None = None) -> bool:
    """Print the running servers (of `names`); return whether there is one."""
    found = all_servers(lake_settings().dev_dir)
    servers = [server for server in found if names is None or server.name in names]
    if not servers:
        note("No server of `eta dev` is running here.")
        return False
    print_rows(
        ("server", "state", "process", "addresses", "log"),
        [
            (s.name, "running", s.pid, ", ".join(f"{k}={v}" for k, v in s.addresses.items()), s.log)
            for s in servers
        ],
    )
    return True


@app.command()
def down() -> None:
    """End every server that `eta dev` has started here."""
    folder = lake_settings().dev_dir
    for server in all_servers(folder):
        stop_server(server.name, folder / server.name)
        note(f"{server.name} has ended.")
