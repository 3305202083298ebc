"""`eta webhooks`: sources of signed messages, their secrets and how they are read."""

from typing import Annotated

import typer

from lakehouse.cli.control import control_database, operator
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.tenants import TenantArgument
from lakehouse.contracts.kinds import DataType
from lakehouse.errors import EtaError

app = typer.Typer(help="Let other systems send signed messages.", no_args_is_help=True)

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id, wh_….")]


@app.command()
def add(
    tenant_id: TenantArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for people.")],
    adapter: Annotated[str, typer.Option(help="generic, or segment.")] = "generic",
    data_type: Annotated[
        DataType | None,
        typer.Option(help="What the rows are.", show_default="interactions; segment: clickstream"),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            help="The tenant's source mapping that reads them.",
            show_default="the contract's names; segment: segment",
        ),
    ] = None,
) -> None:
    """Add a source and print its signing secret, alone on stdout, for the only time."""
    from lakehouse.contracts.mapping import refuse_file_settings  # loads polars

    is_segment = adapter == "segment"
    read_as = data_type or (DataType.CLICKSTREAM if is_segment else DataType.INTERACTIONS)
    with control_database() as database:
        if mapping is not None:
            refuse_file_settings(database.tenant_settings(tenant_id).mapping(mapping, read_as))
        made = database.webhooks.add(
            tenant_id,
            name,
            adapter=adapter,
            data_type=read_as.value,
            mapping=mapping or ("segment" if is_segment else "contract"),
            by=operator(),
        )
    typer.echo(made.secret)
    note(
        f"Keep it now: it is shown this once. Messages go to POST /v1/webhooks/{made.source_id}, "
        "signed as Standard Webhooks has it."
    )


@app.command("list")
def list_(
    tenant_id: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="One tenant; default: all.")
    ] = None,
) -> None:
    """List sources without their secrets; the last uses are exact to a minute.

    `waiting`: messages that are kept and not stored yet; after a minute there should be none.
    """
    with control_database() as database:
        if tenant_id is None:
            owners = [tenant.tenant_id for tenant in database.tenants.list()]
        else:
            owners = [database.tenants.get(tenant_id).tenant_id]
        found = [source for owner in owners for source in database.webhooks.list(owner)]
        waiting = database.messages.waiting()
    print_rows(
        (
            "source",
            "tenant",
            "name",
            "adapter",
            "data",
            "mapping",
            "secrets",
            "last used",
            "removed",
            "old secret used",
            "waiting",
        ),
        [
            (
                s.source_id,
                s.tenant_id,
                s.name,
                s.adapter,
                s.data_type,
                s.mapping,
                2 if s.has_previous else 1,
                s.last_used_at,
                s.removed_at,
                s.previous_used_at,
                waiting.get(s.source_id, 0),
            )
            for s in found
        ],
    )


@app.command()
def rotate(source_id: SourceArgument) -> None:
    """Make a new secret; the present one stays good beside it until `retire`."""
    with control_database() as database:
        if database.webhooks.get(source_id).has_previous:
            raise EtaError(
                "the source has two secrets already",
                remedy=f"end the last rotation first: `eta webhooks retire {source_id}`",
            )
        made = database.webhooks.rotate(source_id, by=operator())
    typer.echo(made.secret)
    note(f"Keep it now. When the sender uses it: `eta webhooks retire {source_id}`.")


@app.command()
def retire(source_id: SourceArgument) -> None:
    """Refuse the secret from before the rotation from now on."""
    with control_database() as database:
        database.webhooks.retire(source_id, by=operator())
    note(f"{source_id} has one secret.")


@app.command()
def remove(source_id: SourceArgument) -> None:
    """Refuse everything that a source sends from now on."""
    with control_database() as database:
        database.webhooks.remove(source_id, by=operator())
    note(f"Removed {source_id}.")
