"""`eta dev airflow`: a local Airflow with the project's DAGs."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.dev import show_servers
from lakehouse.cli.output import note
from lakehouse.dev.airflow import NAMES, airflow_command, start_airflow, stop_airflow
from lakehouse.dev.servers import find_server
from lakehouse.training.model_graph import write_graph

app = typer.Typer(
    help="A local Airflow on 127.0.0.1 with the DAGs loaded, its tasks on one shared Spark.",
    no_args_is_help=True,
)


@app.command()
def up(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")
    ] = 8085,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tasks that run at once.")] = 3,
) -> None:
    """Start Airflow and Spark, and say where the user interface is; what runs is left alone."""
    settings = lake_settings()
    airflow_command(settings)  # before anything is started
    note("Reading the models")
    write_graph(settings.model_copy(update={"spark_target": "connect"}))
    airflow = start_airflow(settings, port=port or None, workers=workers, on_step=note)
    note(f"Airflow is at {airflow.url}, user {airflow.user}, password {airflow.password}")
    note("The DAGs are paused until you trigger or unpause them. End it: `eta dev airflow down`.")


@app.command()
def down() -> None:
    """End Airflow and the tasks that it runs; Spark stays (`eta dev spark down`)."""
    ended = stop_airflow(lake_settings())
    note(f"{', '.join(ended)} ended." if ended else "No Airflow is running here.")


@app.command()
def status() -> None:
    """Show Airflow's processes; exit code 1 when one of them does not run."""
    folder = lake_settings().dev_dir
    show_servers(set(NAMES))
    if not all(find_server(name, folder / name) for name in NAMES):
        raise typer.Exit(1)
