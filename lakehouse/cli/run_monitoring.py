"""`eta runs freshness`, `arrivals` and `metrics`: what a monitor asks about runs of the models."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.storage.lake import Lake
from lakehouse.training import new_rows
from lakehouse.training.freshness import waiting_tenants
from lakehouse.training.run_metrics import exposition


def freshness(
    within: Annotated[
        float,
        typer.Option(min=0, max=87_600, help="Hours that a received row may wait for publication."),
    ] = 12,
) -> None:
    """Show how long received rows have waited to be published; exit code 1 beyond the objective."""
    found = waiting_tenants(lake_settings(), datetime.now(UTC))
    print_rows(
        ("tenant", "waiting hours", "since", "why"),
        [(w.tenant_id, f"{w.hours:.1f}", w.since, w.why) for w in found],
    )
    late_ones = [w for w in found if w.hours > within]
    for waiting in late_ones:
        note(
            f"{waiting.tenant_id}: rows wait since {waiting.since:%Y-%m-%d %H:%M} UTC, "
            f"{waiting.hours:.1f} h; the objective is {within:g} h: {waiting.why}"
        )
    if late_ones:
        note("What to do: `eta runs list` shows the last runs, `eta prepare` runs the models now.")
        raise typer.Exit(1)
    note(f"Nothing waits longer than {within:g} h.")


def arrivals(
    announce: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Print as JSON who has at least so many, once until a run has begun that reads "
            "them.",
        ),
    ] = None,
    run: Annotated[
        str, typer.Option("--run", envvar="ETA_RUN_ID", help="Who announces; the same may repeat.")
    ] = "",
) -> None:
    """Show the rows that came per tenant since the newest run of all tenants began."""
    lake = Lake(lake_settings())
    with control_database() as database:
        if announce is not None:
            due = new_rows.announce(lake, database, announce, run)
            note(f"{len(due):,} tenants have at least {announce:,} new rows to announce.")
            typer.echo(json.dumps(due, sort_keys=True))
            return
        found = new_rows.new_rows(lake, database)
    if found.run_id is None:
        note("No run of all tenants has begun yet, so nothing is counted: `eta prepare`.")
        return
    print_rows(("tenant", "new rows"), sorted(found.rows.items()))
    note(f"Counted since {found.run_id} began.")
    if found.announced:
        note(f"A run was asked for, for {', '.join(sorted(found.announced))}; it has not begun.")


def metrics() -> None:
    """Print the last runs as Prometheus metrics (for a textfile collector)."""
    with control_database() as database:
        typer.echo(exposition(database.runs.list(limit=50)), nl=False)
