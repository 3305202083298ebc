"""`eta tables`: files and logs of the lake's tables, and what keeps them few and short."""

from typing import Annotated

import typer

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note, print_rows
from lakehouse.jobs import maintain
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import SMALL_FILES
from lakehouse.storage.repair import repair_tables

app = typer.Typer(help="See and keep the tables' health.", no_args_is_help=True)


@app.command()
def health() -> None:
    """Show files and log of every table that the service writes; exit code 1 over the bound."""
    found = maintain.health(Lake(lake_settings()))
    print_rows(
        ("table", "files", "MiB", "most small files in a day", "log files", "log MiB"),
        [
            (
                h.table,
                h.files,
                f"{h.file_bytes / 2**20:.1f}",
                h.most_small_files,
                h.log_files,
                f"{h.log_bytes / 2**20:.1f}",
            )
            for h in found
        ],
    )
    crowded = [h.table for h in found if h.most_small_files > 4 * SMALL_FILES]
    if crowded:
        note(f"Too many small files: {', '.join(crowded)}. Run `eta tables compact`.")
        raise typer.Exit(1)


@app.command()
def compact(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
) -> None:
    """Merge the files of days that have ended; may run beside writers and readers."""
    merged = maintain.compact(Lake(lake_settings()), tenant)
    print_rows(
        ("table", "tenant", "day", "files before", "files after"),
        [
            (m.table, m.day.tenant_id, m.day.ingest_date, m.files_before, m.files_after)
            for m in merged
        ],
    )


@app.command()
def clean(
    dry_run: Annotated[bool, typer.Option(help="Only count.")] = False,
) -> None:
    """Shorten logs and delete files that nobody needs; pinned training sets stay readable."""
    found = maintain.clean(Lake(lake_settings()), dry_run=dry_run)
    print_rows(("table", "files deleted", "log files"), found)


@app.command()
def repair(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is damaged.")] = False,
) -> None:
    """Take out of the tables what cannot be read any more; stop the service first.

    What is taken out is lost: look for a backup before. `eta ledger check` names the batches.
    """
    found = repair_tables(Lake(lake_settings()), dry_run=dry_run)
    for damage in found:
        note(str(damage))
    done = "would be taken out" if dry_run else "taken out; `eta ledger check` names their batches"
    note(f"{len(found):,} damaged files {done}" if found else "nothing is damaged")
