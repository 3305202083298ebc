"""`eta inspect`: what a file is, and a source mapping for it to edit."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.inspecting import FileToLookAt, LookedAtError, look_at, show, show_proposal
from lakehouse.cli.output import note
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.opening import existing_database
from lakehouse.control.settings_file import read_settings
from lakehouse.control.tenants import TenantNotFound
from lakehouse.errors import EtaError

TENANT = "TENANT"


def inspect(
    file: Annotated[
        Path, typer.Argument(help="The file.", exists=True, dir_okay=False, readable=True)
    ],
    data_type: Annotated[
        DataType | None, typer.Option("--type", help="What the rows are. Default: told from them.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Read it with the settings that this tenant has.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Tenant settings as YAML or JSON."),
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(help="Try this source mapping instead of proposing one.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Default: told from the file.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Characters between fields, or `tab`. Default: told.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Of a workbook, the sheet: its name or number.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the proposed settings to this new file."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what the service would answer.")
    ] = False,
) -> None:
    """Say what a file is, propose a source mapping and show its rows under it; store nothing.

    The first 8 MiB are looked at.
    """
    if save is not None and save.exists():
        raise EtaError(f"{save} is there already", remedy="name a file that is not")
    wanted = FileToLookAt(file, data_type, mapping)
    known = _settings(tenant, settings)
    (answer,) = look_at(
        [wanted], known, encoding=encoding, delimiter=spelled(delimiter), sheet=sheet
    )
    if isinstance(answer, LookedAtError):
        raise answer
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        show(file, answer)
    if save is not None:
        save.write_text(answer["proposed_settings_yaml"], encoding="utf-8")
        note(f"\nThe proposed settings are in {save}: edit them. Then:")
    elif mapping is None and not as_json:
        show_proposal(answer)
        note(f"\nTo keep and edit them: eta inspect {file} --save mapping.yml. Then:")
    if mapping is None and not as_json:
        note(f"  {run_command(file, answer['data_type'], tenant, save or Path('mapping.yml'))}")


def run_command(file: Path, data_type: str, tenant: str | None, settings: Path) -> str:
    """Return the command that takes a file in with settings."""
    name, wanted = shlex.quote(str(file)), tenant or TENANT
    if data_type == DataType.INTERACTIONS:
        files = name
    elif data_type == DataType.ITEMS:
        files = f"INTERACTIONS --items {name} --items-mapping items"
    else:
        return (
            f"eta tenants set {wanted} --settings {settings}; eta upload {name} --tenant {wanted} "
            f"--type {data_type} --mapping {data_type}"
        )
    return f"eta run {files} --tenant {wanted} --settings {settings}"


def spelled(delimiter: str | None) -> str | None:
    """Return the character that `tab` stands for."""
    return "\t" if delimiter in ("tab", "\\t") else delimiter


def _settings(tenant: str | None, file: Path | None) -> TenantSettings:
    if file is not None:
        return read_settings(file)
    if tenant is None:
        return TenantSettings()
    with existing_database(lake_settings()) as database:
        if database is None:
            raise TenantNotFound(tenant)
        return database.tenant_settings(tenant)
