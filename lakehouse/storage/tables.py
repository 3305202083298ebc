"""Opening and creating the tables that the ingestion service writes.

Imported by every dbt start-up, so it imports deltalake only when a table has to be opened or made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakehouse.contracts.tables import SERVICE_TABLES, TableSpec
from lakehouse.storage.durable import HINT, LOG
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import check_layout, mark_layout

if TYPE_CHECKING:
    from deltalake import DeltaTable

LOG_RETENTION: Final = "interval 30 days"
_OPERATORS_CHOICE: Final = ("delta.logRetentionDuration", "delta.setTransactionRetentionDuration")
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


def properties_behind(spec: TableSpec, has: Mapping[str, str]) -> dict[str, str]:
    """Return what a table with these properties lacks of those of today, and what is other there.

    How long a log stays is the operator's choice once it is set.
    """
    return {
        name: value
        for name, value in table_properties(spec).items()
        if (name not in has if name in _OPERATORS_CHOICE else has.get(name) != value)
    }


def ensure_tables(lake: Lake) -> None:
    """Create the tables that are missing, empty; add columns that tables of old releases lack.

    Rows stored before have nulls in an added column. Safe when several processes do it at once:
    each table is created by one of them. Where all tables exist it reads one small file per table,
    and the lake's layout: raises `EtaError` when that is another than this version writes.
    """
    check_layout(lake)
    entries = [(spec, _first_entry(lake, spec)) for spec in SERVICE_TABLES]
    if all(first is None for _, first in entries):
        mark_layout(lake)
    for spec, first in entries:
        if first is None:
            _create(lake, spec)
        elif not all(f'\\"name\\":\\"{name}\\"' in first for name in spec.added_columns):
            _add_columns(lake, spec)


@dataclass(frozen=True, slots=True)
class TableNeeds:
    """What a table of an earlier release lacks: columns, and properties that are others now."""

    name: str
    columns: Sequence[str]
    properties: Mapping[str, str]


def tables_behind(lake: Lake) -> list[TableNeeds]:
    """Return what the service's tables lack; a missing table, and a damaged one, lack nothing."""
    found = []
    for spec in SERVICE_TABLES:
        table = lake.find(spec)
        if table is None:
            continue
        held = {field.name for field in table.schema().fields}
        lacks = TableNeeds(
            spec.full_name,
            [name for name in spec.added_columns if name not in held],
            properties_behind(spec, table.metadata().configuration),
        )
        if lacks.columns or lacks.properties:
            found.append(lacks)
    return found


def upgrade_tables(lake: Lake) -> None:
    """Add the columns and set the properties that tables of earlier releases lack."""
    ensure_tables(lake)
    for spec in SERVICE_TABLES:
        if (table := lake.find(spec)) is None:
            continue
        if changed := properties_behind(spec, table.metadata().configuration):
            table.alter.set_table_properties(changed)


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
