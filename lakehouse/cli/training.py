"""`eta training`: the published training sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.control import control_database, lake_settings
from lakehouse.cli.failures import FAILED
from lakehouse.cli.output import note, print_rows
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training import manifest
from lakehouse.training.example_versions import compare_examples
from lakehouse.training.publish import (
    current_snapshot,
    find_snapshot,
    list_snapshots,
    published_tenants,
    to_json,
)
from lakehouse.training.snapshots import TRAINING_SETS

if TYPE_CHECKING:
    from lakehouse.training.card.gather import Stated
    from lakehouse.training.manifest import Manifest

TenantOption = Annotated[str, typer.Option("--tenant", help="Id of the tenant.")]
SnapshotArgument = Annotated[
    str, typer.Argument(metavar="SNAPSHOT", help="A snapshot's id, or `current`.")
]

CardFolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        file_okay=False,
        help="Folder for `card.html` and `card.md`; default: beside the exports in the home.",
    ),
]

app = typer.Typer(
    help="List, show, compare and describe published training sets.", no_args_is_help=True
)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; default: all.")] = None,
) -> None:
    """List snapshots, oldest first; `*` marks the current one.

    The rows of one that was withdrawn cannot be read any more: somebody was erased.
    """
    lake = Lake(lake_settings())
    rows: list[tuple[object, ...]] = []
    damaged: list[EtaError] = []
    for tenant_id in [tenant] if tenant else published_tenants(lake):
        try:
            rows += _snapshot_rows(lake, tenant_id)
        except EtaError as error:
            damaged.append(error)
    header = ("tenant", "snapshot", "current", "created", "positives", "sampled", "explicit")
    print_rows((*header, "seed", "content hash", "withdrawn", "card"), rows)
    for one in damaged:
        note(f"Error: {one.message}\nWhat to do: {one.remedy}")
    if damaged:
        raise typer.Exit(FAILED)
    if not rows:
        note("Nothing is published yet: run `eta prepare`.")
    else:
        note("What one holds, as a page: `eta training card TENANT SNAPSHOT`.")


def _snapshot_rows(lake: Lake, tenant_id: str) -> list[tuple[object, ...]]:
    current = current_snapshot(lake, tenant_id)
    cards = TRAINING_SETS.has_cards(lake, tenant_id)
    return [
        (
            tenant_id,
            found.snapshot_id,
            "*" if current is not None and current.snapshot_id == found.snapshot_id else "",
            found.created_at,
            f"{found.counts.positives:,}",
            f"{found.counts.sampled_negatives:,}",
            f"{found.counts.explicit_negatives:,}",
            found.parameters.seed,
            found.content_hash,
            found.withdrawn_at,
            f"/v1/training/cards/{found.snapshot_id}" if found.snapshot_id in cards else "",
        )
        for found in list_snapshots(lake, tenant_id)
    ]


@app.command()
def show(tenant: TenantOption, snapshot: SnapshotArgument = "current") -> None:
    """Print a snapshot's manifest as JSON."""
    found = find_snapshot(Lake(lake_settings()), tenant, snapshot)
    typer.echo(to_json(found).decode(), nl=False)
    note(f"What it holds, as a page: `eta training card {tenant} {found.snapshot_id}`.")


@app.command()
def diff(
    tenant: TenantOption,
    before: SnapshotArgument,
    after: SnapshotArgument = "current",
) -> None:
    """Print what differs between two snapshots, field by field."""
    lake = Lake(lake_settings())
    old, new = (find_snapshot(lake, tenant, name) for name in (before, after))
    differing = manifest.diff(old, new)
    print_rows(
        ("field", old.snapshot_id, new.snapshot_id),
        [(name, *values) for name, values in differing.items()],
    )
    withdrawn = [made.snapshot_id for made in (old, new) if made.withdrawn_at is not None]
    if withdrawn:
        note(f"Rows that cannot be read are not compared; withdrawn: {', '.join(withdrawn)}.")
    elif not old.has_content_of(new):
        note("The rows differ.")
    else:
        note(_examples_compared(lake, old, new))


def _examples_compared(lake: Lake, old: "Manifest", new: "Manifest") -> str:
    """Return what there is to say of the examples of two sets with the same labels and draws."""
    if old.example_files is None or new.example_files is None:
        return "Labels and draws are the same; a set of an earlier release pins no examples."
    try:
        if compare_examples(lake, old, new):
            return "The rows are the same."
    except EtaError as error:
        return (
            "Labels and draws are the same. What the examples say cannot be compared: "
            f"{error.message}. What to do: {error.remedy}."
        )
    return (
        "Labels and draws are the same. What the examples say of users, items and context differs."
    )


@app.command()
def card(
    tenant: Annotated[str, typer.Argument(help="Id of the tenant.")],
    snapshot: SnapshotArgument = "current",
    to: CardFolderOption = None,
) -> None:
    """Describe a snapshot on a page: counts, columns, sampling, coverage, distributions, drift.

    Reads its rows once, and those of the snapshot before it. A card names no user and no item. It
    is kept in the lake as well, where the service finds it, as long as the snapshot is.
    """
    from lakehouse.training.card.gather import gather
    from lakehouse.training.card.kept import keep_card, kept_card
    from lakehouse.training.card.sections import make_card
    from lakehouse.training.card.write import default_folder, write_card

    settings = lake_settings()
    lake = Lake(settings)
    found = find_snapshot(lake, tenant, snapshot)
    contents = gather(lake, settings.project, found, _stated(lake, found))
    for path in write_card(contents, (to or default_folder(lake, found)).absolute()):
        typer.echo(path)
    if contents.figures is None and kept_card(lake, found) is not None:
        note("The service still shows the card that was made while the rows could be read.")
    elif keep_card(lake, found, make_card(contents)):
        note(f"The service shows it too: GET /v1/training/cards/{found.snapshot_id}.")
    for part, why in contents.unread.items():
        note(f"Not in the card: {part} ({why}).")


def _stated(lake: Lake, found: "Manifest") -> "Stated":
    """What the tenant's settings say, and the scores that were measured by the publication."""
    from lakehouse.contracts.tables import OPS_DATA_QUALITY
    from lakehouse.storage.data_quality import scores_at
    from lakehouse.training.card.gather import Stated

    words, why = None, ""
    try:
        with control_database() as database:
            words = database.tenant_settings(found.tenant_id).training_set
    except EtaError as error:
        why = error.message
    has_scores = lake.find(OPS_DATA_QUALITY) is not None
    scores = scores_at(lake.table, found.tenant_id, found.created_at) if has_scores else []
    return Stated(words, why, scores)
