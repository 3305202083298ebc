"""`eta run`: a person's own file from end to end."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings


def run(
    tenant: Annotated[str, typer.Option(help="Id of the tenant; added if it is new.")],
    interactions: Annotated[
        str, typer.Option(help="Interactions: a file (CSV, JSON, .xlsx, Parquet, Avro) or folder.")
    ],
    items: Annotated[str | None, typer.Option(help="The catalogue: a file or folder.")] = None,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Tenant settings as YAML or JSON."),
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(help="Name of the source mapping of the interactions.")
    ] = None,
) -> None:
    """Upload a file through the service and build features and training data from it."""
    from lakehouse.cli.end_to_end import TenantFiles, run_end_to_end
    from lakehouse.cli.input_files import input_files
    from lakehouse.contracts.tenant import check_tenant_id
    from lakehouse.control.settings_file import read_settings

    wanted = TenantFiles(
        check_tenant_id(tenant),
        input_files([interactions]),
        [] if items is None else input_files([items]),
        settings=None if settings is None else read_settings(settings),
        mapping=mapping,
    )
    run_end_to_end(lake_settings(), [wanted])
