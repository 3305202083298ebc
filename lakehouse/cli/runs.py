"""`eta runs`: the runs of the models, and the steps that a scheduler's run is made of."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.run_steps import begin, check, end, late, publish, verdict

app = typer.Typer(
    help="See the runs of the models; `begin`, `check`, `publish` and `end` are for a scheduler.",
    no_args_is_help=True,
)
app.command()(begin)
app.command()(check)
app.command()(publish)
app.command()(verdict)
app.command()(end)
app.command()(late)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
) -> None:
    """List runs, newest first, and say which one holds the lock."""
    with control_database() as database:
        runs, holder = database.runs.list(limit=limit), database.run_lock.holder()
    print_rows(
        ("run", "state", "started", "seconds", "published", "refused", "reason"),
        [
            (
                run.run_id,
                run.state,
                run.started_at,
                None
                if run.finished_at is None
                else f"{(run.finished_at - run.started_at).total_seconds():.0f}",
                ",".join(sorted(run.notes.get("publication", {}).get("new", {}))),
                ",".join(sorted(run.notes.get("publication", {}).get("refused", {}))),
                run.notes.get("plan", {}).get("reason"),
            )
            for run in runs
        ],
    )
    if holder is not None:
        note(f"{holder.run_id} writes now, since {holder.taken_at:%H:%M:%S} UTC.")


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]) -> None:
    """Print everything known of a run as JSON."""
    with control_database() as database:
        run = asdict(database.runs.get(run_id))
    typer.echo(json.dumps(run, indent=2, default=str))


@app.command()
def release() -> None:
    """Free the lock of a run that you know to be dead; a living one would be disturbed."""
    with control_database() as database:
        holder = database.run_lock.holder()
        is_freed = database.run_lock.release()
    if holder is not None:
        note(f"{holder.run_id} does not hold the lock any more.")
    elif not is_freed:
        note("No run holds the lock.")


@app.command()
def freshness(
    within: Annotated[
        float, typer.Option(min=0, help="Hours that a received row may wait for publication.")
    ] = 12,
) -> None:
    """Show how long received rows have waited to be published; exit code 1 beyond the objective."""
    from lakehouse.training.freshness import waiting_tenants

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


@app.command()
def metrics() -> None:
    """Print the last runs as Prometheus metrics (for a textfile collector)."""
    from lakehouse.training.run_metrics import exposition

    with control_database() as database:
        typer.echo(exposition(database.runs.list(limit=50)), nl=False)
