"""Keeps the tables' files and logs few and short, beside writers and readers."""

from datetime import UTC, datetime

from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import (
    Merged,
    TableHealth,
    clean_tables,
    merge_ended_days,
    table_health,
)
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.publish import pinned_versions


def health(lake: Lake) -> list[TableHealth]:
    """Return files and log of every table that the service writes."""
    ensure_tables(lake)
    return table_health(lake)


def compact(lake: Lake, tenant_id: str | None = None) -> list[Merged]:
    """Merge the files of days that have ended."""
    ensure_tables(lake)
    return merge_ended_days(lake, datetime.now(UTC).date(), tenant_id)


def clean(lake: Lake, *, dry_run: bool = False) -> list[tuple[str, int, int]]:
    """Shorten logs and delete files that nobody needs; published snapshots stay readable."""
    ensure_tables(lake)
    return clean_tables(lake, pinned_versions(lake), dry_run=dry_run)
