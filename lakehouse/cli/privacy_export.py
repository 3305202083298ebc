"""`eta privacy export`: everything that is held of one person, as a zip."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings, operator
from lakehouse.cli.output import note
from lakehouse.errors import EtaError
from lakehouse.privacy.export import open_export
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.storage.whole_files import whole_file


def export(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id, as it was sent.")],
    tenant: Annotated[str, typer.Option(help="The tenant's id.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The new file, such as export.zip.")],
) -> None:
    """Write a person's data to a zip that its owner alone may read; it appears whole or not at all.

    What the files hold: docs/export.md.
    """
    if out.exists():
        raise EtaError(f"{out} is there already", remedy="name another file with --out")
    settings = lake_settings()
    ensure_tables(Lake(settings))
    found = open_export(settings, tenant, user)
    with control_database() as database:
        database.disclosures.note(tenant, user, by=operator())
    with whole_file(out, mode=0o600, sync=True) as partial, partial.open("wb") as file:
        for chunk in found.chunks():
            file.write(chunk)
    note(f"{sum(part.file.rows for part in found.parts):,} rows of {len(found.parts)} files.")
    if found.embedding.problem:
        note(f"Embedding: {found.embedding.problem}.")
    typer.echo(out)
