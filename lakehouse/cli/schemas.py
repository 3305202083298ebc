"""`eta schemas`: the project's Avro schemas against a registry."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.dev.addresses import registry_address
from lakehouse.errors import EtaError
from lakehouse.storage.registry import Registry

app = typer.Typer(
    help="The Avro schemas of messages and the schema registry.", no_args_is_help=True
)

Url = Annotated[
    str | None,
    typer.Option(
        envvar="ETA_STREAM_REGISTRY_URL", help="Registry. Default: the one of `eta dev registry`."
    ),
]


@app.command()
def check(url: Url = None) -> None:
    """Say whether each schema may follow what the registry has (BACKWARD); exit code 1 if not."""
    found = _registry(url).check()
    print_rows(
        ("subject", "state", "id", "problem"),
        [(one.subject, one.state, one.schema_id, one.problem) for one in found],
    )
    if any(one.state == "incompatible" for one in found):
        note("Messages of the older schema could not be read any more. Give new fields a default,")
        note("keep names and types of those that are there.")
        raise typer.Exit(1)


@app.command()
def register(url: Url = None) -> None:
    """Register the schemas that the registry lacks, with compatibility BACKWARD."""
    found = _registry(url).register()
    print_rows(("subject", "state", "id"), [(s.subject, s.state, s.schema_id) for s in found])


def _registry(url: str | None) -> Registry:
    found = url or registry_address(lake_settings())
    if found is None:
        raise EtaError(
            "no schema registry is set, and none of `eta dev` is running here",
            remedy="start one with `eta dev registry up`, or give --url",
        )
    return Registry(found)
