"""`eta privacy`: erase people, and prove it; here are the commands that read no table."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from lakehouse.cli.control import control_database, lake_settings, operator
from lakehouse.cli.output import note, print_rows
from lakehouse.contracts.tenant import PrivacySettings
from lakehouse.privacy.certificate import rendered
from lakehouse.privacy.signing import key_id, public_key_of, public_pem, signing_key

app = typer.Typer(help="Erase people and prove it.", no_args_is_help=True)

NO_CERTIFICATE: Final = {
    "nothing_found": "Nothing of these people was found anywhere, so nothing was erased: there is "
    "no certificate. They are suppressed. If other people are meant, make another request.",
}
"""What is said of a request in this state that has no certificate."""

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
            note(NO_CERTIFICATE.get(found[0].state, "There is no certificate yet."))
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


def policy(
    tenant: TenantOption,
    mentions: Annotated[
        Mentions | None, typer.Argument(help="What to do from now on; left out: show it.")
    ] = None,
) -> None:
    """Show or set what becomes of texts that mention an erased person: titles, links, free text.

    A part of the tenant's settings (`privacy: {mentions: …}`), of which this makes a new version.
    """
    with control_database() as database:
        settings = database.tenant_settings(tenant)
        if mentions is not None:
            settings = settings.model_copy(
                update={"privacy": PrivacySettings(mentions=mentions.value)}
            )
            database.set_tenant_settings(tenant, settings, by=operator())
    typer.echo(settings.privacy.mentions)


def public_key() -> None:
    """Print the public key (PEM) with which anybody can check this installation's certificates."""
    key = public_key_of(signing_key(lake_settings()))
    typer.echo(public_pem(key), nl=False)
    note(f"Key {key_id(key)}.")
