"""The steps of a scheduler's run, each safe to repeat; results for the scheduler are JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note
from lakehouse.control.database import ControlDatabase
from lakehouse.control.run_lock import RunLocked
from lakehouse.jobs import run_steps
from lakehouse.settings import LakeSettings
from lakehouse.training.run_parameters import read_parameters
from lakehouse.training.run_steps import EARLY_GATE, FINAL_GATE

RunOption = Annotated[str, typer.Option("--run", envvar="ETA_RUN_ID", help="Id of the run.")]

_LOCKED: Final = 75
"""Exit code of `begin` while another run goes on: try again later (EX_TEMPFAIL in sysexits.h)."""
_MOST_TOLD: Final = 100
"""Each becomes a task of its own in the scheduler."""


def begin(
    run: RunOption,
    tenant_id: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    start_date: Annotated[
        str | None, typer.Option(help="Recompute tenants that sent rows from this day on (UTC).")
    ] = None,
    end_date: Annotated[str | None, typer.Option(help="… up to this day, included.")] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Only rows known by this time (UTC, ISO 8601) count.")
    ] = None,
    full_refresh: Annotated[bool, typer.Option(help="Recompute everything.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Minutes to wait for another run to end.")] = 0,
    asked_at: Annotated[
        str | None,
        typer.Option(help="A backfill does nothing if one that began later did it (ISO 8601)."),
    ] = None,
) -> None:
    """Take the lock and decide what the run has to do; print that as JSON.

    Exit code 75 when another run holds the lock: the same may be asked again later.
    """
    parameters = read_parameters(
        {
            "tenant_id": tenant_id,
            "start_date": start_date,
            "end_date": end_date,
            "cutoff": cutoff,
            "full_refresh": full_refresh,
        }
    )
    how: dict[str, Any] = {
        "wait_minutes": wait,
        "asked_at": None if asked_at is None else _moment(asked_at),
    }
    with _opened() as (settings, database):
        try:
            plan = run_steps.begin(settings, database, run, parameters, **how, on_step=note)
        except RunLocked as locked:
            note(f"Error: {locked}")
            raise typer.Exit(_LOCKED) from locked
    note(f"{'To do' if plan.is_needed else 'Nothing to do'}: {plan.reason}")
    typer.echo(json.dumps(asdict(plan), sort_keys=True))


def check(
    run: RunOption,
    early: Annotated[
        bool, typer.Option(help="Raw and staging only, of the tenants with new data.")
    ] = False,
) -> None:
    """Check the tenants of the run and note the verdicts; print who did not pass as JSON."""
    with _opened() as (settings, database):
        verdicts = run_steps.check(settings, database, run, is_early=early)
    refused = sorted(name for name, found in verdicts.items() if not found.passed)
    note(f"{len(verdicts) - len(refused)} of {len(verdicts)} tenants passed.")
    for name in refused:
        for failure in verdicts[name].report["failures"]:
            note(f"{name}: {failure['check']}: {failure['sentence']}")
    if len(refused) > _MOST_TOLD:
        note(f"Only the first {_MOST_TOLD} of {len(refused):,} become tasks of their own.")
    typer.echo(json.dumps(refused[:_MOST_TOLD]))


def publish(run: RunOption) -> None:
    """Publish what changed and passed the run's check; print what became of each as JSON."""
    with _opened() as (settings, database):
        done = run_steps.publish(settings, database, run)
    typer.echo(json.dumps(done, sort_keys=True))


def verdict(
    run: RunOption,
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    early: Annotated[bool, typer.Option(help="The verdict of the early check.")] = False,
) -> None:
    """Say what the run's check found for a tenant; exit code 1 when it did not pass."""
    with _opened() as (settings, database):
        noted = database.runs.get(run).notes
    found = noted.get(EARLY_GATE if early else FINAL_GATE, {})
    told = found.get("tenants", {}).get(tenant)
    if told is None:
        note(f"The run has not checked the tenant {tenant!r}.")
        raise typer.Exit(1)
    for failure in told["report"]["failures"]:
        note(f"{tenant} did not pass {failure['check']} on {failure['table']}:")
        note(f"  {failure['sentence']}")
        note(f"  Measured {failure['measured']}, expected {failure['expected']}.")
        note(f"  To see it: {failure['see']}")
    if not told["passed"]:
        note(f"Its earlier training set stays current. To check again: eta gate --tenant {tenant}")
        note(f"Report: {settings.home_dir / told['report']['report_file']}")
        raise typer.Exit(1)
    note(f"{tenant} passed.")


def end(
    run: RunOption,
    failed: Annotated[bool, typer.Option(help="A step of the run has failed.")] = False,
) -> None:
    """Note the rows of each model, free the lock, end the run; write its metrics and quality."""
    with _opened() as (settings, database):
        state, path = run_steps.end(settings, database, run, is_success=not failed, on_step=note)
    note(f"The run {state}. Metrics: {path}")


def late(
    run: RunOption,
    deadline: Annotated[str, typer.Option(help="When it should have ended (UTC, ISO 8601).")],
) -> None:
    """Note that a run missed its deadline, if it did, for the metrics and `eta runs show`."""
    moment = _moment(deadline)
    with _opened() as (settings, database):
        is_late = run_steps.note_late(settings, database, run, moment)
    if is_late:
        note(f"The run {run} was to end by {moment:%Y-%m-%d %H:%M} UTC and has not.")
    else:
        note(f"The run {run} had ended in time.")


def _moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-05-01T12:00:00Z") from error
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


@contextmanager
def _opened() -> Iterator[tuple[LakeSettings, ControlDatabase]]:
    with control_database() as database:
        yield lake_settings(), database
