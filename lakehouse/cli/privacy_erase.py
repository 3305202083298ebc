"""`eta privacy erase`, `work` and `lift`: ask for erasures, carry them out, let people back in."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lakehouse.cli.control import control_database, lake_settings, operator
from lakehouse.cli.failures import INTERRUPTED
from lakehouse.cli.output import note
from lakehouse.cli.privacy import FileOption, TenantOption, UserOption
from lakehouse.cli.privacy_ids import (
    given,
    listed_or_as_read,
    looked_up,
    new_file,
    note_mapped,
    with_mapped,
)
from lakehouse.control.database import ControlDatabase
from lakehouse.jobs.erase import erase as carry_out
from lakehouse.privacy.id_files import write_ids
from lakehouse.privacy.known import remarks
from lakehouse.privacy.worker import Progress

_SHOWN: Final = 20
"""Requests that are named on lines of their own."""


def erase(
    tenant: TenantOption,
    user: UserOption = None,
    file: FileOption = None,
    unknown: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="A new file: the ids that stand nowhere in the tables (JSON lines).",
        ),
    ] = None,
    now: Annotated[bool, typer.Option(help="Carry it out at once, and wait for it.")] = False,
) -> None:
    """Ask for people to be erased: from now on nothing of them is stored. Prints the request's id.

    `eta privacy work`, which a scheduler runs every hour, carries it out. Ids given on the command
    line may stay in your shell's history: prefer a file.
    """
    read = given(user, file)
    with control_database() as database, new_file(unknown) as listing:
        database.tenant_settings(tenant)  # an unknown tenant is said first
        taken, stored = looked_up(database, tenant, read, is_wanted=unknown is not None)
        told = remarks(taken, stored, read)
        for remark in told:
            note(f"Warning: {remark}.")
        note_mapped(database, tenant, [one.text for one in taken])
        missing = [] if stored is None else sorted({one.text for one in taken} - stored)
        if listing is not None:
            write_ids(listing, missing)
            listing.flush()  # a full disk is said before the request is made
        made = database.erasures.request(tenant, [one.text for one in taken], by=operator())
        typer.echo(made.request_id)
        note(f"{made.subject_count:,} suppressed. To be erased by {made.due_at:%Y-%m-%d %H:%M}Z.")
        if missing:
            note(
                f"{len(missing):,} of {made.subject_count:,} ids match nothing"
                + (f"; they are in {unknown}" if unknown else "; --unknown FILE lists them")
                + ". They are suppressed all the same."
                + (" None matches: the request ends without a certificate." if not stored else "")
            )
        if told:
            note(
                f"The request has {len(told):,} warnings, above: if other people are meant, make "
                "another request for them, and `eta privacy lift` those who are not."
            )
        if now:
            _tell(_work(database, tenant))
        else:
            note(f"See how far it is: `eta privacy status {made.request_id}`.")


def work(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
) -> None:
    """Carry out open erasures as far as possible; exit code 1 when one is late.

    May be killed at any moment and run again: it goes on where it was.
    """
    with control_database() as database:
        _tell(_work(database, tenant))
        moment = datetime.now(UTC)
        late = [e for e in database.erasures.newest(tenant, is_open=True) if e.is_late(moment)]
    if late:
        note(f"{len(late):,} erasures are open for more than 12 hours.")
        raise typer.Exit(1)


def lift(tenant: TenantOption, user: UserOption = None, file: FileOption = None) -> None:
    """Let people be stored again who were erased; noted in the audit log."""
    with control_database() as database:
        read = listed_or_as_read(database, tenant, given(user, file))
        subjects = with_mapped(database, tenant, read)
        lifted = database.erasures.lift(tenant, subjects, by=operator())
    note(f"{lifted:,} may be stored again.")


def _work(database: ControlDatabase, tenant: str | None) -> list[Progress]:
    try:
        return carry_out(lake_settings(), database, tenant, on_step=lambda step: note(f"  {step}"))
    except KeyboardInterrupt:
        note("Stopped: what is done stays done, and `eta privacy work` goes on from there.")
        raise typer.Exit(INTERRUPTED) from None


def _tell(done: list[Progress]) -> None:
    for progress in done:
        if progress.completed:
            note(f"{progress.tenant_id}: {len(progress.completed):,} erasures are completed.")
        if progress.nothing_found:
            note(
                f"{progress.tenant_id}: of {len(progress.nothing_found):,} requests nothing was "
                "found anywhere; they have no certificate:"
            )
            for request in progress.nothing_found[:_SHOWN]:
                note(f"  {request}")
            if len(progress.nothing_found) > _SHOWN:
                more = len(progress.nothing_found) - _SHOWN
                note(f"  and {more:,} more: `eta privacy status` lists the newest requests")
        if progress.waiting:
            note(f"{progress.tenant_id}: {len(progress.waiting):,} erasures wait:")
        for reason in progress.reasons:
            note(f"  {reason}")
    if not done:
        note("No erasure is open.")
