"""Keeps the tables' files and logs few and short, beside writers and readers."""

from datetime import UTC, datetime

from lakehouse.settings import LakeSettings
from lakehouse.storage.maintenance import (
    Merged,
    TableHealth,
    clean_tables,
    merge_ended_days,
    table_health,
)
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.publish import pinned_versions


def health(settings: LakeSettings) -> list[TableHealth]:
    """Return files and log of every table that the service writes."""
    ensure_tables(settings)
    return table_health(settings)


def compact(settings: LakeSettings, tenant_id: str | None = None) -> list[Merged]:
    """Merge the files of days that have ended."""
    ensure_tables(settings)
    return merge_ended_days(settings, datetime.now(UTC).date(), tenant_id)


def clean(settings: LakeSettings, *, dry_run: bool = False) -> list[tuple[str, int, int]]:
    """Shorten logs and delete files that nobody needs; published snapshots stay readable."""
    ensure_tables(settings)
    return clean_tables(settings, pinned_versions(settings), dry_run=dry_run)
