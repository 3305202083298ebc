"""`eta privacy check-certificate`: who may believe a certificate, and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.control.database import ControlDatabase, TenantNotFound
from lakehouse.control.opening import existing_database, has_database
from lakehouse.errors import EtaError
from lakehouse.privacy.certificate import check, parsed
from lakehouse.privacy.checking import (
    as_certified,
    list_against,
    mapped_subjects,
    tables_against,
    tables_without_commit,
    those_named,
    unreferenced_files_of,
)
from lakehouse.privacy.id_files import read_ids
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.signing import known_public_key, read_public_key
from lakehouse.privacy.verify import search, summary
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake

REFUSED: Final = 1
"""Exit code of a certificate that is not as it was signed, or not by this key."""
NOT_AS_CERTIFIED: Final = 3
"""Exit code of a genuine certificate with which the lake does not agree any more."""


def check_certificate(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The certificate.")],
    public_key: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Public key (PEM) of who signed it; default: this installation's.",
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Ids of these people: search everything for them."
        ),
    ] = None,
) -> None:
    """Check a certificate: its signature, then the lake, where there is one.

    Exit code 0: genuine, and the lake agrees. 1: refused, it is not as it was signed. 3: genuine,
    but the lake does not agree any more (an older state was restored, people were lifted or found).
    """
    settings = _settings()
    certificate = parsed(file.read_bytes())
    if public_key is not None:
        key: Ed25519PublicKey | None = read_public_key(public_key)
    else:
        key = None if settings is None else known_public_key(settings)

    def secret_of(tenant_id: str) -> str | None:
        if settings is None:
            return None
        with existing_database(settings) as database:
            return None if database is None else database.suppressed(tenant_id).key

    done = check(certificate, key, secret_of)
    by = f"the key {done.signed_by}" if done.signed_by else "the tenant's secret (format 1)"
    note(f"Certificate of {certificate['request_id']}: as it was signed, with {by}.")
    wrong = _wrong_here(settings, certificate, ids)
    for one in wrong:
        note(f"Not as certified: {one}.")
    if wrong:
        raise typer.Exit(NOT_AS_CERTIFIED)


def _settings() -> LakeSettings | None:
    """The settings; None outside of a project, where a signature can be checked all the same."""
    try:
        return lake_settings()
    except EtaError:
        return None


def _wrong_here(
    settings: LakeSettings | None, certificate: Mapping[str, Any], ids: Path | None
) -> list[str]:
    if settings is None or not has_database(settings):
        if ids is not None:
            return ["there is no lake here to search for the ids in (ETA_HOME)"]
        note("There is no lake here: only the signature was checked.")
        return []
    with existing_database(settings) as database:
        assert database is not None
        return wrong_with(settings, database, certificate, ids)


def wrong_with(
    settings: LakeSettings,
    database: ControlDatabase,
    certificate: Mapping[str, Any],
    ids: Path | None = None,
) -> list[str]:
    """Return what in the lake is not as certified, in sentences; says what agrees."""
    try:
        database.tenant_settings(str(certificate["tenant_id"]))
    except TenantNotFound:
        return ["this installation does not have the tenant of the certificate"]
    wrong = [*tables_against(Lake(settings), certificate), *list_against(database, certificate)]
    if not wrong:
        note(
            f"Lake: {len(certificate['table_versions']):,} tables are as new as the certificate; "
            f"all {len(certificate['subjects']):,} people are on the suppression list; the audit "
            "log is unbroken."
        )
        if unknown := tables_without_commit(Lake(settings), certificate):
            note(
                f"Of {unknown:,} tables the log does not have that version any more: only the "
                "version numbers were compared. `--ids FILE` searches the lake again."
            )
    wrong += _in_unreferenced_files(settings, database, certificate)
    if ids is not None:
        wrong += _search_for(settings, database, certificate, ids)
    return wrong


def _in_unreferenced_files(
    settings: LakeSettings, database: ControlDatabase, certificate: Mapping[str, Any]
) -> list[str]:
    found = unreferenced_files_of(Lake(settings), database, certificate)
    wrong = []
    if found.tables:
        places = ", ".join(f"{name} ({count:,})" for name, count in sorted(found.tables.items()))
        wrong.append(
            f"people of the certificate are in files that no current version names: {places}; a "
            "backup was copied over the lake (`eta privacy reapply`)"
        )
    if found.unreadable:  # a writer that is at it, or that was killed
        note(
            f"Files: {found.unreadable:,} that no current version names cannot be read as tables; "
            "who is in them is not known: `--ids FILE` searches them."
        )
    if not wrong:
        note(
            f"Files: nobody of the certificate is in the {found.files:,} data files of tables that "
            "no current version names. Exports, uploads, Redis and other copies were not looked "
            "at: `--ids FILE` searches everything."
        )
    return wrong


def _search_for(
    settings: LakeSettings,
    database: ControlDatabase,
    certificate: Mapping[str, Any],
    ids: Path,
) -> list[str]:
    read = read_ids(ids)
    for remark in read.remarks:
        note(f"{remark[0].upper()}{remark[1:]}.")
    identifiers = as_certified(database, certificate, read.identifiers)
    named = those_named(database, certificate, identifiers)
    wrong = []
    if others := len(set(identifiers)) - len(named):
        wrong.append(
            f"{others:,} of the ids are of people whom the certificate is not about; they were not "
            "searched for (`eta privacy verify --file`)"
        )
    if not named:
        return wrong
    patterns = IdentifierPatterns([*named, *mapped_subjects(database, certificate, named)])
    found = search(settings, database, str(certificate["tenant_id"]), patterns)
    note(f"{sum(found.files.values()):,} files with {found.bytes / 2**20:,.1f} MiB were searched.")
    if not found.is_clean:
        columns = ("kind", "path", "how", "count")
        print_rows(columns, [tuple(one.values()) for one in summary(found.findings)])
        wrong.append("people of the certificate were found, in the places above")
    return wrong
