"""`eta run`: a person's own files from end to end."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.end_to_end import run_end_to_end
from lakehouse.cli.input_files import input_files
from lakehouse.cli.run_files import RunOrder, checked_files
from lakehouse.contracts.kinds import OnError
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.control.settings_file import read_settings


def run(
    tenant: Annotated[str, typer.Option(help="Id of the tenant; added if it is new.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Interactions: CSV, JSON, .xlsx, Parquet, Avro; folders, patterns."),
    ] = None,
    interactions: Annotated[
        list[str] | None, typer.Option(help="The same, as an option; may be repeated.")
    ] = None,
    items: Annotated[
        list[str] | None, typer.Option(help="Files of the catalogue; may be repeated.")
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option(help="Files of users, read by the mapping `users` if the tenant has it."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Tenant settings as YAML or JSON."),
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(help="Name of the source mapping of the interactions.")
    ] = None,
    items_mapping: Annotated[
        str | None,
        typer.Option(
            help="… of the catalogue; without --items it is read from the files of interactions. "
            "Default: `items`, where the tenant has one."
        ),
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="With a wrong row: store nothing of its file, or the good rows.")
    ] = OnError.REJECT,
    encoding: Annotated[
        str | None, typer.Option(help="Of the interactions. Default: told from each file.")
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Characters between fields of interactions, or `tab`. Default: told."),
    ] = None,
) -> None:
    """Upload files through the service and build features and training data from them.

    Headers, mappings and the lock of the models are looked at before anything is started. Where
    the tenant has no mapping and the files are not as the contract has them, one is proposed: on a
    terminal you are asked, elsewhere the command ends with 1 and says what to type.
    """
    order = RunOrder(
        check_tenant_id(tenant),
        input_files([*(files or []), *(interactions or [])]),
        input_files(items or []),
        input_files(users or []),
        None if settings is None else read_settings(settings),
        mapping,
        items_mapping,
        on_error,
        encoding,
        delimiter,
    )
    run_end_to_end(lake_settings(), [checked_files(lake_settings(), order)])
