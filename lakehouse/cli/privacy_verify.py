"""`eta privacy verify`: whether people are anywhere, and whether a certificate holds."""

from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.privacy import NO_CERTIFICATE, FileOption, TenantOption, UserOption
from lakehouse.cli.privacy_certificate import wrong_with
from lakehouse.cli.privacy_ids import given, listed_or_as_read, with_mapped
from lakehouse.control.database import ControlDatabase
from lakehouse.privacy.certificate import NotGenuineError, check
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.signing import known_public_key
from lakehouse.privacy.verify import search, summary


def verify(
    tenant: TenantOption,
    user: UserOption = None,
    file: FileOption = None,
    request: Annotated[
        str | None, typer.Option(help="Check a request's certificate and the audit log.")
    ] = None,
) -> None:
    """Look for people everywhere, or check a certificate; exit code 1 when something is found."""
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


def _check_certificate(database: ControlDatabase, tenant: str, request: str) -> None:
    settings = lake_settings()
    found = database.erasures.get(request, tenant)
    certificate = found.certificate
    if certificate is None:
        note(NO_CERTIFICATE.get(found.state, "The erasure is not completed: no certificate yet."))
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
