"""`eta evaluation`: snapshots that are divided into train, validation and test."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from lakehouse.cli.building import build_with_progress
from lakehouse.cli.control import lake_settings
from lakehouse.cli.export import DestinationOption, export_and_tell
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.training import CardFolderOption, SnapshotArgument, TenantOption
from lakehouse.jobs.evaluate import evaluate
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat
from lakehouse.training.snapshots import EVALUATION_SETS, to_json

app = typer.Typer(
    help="Make, list, show and export evaluation snapshots: train, validation and test by time.",
    no_args_is_help=True,
)


class MethodName(StrEnum):
    """How a snapshot is divided."""

    time = "time"
    leave_one_out = "leave-one-out"


@app.command()
def make(
    tenant: Annotated[list[str], typer.Option(help="Id of a tenant; may be repeated.")],
    method: Annotated[
        MethodName | None,
        typer.Option(help="One moment for all, or the last positives of each user."),
    ] = None,
    train_until: Annotated[
        datetime | None, typer.Option(help="First moment that training may not know (UTC).")
    ] = None,
    validation_until: Annotated[
        datetime | None, typer.Option(help="First moment of the test (UTC).")
    ] = None,
    train_share: Annotated[
        float | None,
        typer.Option(help="Share of the positives to train on."),
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="Share of the positives for validation.")
    ] = None,
    minimum_user_positives: Annotated[
        int | None, typer.Option(help="Train on users with at least as many positives in train.")
    ] = None,
    minimum_item_positives: Annotated[
        int | None, typer.Option(help="Train on items with at least as many positives in train.")
    ] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Only rows known by this time (UTC, ISO 8601) count.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the negative sampling.")] = None,
    full_refresh: Annotated[
        bool, typer.Option(help="Replace the evaluation tables, after a change of their columns.")
    ] = False,
) -> None:
    """Divide a tenant's interactions and publish the result as an evaluation snapshot.

    What is left out is the tenant's setting `evaluation`, else 80 % train, 10 % validation and 10 %
    test in order of time. Reads what the last `eta prepare` staged.
    """
    given = {
        "method": None if method is None else method.name,
        "train_until": train_until,
        "validation_until": validation_until,
        "train_share": train_share,
        "validation_share": validation_share,
        "minimum_user_positives": minimum_user_positives,
        "minimum_item_positives": minimum_item_positives,
    }
    split = {name: value for name, value in given.items() if value is not None}
    for made in evaluate(
        lake_settings(),
        tenant,
        split,
        cutoff=cutoff,
        seed=seed,
        full_refresh=full_refresh,
        build=build_with_progress,
    ):
        note(
            f"{made.tenant_id}: {made.counts.positives:,} positives and "
            f"{made.counts.negatives:,} negatives to learn from, {made.held_out.validation:,} "
            f"positives for validation, {made.held_out.test:,} for the test"
        )
        typer.echo(made.snapshot_id)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; default: all.")] = None,
) -> None:
    """List evaluation snapshots, oldest first; `*` marks the current one."""
    lake = Lake(lake_settings())
    rows: list[tuple[object, ...]] = []
    for tenant_id in [tenant] if tenant else EVALUATION_SETS.tenants(lake):
        current = EVALUATION_SETS.current(lake, tenant_id)
        cards = EVALUATION_SETS.has_cards(lake, tenant_id)
        for found in EVALUATION_SETS.all_of(lake, tenant_id):
            is_current = current is not None and current.snapshot_id == found.snapshot_id
            rows.append(
                (
                    tenant_id,
                    found.snapshot_id,
                    "*" if is_current else "",
                    found.created_at,
                    found.split.method,
                    found.split.train_until,
                    found.split.validation_until,
                    f"{found.counts.rows:,}",
                    f"{found.held_out.validation:,}",
                    f"{found.held_out.test:,}",
                    found.content_hash,
                    found.withdrawn_at,
                    f"/v1/evaluation/cards/{found.snapshot_id}"
                    if found.snapshot_id in cards
                    else "",
                )
            )
    header = ("tenant", "snapshot", "current", "created", "method", "train until")
    parts = ("validation until", "train", "validation", "test", "content hash", "withdrawn", "card")
    print_rows((*header, *parts), rows)
    if not rows:
        note("No evaluation snapshot yet: run `eta evaluation make --tenant TENANT`.")
    else:
        note("What one holds, as a page: `eta evaluation card TENANT SNAPSHOT`.")


@app.command()
def show(tenant: TenantOption, snapshot: SnapshotArgument = "current") -> None:
    """Print an evaluation snapshot's manifest as JSON."""
    found = EVALUATION_SETS.find(Lake(lake_settings()), tenant, snapshot)
    typer.echo(to_json(found).decode(), nl=False)


@app.command()
def card(
    tenant: Annotated[str, typer.Argument(help="Id of the tenant.")],
    snapshot: SnapshotArgument = "current",
    to: CardFolderOption = None,
) -> None:
    """Describe an evaluation snapshot on a page: the split, its parts, who and what is new in it.

    Reads its rows once. A card names no user and no item. It is kept in the lake as well, where the
    service finds it, as long as the snapshot is.
    """
    from lakehouse.training.card.evaluation import gather_evaluation, make_evaluation_card
    from lakehouse.training.card.kept import keep_card
    from lakehouse.training.card.write import default_folder, write_pages

    lake = Lake(lake_settings())
    found = EVALUATION_SETS.find(lake, tenant, snapshot)
    contents = gather_evaluation(lake, found)
    made = make_evaluation_card(contents)
    for path in write_pages(made, (to or default_folder(lake, found)).absolute()):
        typer.echo(path)
    if keep_card(lake, found, made):
        note(f"The service shows it too: GET /v1/evaluation/cards/{found.snapshot_id}.")
    if contents.unread:
        note(f"Not in the card: rows ({contents.unread}).")


@app.command()
def export(
    tenant: TenantOption,
    snapshot: SnapshotArgument = "current",
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="What is to read the files.")
    ] = ExportFormat.PARQUET,
    to: DestinationOption = None,
) -> None:
    """Write an evaluation snapshot to a folder, which appears whole or not at all."""
    settings = lake_settings()
    manifest = EVALUATION_SETS.find(Lake(settings), tenant, snapshot)
    export_and_tell(settings, manifest, kind, to)
