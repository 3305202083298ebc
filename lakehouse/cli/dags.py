"""`eta dags`: what the scheduler's DAGs are rendered from."""

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.training.model_graph import write_graph

app = typer.Typer(help="Prepare what the Airflow DAGs need.", no_args_is_help=True)


@app.command()
def build() -> None:
    """Write the graph of models that the DAGs are rendered from; again after a model changed."""
    note(f"Wrote {write_graph(lake_settings())}")
