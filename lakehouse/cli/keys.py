"""`eta keys`: make, list, rotate and revoke API keys."""

from datetime import timedelta
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, operator
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.tenants import TenantArgument

app = typer.Typer(help="Make, rotate and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    tenant_id: TenantArgument,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="ingest, read, admin or privacy; may be given again.", show_default="ingest"
        ),
    ] = None,
) -> None:
    """Make a key and print it, alone on stdout, for the only time."""
    with control_database() as database:
        key = database.keys.create(tenant_id, frozenset(scope or ("ingest",)), by=operator())
    typer.echo(key.secret)
    note(f"Keep it now: it is shown this once. To withdraw it: `eta keys revoke {key.key_id}`.")


@app.command("list")
def list_(
    tenant_id: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="One tenant; default: all.")
    ] = None,
) -> None:
    """List keys without their secrets; the last use is exact to a minute."""
    with control_database() as database:
        if tenant_id is None:
            owners = [tenant.tenant_id for tenant in database.tenants.list()]
        else:
            owners = [database.tenants.get(tenant_id).tenant_id]
        found = [key for owner in owners for key in database.keys.list(owner)]
    print_rows(
        ("key", "tenant", "scopes", "created", "last used", "expires", "revoked"),
        [
            (
                k.key_id,
                k.tenant_id,
                k.scopes,
                k.created_at,
                k.last_used_at,
                k.expires_at,
                k.revoked_at,
            )
            for k in found
        ],
    )


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, not its secret.")],
    overlap: Annotated[
        float, typer.Option(metavar="HOURS", min=0, max=87_600, help="How long both keys are good.")
    ] = 24,
) -> None:
    """Make a key in the place of another, which is refused when the overlap is over."""
    with control_database() as database:
        key = database.keys.rotate(key_id, timedelta(hours=overlap), by=operator())
    typer.echo(key.secret)
    note(f"Keep it now: it is shown this once. {key_id} is good for {overlap:g} more hours.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, not its secret.")],
) -> None:
    """Refuse a key from now on."""
    with control_database() as database:
        database.keys.revoke(key_id, by=operator())
    note(f"Revoked {key_id}.")
