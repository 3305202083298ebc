"""`eta dbt`: plain dbt on the models, wherever they are installed."""

import os
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.training.build import dbt_environment


def dbt(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="DBT-COMMAND", help="As dbt reads it.")
    ] = None,
) -> None:
    """Run a dbt command on the models, from any folder: `eta dbt build --select user_features`.

    The options are dbt's own. What dbt writes goes into the checkout, without one into the home.
    """
    from dbt.cli.main import cli

    os.environ.update(dbt_environment(lake_settings()))
    cli.main(arguments or [], prog_name="dbt")
