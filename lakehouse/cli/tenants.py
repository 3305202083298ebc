"""`eta tenants`: add customers and decide how their data is read.

Other light commands import it for `TenantArgument`, so what only some of its commands need is
imported by them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.control import control_database, operator
from lakehouse.cli.output import note, print_rows

if TYPE_CHECKING:
    from lakehouse.contracts.tenant import TenantSettings

app = typer.Typer(help="Add tenants and change their settings.", no_args_is_help=True)

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
_SETTINGS_HELP = "Settings as YAML or JSON; what it leaves out takes the default."


@app.command()
def add(
    tenant_id: TenantArgument,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    settings: Annotated[Path | None, typer.Option(metavar="FILE", help=_SETTINGS_HELP)] = None,
) -> None:
    """Add a tenant."""
    wanted = None if settings is None else _read(settings)
    with control_database() as database:
        database.tenants.add(tenant_id, name=name, settings=wanted, by=operator())
    note(f"Added {tenant_id}. Next: `eta keys create {tenant_id}`.")


@app.command("list")
def list_() -> None:
    """List the tenants."""
    with control_database() as database:
        found = database.tenants.list()
    print_rows(
        ("tenant", "name", "created"),
        [(tenant.tenant_id, tenant.name, tenant.created_at) for tenant in found],
    )


@app.command()
def show(tenant_id: TenantArgument) -> None:
    """Show a tenant's settings as YAML that `set` reads back."""
    import yaml

    from lakehouse.control.tenants import settings_document

    with control_database() as database:
        tenant = database.tenants.get(tenant_id)
        document = settings_document(database.tenant_settings(tenant_id))
    note(f"{tenant.tenant_id}: {tenant.name}, since {tenant.created_at:%Y-%m-%d}")
    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


@app.command("set")
def set_(
    tenant_id: TenantArgument,
    settings: Annotated[Path, typer.Option(metavar="FILE", help=_SETTINGS_HELP)],
) -> None:
    """Replace a tenant's settings; earlier versions are kept in the database."""
    wanted = _read(settings)
    with control_database() as database:
        version = database.set_tenant_settings(tenant_id, wanted, by=operator())
    note(f"{tenant_id} has settings version {version}.")


@app.command()
def costs(
    tenant: Annotated[str | None, typer.Option(help="This tenant alone.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Runs of so many days.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="By stage, as JSON.")] = False,
) -> None:
    """Show what each tenant keeps in the lake, and its share of what the runs took.

    What no tenant alone has caused stands under "(shared)"; the sums are what was measured.
    """
    from lakehouse.cli.costs import print_costs

    print_costs(tenant, days, as_json=as_json)


@app.command("log")
def log(
    tenant_id: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="One tenant; default: all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries.")] = 100,
) -> None:
    """Show what was done to tenants, keys and webhook sources, and by whom; newest first."""
    with control_database() as database:
        found = database.audit.list(tenant_id, limit=limit)
    print_rows(
        ("time", "by", "action", "tenant", "subject", "detail"),
        [
            (e.at, e.actor, e.action, e.tenant_id, e.subject, _shown(e.detail) or None)
            for e in found
        ],
    )


def _shown(detail: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in detail.items())


def _read(path: Path) -> "TenantSettings":
    from lakehouse.control.settings_file import read_settings

    return read_settings(path)
