"""`eta export`: a published training set as files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import filesize
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.errors import EtaError
from lakehouse.lineage.delivery import lineage_of
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.apply import apply_deltas
from lakehouse.training.export.comparing import DeltaPlan
from lakehouse.training.export.delta import (
    default_delta_destination,
    find_base,
    plan_delta,
    write_delta,
)
from lakehouse.training.export.features import MAX_HISTORY
from lakehouse.training.export.folders import read_delta
from lakehouse.training.export.run import (
    WITH_FEATURES,
    ExportFormat,
    default_destination,
    export_snapshot,
)
from lakehouse.training.lineage.sets import exported
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest
from lakehouse.training.publish import find_snapshot

DestinationOption = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="New folder; default: below `exports` in the home."),
]


def export(
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="What is to read the files.")
    ] = ExportFormat.PARQUET,
    snapshot: Annotated[str, typer.Option(help="A snapshot's id.")] = "current",
    features: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Features of the examples, with commas between: user, item, context, all, or "
            "names of columns. May be given several times.",
        ),
    ] = None,
    history: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_HISTORY, help="How many of the user's interactions before each event."
        ),
    ] = 0,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="SNAPSHOT",
            help="Only what changed since this earlier snapshot: a delta (`eta export-apply`).",
        ),
    ] = None,
    to: DestinationOption = None,
) -> None:
    """Write a snapshot's rows to a folder, which appears whole or not at all."""
    settings = lake_settings()
    lake = Lake(settings)
    manifest = find_snapshot(lake, tenant, snapshot)
    wanted = [name.strip() for names in features or () for name in names.split(",")]
    if since is None:
        export_and_tell(settings, manifest, kind, to, features=wanted, history=history)
        return
    if kind not in WITH_FEATURES:
        raise EtaError(
            f"a delta is Parquet and cannot be put onto {kind} files",
            remedy=f"leave out --format, or take the whole export: leave out --since {since}",
        )
    base = find_base(lake, tenant, since)
    plan = plan_delta(lake, base, manifest, features=wanted, history=history)
    _tell_plan(plan)
    destination = (
        to or default_delta_destination(lake, base, manifest, wanted, history)
    ).absolute()
    with (
        _told(settings, manifest, kind, destination, since=base.snapshot_id),
        _progress() as progress,
    ):
        task = progress.add_task("Rows compared", total=plan.base_rows + plan.result_rows)
        delta = write_delta(
            plan, destination, on_rows=lambda count: progress.advance(task, count), say=note
        )
    rows = delta.rows
    note(f"{rows.added:,} rows were added, {rows.changed:,} changed, {rows.removed:,} removed.")
    note(f"How to put it onto an export: {destination / 'README.md'}")
    typer.echo(destination)


def apply(
    deltas: Annotated[
        list[Path],
        typer.Argument(
            metavar="DELTA",
            help="Folders of `eta export --since`, the earliest first.",
        ),
    ],
    onto: Annotated[
        Path,
        typer.Option(help="Export that the first delta begins at."),
    ],
    to: Annotated[Path, typer.Option(file_okay=False, help="New folder.")],
) -> None:
    """Put deltas onto an export: the export of the last one's snapshot, whole or not at all.

    Proven by the content hash; needs no lake. The folder is yours to clean: an erasure does not
    look there.
    """
    total = read_delta(deltas[-1]).document.result.rows
    with _progress() as progress:
        task = progress.add_task("Rows", total=total)
        manifest = apply_deltas(
            deltas, onto, to, on_rows=lambda count: progress.advance(task, count), say=note
        )
    note(f"{manifest.row_count:,} rows of snapshot {manifest.snapshot_id} were written.")
    typer.echo(to.absolute())


def export_and_tell(
    settings: LakeSettings,
    manifest: Manifest,
    kind: ExportFormat,
    to: Path | None,
    *,
    features: Sequence[str] = (),
    history: int = 0,
) -> None:
    """Export a snapshot with a bar of progress; print the folder alone on stdout."""
    place = default_destination(Lake(settings), manifest, kind, features, history)
    destination = (to or place).absolute()
    note(_expected(manifest, kind, features, history))
    with _told(settings, manifest, kind, destination), _progress() as progress:
        task = progress.add_task("Rows", total=manifest.row_count)
        export_snapshot(
            Lake(settings),
            manifest,
            kind,
            destination,
            features=features,
            history=history,
            on_rows=lambda count: progress.advance(task, count),
            say=note,
        )
    note(f"{manifest.row_count:,} rows of snapshot {manifest.snapshot_id} were read.")
    note(f"What the files hold: {destination / 'README.md'}")
    typer.echo(destination)


@contextmanager
def _told(
    settings: LakeSettings,
    manifest: Manifest,
    kind: ExportFormat,
    folder: Path,
    since: str | None = None,
) -> Iterator[None]:
    """Tell OpenLineage of an export that this block has made."""
    begun_at = datetime.now(UTC)
    with lineage_of(settings) as lineage:
        yield
        ended_at = datetime.now(UTC)
        lineage.tell_all(
            lambda: [
                exported(lineage.names, manifest, str(kind), folder, begun_at, ended_at, since)
            ]
        )


def _expected(manifest: Manifest, kind: ExportFormat, features: Sequence[str], history: int) -> str:
    """Return how much an export reads, as the manifest knows it."""
    told = f"{manifest.row_count:,} rows are read and sorted"
    has_features = features or history or kind is ExportFormat.FEAST
    tables = [EXAMPLES if has_features else manifest.data_table]
    tables += [HISTORIES] if history else []
    parts = manifest.parts or {}
    if not set(tables) <= set(parts):
        return f"{told}."
    size = sum(parts[table].bytes for table in tables)
    return f"{told}: {filesize.decimal(size)} of files in the lake."


def _tell_plan(plan: DeltaPlan) -> None:
    """Say what there is to compare, before it is read."""
    sides = (plan.rows.base, plan.rows.result)
    files = sum(side.file_count for side in sides)
    read = plan.base_rows + plan.result_rows
    note(
        f"{read:,} rows in {files:,} files are compared: at most {plan.result_rows:,} were added "
        f"or changed and {plan.base_rows:,} changed or removed. What both snapshots have in the "
        "same place is not read."
    )
    if plan.histories is not None:
        note("Rows whose histories changed come on top.")


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
