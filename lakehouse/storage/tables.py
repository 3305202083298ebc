"""Opening and creating the tables that the ingestion service writes.

Imported by every dbt start-up, so it imports deltalake only when a table has to be opened or made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lakehouse.contracts.tables import SERVICE_TABLES, TableSpec
from lakehouse.storage.durable import HINT, LOG
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable

LOG_RETENTION: Final = "interval 30 days"
MODEL_LAYERS: Final = ("staging", "features", "training", "evaluation", "ops")


def table_properties(spec: TableSpec) -> dict[str, str]:
    """Return the Delta properties of a table.

    `delta.dataSkippingStatsColumns` keeps the values of every other column, identifiers above
    all, out of `_delta_log`, from where no DELETE would remove them.
    """
    properties = {
        "delta.enableDeletionVectors": "false",
        "delta.dataSkippingStatsColumns": ",".join(spec.stats_columns),
        "delta.logRetentionDuration": LOG_RETENTION,
        "delta.setTransactionRetentionDuration": LOG_RETENTION,
    }
    if spec.has_change_feed:
        properties["delta.enableChangeDataFeed"] = "true"
    return properties


def ensure_tables(lake: Lake) -> None:
    """Create the tables that are missing, empty; add columns that tables of old releases lack.

    Rows stored before have nulls in an added column. Safe when several processes do it at once:
    each table is created by one of them. Where all tables exist it reads one small file per table.
    """
    for spec in SERVICE_TABLES:
        first = _first_entry(lake, spec)
        if first is None:
            _create(lake, spec)
        elif not all(f'\\"name\\":\\"{name}\\"' in first for name in spec.added_columns):
            _add_columns(lake, spec)


def model_tables(
    lake: Lake, layers: Sequence[str] = MODEL_LAYERS
) -> Iterator[tuple[str, DeltaTable]]:
    """Yield the name and a handle of each table that the models write."""
    return lake.tables(layers, {spec.full_name for spec in SERVICE_TABLES})


def _first_entry(lake: Lake, spec: TableSpec) -> str | None:
    """Return what a table was created with; None without it, and empty when the log is shorter."""
    log = lake.folder(f"{spec.path}/{LOG}")
    first = log.read(f"{0:020}.json")
    if first is None:
        return None if log.read(HINT) is None else ""
    return first.decode(errors="replace")


def _add_columns(lake: Lake, spec: TableSpec) -> None:
    from deltalake import Schema
    from deltalake.exceptions import DeltaError

    def lacking() -> list[str]:
        held = {field.name for field in lake.table(spec).schema().fields}
        return [name for name in spec.added_columns if name not in held]

    try:
        names = lacking()
    except DeltaError:  # damaged: whoever needs the table says so, the others go on
        return
    if not names:
        return
    fields = Schema.from_arrow(spec.schema).fields
    added = [field for field in fields if field.name in names]
    try:
        lake.table(spec).alter.add_columns(added)
    except DeltaError:
        if lacking():  # else another process was faster
            raise


def _create(lake: Lake, spec: TableSpec) -> None:
    from deltalake import CommitProperties, DeltaTable
    from deltalake.exceptions import DeltaError

    location = lake.location(spec)
    if (folder := lake.disk(spec)) is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        DeltaTable.create(
            location,
            spec.schema,
            mode="ignore",
            partition_by=list(spec.partition_by),
            configuration=table_properties(spec),
            storage_options=lake.options,
            # A retry would commit a second creation, with another table id, as version 1.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError:
        if not DeltaTable.is_deltatable(location, lake.options):
            raise
