"""`eta privacy reapply`: people who were erased and are there again from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings, operator
from lakehouse.cli.output import note
from lakehouse.control.database import ControlDatabase
from lakehouse.privacy.certificate import check, parsed
from lakehouse.privacy.restored import erase_again, list_again
from lakehouse.privacy.signing import known_public_key
from lakehouse.privacy.unreferenced import UnreferencedFiles
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake


def reapply(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A certificate that is newer than the restored home: its people are put on the "
            "suppression list first; may be given again.",
        ),
    ] = None,
) -> None:
    """After a backup was restored: find people who had been erased, erase them again.

    Prints the ids of the requests it makes; `eta privacy work` carries them out. Who was erased is
    known by the suppression list in this home: if that was restored too, give the certificates.
    """
    settings = lake_settings()
    with control_database() as database:
        for path in certificate or ():
            _list_again(settings, database, path, operator())
        made = erase_again(Lake(settings), database, tenant, by=operator(), on_searched=_tell)
        newest = database.suppressions.newest(tenant)
    for request in made:
        typer.echo(request.request_id)
        note(f"{request.tenant_id}: {request.subject_count:,} people are there again.")
    if not made:
        note("No erased person is there, as far as this home knows.")
    as_of = "is empty" if newest is None else f"has its newest entry of {newest:%Y-%m-%d %H:%M:%S}Z"
    note(
        f"Who was erased says the suppression list of this home, which {as_of}. If the home was "
        "restored as well, whom it does not know can be given: `eta privacy reapply --certificate "
        "FILE`, or `eta privacy erase --tenant TENANT --file IDS`."
    )


def _list_again(settings: LakeSettings, database: ControlDatabase, path: Path, by: str) -> None:
    found = parsed(path.read_bytes())
    check(found, known_public_key(settings), lambda name: database.suppressed(name).key)
    count = list_again(database, found, by=by)
    note(f"{found['request_id']}: {count:,} hashes were put on the suppression list again.")


def _tell(tenant_id: str, found: UnreferencedFiles) -> None:
    if found.tables:
        count = sum(found.tables.values())
        note(f"{tenant_id}: {count:,} of them are data files that no current version names.")
    if found.unreadable:
        note(
            f"{tenant_id}: {found.unreadable:,} data files that no current version names cannot "
            "be read: who is in them is not known (`eta tables`)."
        )
