"""`eta status`: what each tenant has."""

from typing import Annotated, Final

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.control.opening import has_database

_JOBS: Final = 3
"""Of each tenant."""


def status(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
) -> None:
    """Show where the lake is, each table's rows per tenant and the newest jobs."""
    from lakehouse.cli.summary import print_overview  # it loads what reads tables

    settings = lake_settings()
    note(f"Lake: {settings.lake}")
    if not has_database(settings):
        note("There is no tenant yet: `eta tenants add`, or `eta demo` for a first look.")
        return
    with control_database() as database:
        if tenant:
            known, jobs = [tenant], database.jobs.list(tenant, limit=_JOBS)
        else:
            known = [found.tenant_id for found in database.tenants.list()]
            jobs = database.jobs.newest(limit=_JOBS)
    print_overview(settings, known)
    print_rows(
        ("tenant", "job", "kind", "state", "started", "finished"),
        [
            (job.tenant_id, job.job_id, job.kind, job.state, job.created_at, job.finished_at)
            for job in jobs
        ],
    )
