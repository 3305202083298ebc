"""`eta audit`: whether a training row sees the future."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.training.audit import run_audit


def audit(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; default: all.")] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="The cutoff that the tables were built with, if any.")
    ] = None,
) -> None:
    """Check the training tables for leaks from the future; exit code 1 when one is found."""
    settings = lake_settings()
    checks = run_audit(settings, tenant_id=tenant, cutoff=cutoff)
    print_rows(
        ("verdict", "check", "rows", "rule"),
        [("ok" if c.passed else "LEAK", c.name, c.rows, c.rule) for c in checks],
    )
    leaks = [check for check in checks if not check.passed]
    note(f"{len(checks) - len(leaks)} of {len(checks)} checks passed.")
    for check in leaks:
        note(f"{check.name}, against {check.trap}: see dbt_project/tests/leaks/{check.name}.sql")
    if leaks:
        raise typer.Exit(1)
