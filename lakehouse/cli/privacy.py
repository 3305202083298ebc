"""`eta privacy`: erase people, and prove it."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lakehouse.cli.control import control_database, lake_settings, operator
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.privacy_ids import (
    given,
    listed_or_as_read,
    looked_up,
    new_file,
    note_mapped,
    with_mapped,
)

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.privacy.worker import Progress

app = typer.Typer(help="Erase people and prove it.", no_args_is_help=True)

_NO_CERTIFICATE: Final = {
    "nothing_found": "Nothing of these people was found anywhere, so nothing was erased: there is "
    "no certificate. They are suppressed. If other people are meant, make another request.",
}

_SHOWN: Final = 20
"""Requests that are named on lines of their own."""

TenantOption = Annotated[str, typer.Option(help="The tenant's id.")]
UserOption = Annotated[
    list[str] | None,
    typer.Option(help="A user id (or an anonymous id) as it was sent; may be given again."),
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="CSV of one column, or JSON lines; quotes keep white space around an id.",
    ),
]


@app.command()
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
    from lakehouse.privacy.id_files import write_ids
    from lakehouse.privacy.known import remarks

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


@app.command()
def status(
    request: Annotated[
        str | None, typer.Argument(metavar="[REQUEST]", help="One request; default: the newest.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    certificate: Annotated[
        bool, typer.Option(help="Print the request's certificate as JSON.")
    ] = False,
) -> None:
    """Show how far erasures are; exit code 1 when one is open for more than 12 hours."""
    from lakehouse.privacy.certificate import rendered

    moment = datetime.now(UTC)
    with control_database() as database:
        if request is not None:
            found = [database.erasures.get(request, tenant)]
        else:
            found = database.erasures.newest(tenant)
    if certificate:
        if request is None:
            note("Name a request.")
            raise typer.Exit(1)
        if found[0].certificate is None:
            note(_NO_CERTIFICATE.get(found[0].state, "There is no certificate yet."))
            raise typer.Exit(1)
        typer.echo(rendered(found[0].certificate))
        return
    print_rows(
        ("request", "tenant", "state", "step", "subjects", "requested", "due", "finished"),
        [
            (
                *(e.request_id, e.tenant_id, e.state, e.step, e.subject_count),
                *(e.requested_at, e.due_at, e.finished_at),
            )
            for e in found
        ],
    )
    for one in found:
        doing = "needs attention" if one.state == "needs_attention" else "waits"
        for reason in one.waits_for:
            note(f"{one.request_id} {doing}: {reason}")
    late = [one.request_id for one in found if one.is_late(moment)]
    if late:
        note(f"Late (more than 12 of 24 hours): {', '.join(late)}. Run `eta privacy work`.")
        raise typer.Exit(1)


@app.command()
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


@app.command()
def verify(
    tenant: TenantOption,
    user: UserOption = None,
    file: FileOption = None,
    request: Annotated[
        str | None, typer.Option(help="Check a request's certificate and the audit log.")
    ] = None,
) -> None:
    """Look for people everywhere, or check a certificate; exit code 1 when something is found."""
    from lakehouse.privacy.identifier_patterns import IdentifierPatterns
    from lakehouse.privacy.verify import search, summary

    with control_database() as database:
        if request is not None:
            _check_certificate(database, tenant, request)
            return
        read = listed_or_as_read(database, tenant, given(user, file))
        subjects = with_mapped(database, tenant, read)
        found = search(lake_settings(), database, tenant, IdentifierPatterns(subjects))
    note(f"{sum(found.files.values()):,} files with {found.bytes / 2**20:,.1f} MiB were searched.")
    if not found.is_clean:
        columns = ("kind", "path", "how", "count")
        print_rows(columns, [tuple(one.values()) for one in summary(found.findings)])
        raise typer.Exit(1)
    for place, count in found.mention_counts.items():
        note(f"{place}: {count:,} mentions; what becomes of those says `eta privacy policy`.")
    note("Nothing was found.")


@app.command()
def lift(tenant: TenantOption, user: UserOption = None, file: FileOption = None) -> None:
    """Let people be stored again who were erased; noted in the audit log."""
    with control_database() as database:
        read = listed_or_as_read(database, tenant, given(user, file))
        subjects = with_mapped(database, tenant, read)
        lifted = database.erasures.lift(tenant, subjects, by=operator())
    note(f"{lifted:,} may be stored again.")


@app.command()
def withdraw(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id.")],
    tenant: Annotated[str | None, typer.Option(help="The tenant whose request it is.")] = None,
) -> None:
    """End a request that is not completed: it is carried out no further.

    Its people may be stored again, unless another request is about them. What was deleted already
    stays deleted. There is no certificate.
    """
    with control_database() as database:
        database.erasures.withdraw(request, tenant, by=operator())
    note(f"{request} is withdrawn.")


class Mentions(StrEnum):
    """What an erasure does where a person is only mentioned."""

    KEEP = "keep"
    REDACT = "redact"
    DELETE_ROW = "delete_row"


@app.command()
def policy(
    tenant: TenantOption,
    mentions: Annotated[
        Mentions | None, typer.Argument(help="What to do from now on; left out: show it.")
    ] = None,
) -> None:
    """Show or set what becomes of texts that mention an erased person: titles, links, free text.

    A part of the tenant's settings (`privacy: {mentions: …}`), of which this makes a new version.
    """
    from lakehouse.contracts.tenant import PrivacySettings

    with control_database() as database:
        settings = database.tenant_settings(tenant)
        if mentions is not None:
            settings = settings.model_copy(
                update={"privacy": PrivacySettings(mentions=mentions.value)}
            )
            database.set_tenant_settings(tenant, settings, by=operator())
    typer.echo(settings.privacy.mentions)


def _work(database: "ControlDatabase", tenant: str | None) -> "list[Progress]":
    from lakehouse.jobs.erase import erase as carry_out

    return carry_out(lake_settings(), database, tenant, on_step=lambda step: note(f"  {step}"))


def _tell(done: "list[Progress]") -> None:
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


def _check_certificate(database: "ControlDatabase", tenant: str, request: str) -> None:
    from lakehouse.cli.privacy_certificate import wrong_with
    from lakehouse.privacy.certificate import NotGenuineError, check
    from lakehouse.privacy.signing import known_public_key

    settings = lake_settings()
    found = database.erasures.get(request, tenant)
    certificate = found.certificate
    if certificate is None:
        note(_NO_CERTIFICATE.get(found.state, "The erasure is not completed: no certificate yet."))
        raise typer.Exit(1)
    try:
        check(certificate, known_public_key(settings), lambda name: database.suppressed(name).key)
    except NotGenuineError as error:
        note(f"Certificate: NOT as it was signed: {error.message}.")
        raise typer.Exit(1) from None
    note("Certificate: as it was signed.")
    wrong = wrong_with(settings, database, certificate)
    for one in wrong:
        note(f"Not as certified: {one}.")
    if wrong:
        raise typer.Exit(1)
