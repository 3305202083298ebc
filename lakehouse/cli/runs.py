"""`eta runs list`, `show` and `release`: the runs of the models; its other commands load more."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from lakehouse.cli.control import control_database
from lakehouse.cli.output import note, print_rows

app = typer.Typer(
    help="See the runs of the models; `begin`, `check`, `publish` and `end` are for a scheduler.",
    no_args_is_help=True,
)


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


def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]) -> None:
    """Print everything known of a run as JSON."""
    with control_database() as database:
        run = asdict(database.runs.get(run_id))
    typer.echo(json.dumps(run, indent=2, default=str))


def release() -> None:
    """Free the lock of a run that you know to be dead; a living one would be disturbed."""
    with control_database() as database:
        holder = database.run_lock.holder()
        is_freed = database.run_lock.release()
    if holder is not None:
        note(f"{holder.run_id} does not hold the lock any more.")
    elif not is_freed:
        note("No run holds the lock.")
